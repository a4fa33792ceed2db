"""The folder and the store, kept alike; the user's files are never destroyed. No model: nothing is embedded here."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.documents import folder
from core.documents.embeddings import Embedded, Embedder
from core.documents.events import (
    DocumentEvent,
    Embedding,
    Failed,
    Indexed,
    Missing,
    NoText,
    Parsing,
    Removed,
    Skipped,
    Summary,
    Unreadable,
)
from core.documents.folder import free_name, safe_name, scan
from core.documents.indexing import Indexer
from core.documents.library import Library
from core.documents.store import Store
from core.errors import DocumentError
from core.settings import Settings
from tests.core.documents.conftest import write_files, write_pdf, write_slow_pdf


class CountingEmbedder(Embedder):
    """Vectors without a model, and a count of the texts asked for."""

    texts = 0

    def embed_windows(self, texts: Sequence[str], *, urgent: bool = False) -> Embedded:
        self.texts += len(texts)
        return Embedded(np.full((len(texts), 4), 0.5, np.float32), [1] * len(texts), [1] * len(texts))


class Shelf:
    """A library over one folder, closed by its fixture."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.docs = settings.docs_dir
        self.store = Store(settings.store_path)
        self.embedder = CountingEmbedder(settings)
        self.indexer = Indexer(settings, self.store, self.embedder)
        self.library = Library(settings, self.store, self.indexer)

    def run(self) -> list[DocumentEvent]:
        return list(self.library.run())

    def outcomes(self) -> dict[str, type[DocumentEvent]]:
        """The last event of each document in a run."""
        return {event.source: type(event) for event in self.run()
                if not isinstance(event, Summary | Missing | Unreadable)}

    def states(self) -> dict[str, str]:
        return {document.source: document.state for document in self.store.documents()}

    def code_of(self, path: Path, **options: str) -> str:
        with pytest.raises(DocumentError) as caught:
            self.library.add(path, **options)  # type: ignore[arg-type]
        return caught.value.code


@pytest.fixture
def shelf(settings: Settings):  # type: ignore[no-untyped-def]
    made = Shelf(settings)
    yield made
    made.indexer.close()


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text("una nota", encoding="utf-8")
    return path


# Files come in.


def test_an_added_file_lies_in_the_folder_and_is_indexed(shelf: Shelf, note: Path) -> None:
    assert shelf.library.add(note) == "note.txt"
    assert (shelf.docs / "note.txt").read_text(encoding="utf-8") == "una nota"
    assert shelf.states() == {"note.txt": "queued"}
    assert [type(event) for event in shelf.library.index_pending()][-1] is Indexed
    assert shelf.states() == {"note.txt": "indexed"}


def test_files_that_cannot_be_documents_are_refused(shelf: Shelf, tmp_path: Path) -> None:
    for name, data in (("a.exe", b"x"), ("noname", b"x"), ("empty.txt", b""), ("large.txt", b"x" * 2_000_000)):
        (tmp_path / name).write_bytes(data)
    shelf.library._settings = replace(shelf.settings, max_file_bytes=1_000_000)
    assert shelf.code_of(tmp_path / "a.exe") == "unsupported_type"
    assert shelf.code_of(tmp_path / "noname") == "unsupported_type"
    assert shelf.code_of(tmp_path / "empty.txt") == "file_empty"
    assert shelf.code_of(tmp_path / "large.txt") == "file_too_large"
    assert not shelf.docs.exists() or not any(shelf.docs.iterdir())


def test_the_same_content_is_taken_once(shelf: Shelf, note: Path, tmp_path: Path) -> None:
    shelf.library.add(note)
    twin = tmp_path / "twin.txt"
    twin.write_bytes(note.read_bytes())
    assert shelf.code_of(twin) == "already_here"
    (shelf.docs / "note.txt").unlink()
    assert shelf.library.add(twin) == "twin.txt"


def test_a_name_that_is_taken_asks(shelf: Shelf, note: Path, tmp_path: Path) -> None:
    shelf.library.add(note)
    other = tmp_path / "other.txt"
    other.write_text("otra cosa", encoding="utf-8")
    with pytest.raises(DocumentError, match="name_taken"):
        shelf.library.add(other, name="note.txt")
    assert shelf.library.add(other, name="note.txt", on_conflict="keep_both") == "note (2).txt"
    third = tmp_path / "third.txt"
    third.write_text("la tercera", encoding="utf-8")
    assert shelf.library.add(third, name="note.txt", on_conflict="replace") == "note.txt"
    assert (shelf.docs / "note.txt").read_text(encoding="utf-8") == "la tercera"
    assert shelf.library.undo() == ["note (3).txt"]
    assert (shelf.docs / "note (3).txt").read_text(encoding="utf-8") == "una nota"


def test_a_folder_of_that_name_counts_as_taken(shelf: Shelf, note: Path) -> None:
    (shelf.docs / "note.txt").mkdir(parents=True)
    assert shelf.code_of(note) == "name_taken"
    assert shelf.library.add(note, on_conflict="keep_both") == "note (2).txt"


@pytest.mark.parametrize(("name", "safe"), [
    ("../../etc/passwd.txt", "passwd.txt"), ("..\\..\\boot.md", "boot.md"), ("/abs/olute.pdf", "olute.pdf"),
    ("CON.txt", "_CON.txt"), ("nul.tar.txt", "_nul.tar.txt"), ("com1.md", "_com1.md"), ("console.txt", "console.txt"),
    ('a<b>:"c|d?*.txt', "a_b___c_d__.txt"), ("  .hidden.txt. ", "hidden.txt"), ("tab\tnul\x00.txt", "tab_nul_.txt"),
    ("🎉 fiesta.pdf", "🎉 fiesta.pdf"), ("an\u0303o.txt", "año.txt"), ("\ud800.txt", "_.txt"), ("a/.txt", "txt"),
    ("foto\u202egpj.txt", "fotogpj.txt"),  # read as `fototxt.jpg`
])
def test_names_from_outside_are_made_safe_on_every_system(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("stem", ["x" * 300, "ñ" * 300, "🎉" * 300])
def test_a_long_name_is_cut_and_keeps_its_suffix(shelf: Shelf, note: Path, stem: str) -> None:
    name = shelf.library.add(note, name=f"{stem}.txt")
    assert name.endswith(".txt")
    assert len(name.encode()) <= 200
    assert (shelf.docs / name).exists()
    assert free_name(shelf.docs, name) != name


def test_the_guide_is_added_once_and_only_to_an_empty_library(shelf: Shelf, note: Path) -> None:
    shelf.library.add_guide()
    guides = shelf.library.guides()
    assert len(guides) == 2
    for source in guides:
        shelf.library.remove(source)
    shelf.library.add_guide()
    assert shelf.library.guides() == []


def test_a_library_with_documents_gets_no_guide(shelf: Shelf, note: Path) -> None:
    shelf.library.add(note)
    shelf.library.add_guide()
    assert list(shelf.states()) == ["note.txt"]


# Files go out.


def test_a_removed_file_goes_to_the_trash_and_comes_back(shelf: Shelf, note: Path) -> None:
    shelf.library.add(note, name="note.txt")
    shelf.run()
    assert shelf.library.remove("note.txt") == ["note.txt"]
    (trashed,) = shelf.store.trash()
    assert trashed.path.read_text(encoding="utf-8") == "una nota"
    assert not (shelf.docs / "note.txt").exists()
    assert shelf.states() == {}
    assert shelf.library.undo() == ["note.txt"]
    assert shelf.outcomes() == {"note.txt": Indexed}
    assert shelf.library.undo() == []


def test_undo_brings_back_to_the_subfolder_and_passes_over_what_is_gone(shelf: Shelf) -> None:
    write_files(shelf.docs, {"sub/a.txt": "uno", "b.txt": "dos"})
    shelf.run()
    shelf.library.remove("sub/a.txt")
    shelf.library.remove("b.txt")
    shelf.store.trash()[0].path.unlink()
    (shelf.docs / "sub").rmdir()
    assert shelf.library.undo() == ["sub/a.txt"]
    assert shelf.store.trash() == []


def test_what_was_removed_together_comes_back_together(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno", "sub/a.txt": "dos", "b.txt": "tres", "c.txt": "cuatro"})
    shelf.run()
    shelf.library.remove("c.txt")
    assert shelf.library.remove("a.txt", "nowhere.txt", "sub/a.txt", "a.txt") == ["a.txt", "sub/a.txt"]
    assert list(shelf.states()) == ["b.txt"]
    assert sorted(shelf.library.undo()) == ["a.txt", "sub/a.txt"]
    assert (shelf.docs / "sub" / "a.txt").read_text(encoding="utf-8") == "dos"
    assert shelf.library.undo() == ["c.txt"]


def test_only_documents_can_be_removed(shelf: Shelf, tmp_path: Path) -> None:
    private = tmp_path / "private.txt"
    private.write_text("mío", encoding="utf-8")
    for source in ("../private.txt", str(private), "nothing.txt", "", "."):
        assert shelf.library.remove(source) == []
    assert private.exists()


# The folder decides.


def test_a_run_follows_what_was_done_to_the_folder_by_hand(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno", "sub/b.md": "dos", "c.txt": "tres", "d.txt": "cuatro", ".hid.txt": "no",
                             "sub/photo.jpg": "no", ".git/e.txt": "no"})
    assert shelf.outcomes() == dict.fromkeys(("a.txt", "sub/b.md", "c.txt", "d.txt"), Indexed)
    assert shelf.outcomes() == dict.fromkeys(("a.txt", "sub/b.md", "c.txt", "d.txt"), Skipped)
    write_files(shelf.docs, {"a.txt": "otro uno", "new.txt": "cinco"})
    (shelf.docs / "c.txt").unlink()
    outcomes = shelf.outcomes()
    assert outcomes == {"a.txt": Indexed, "sub/b.md": Skipped, "d.txt": Skipped, "new.txt": Indexed, "c.txt": Removed}


def test_a_renamed_or_copied_file_is_not_embedded_again(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno", "b.txt": "dos", "c.txt": "tres"})
    shelf.run()
    embedded = shelf.embedder.texts
    (shelf.docs / "a.txt").rename(shelf.docs / "z.txt")
    (shelf.docs / "copy.txt").write_text("dos", encoding="utf-8")
    assert shelf.outcomes() == {
        "z.txt": Indexed, "copy.txt": Indexed, "a.txt": Removed, "b.txt": Skipped, "c.txt": Skipped}
    assert shelf.embedder.texts == embedded


def test_a_touched_file_is_not_read_again(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno"})
    shelf.run()
    os.utime(shelf.docs / "a.txt", (1, 1))
    assert shelf.outcomes() == {"a.txt": Skipped}


def test_a_folder_that_lost_more_than_half_asks(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno", "b.txt": "dos", "c.txt": "tres"})
    shelf.run()
    (shelf.docs / "a.txt").unlink()
    (shelf.docs / "b.txt").unlink()
    assert Missing(("a.txt", "b.txt"), 3) in shelf.run()
    assert len(shelf.states()) == 3
    assert shelf.library.missing() == ("a.txt", "b.txt")
    write_files(shelf.docs, {"b.txt": "dos"})
    shelf.library.forget(["a.txt", "b.txt"])
    assert list(shelf.states()) == ["b.txt", "c.txt"]


def test_a_folder_that_vanished_keeps_the_index(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno", "b.txt": "dos"})
    shelf.run()
    shelf.docs.rename(shelf.docs.with_name("elsewhere"))
    assert Missing(("a.txt", "b.txt"), 2) in shelf.run()
    shelf.docs.with_name("elsewhere").rename(shelf.docs)
    assert shelf.outcomes() == {"a.txt": Skipped, "b.txt": Skipped}


def test_links_out_of_the_folder_are_not_followed(shelf: Shelf, tmp_path: Path) -> None:
    write_files(shelf.docs, {"a.txt": "uno"})
    write_files(tmp_path / "outside", {"secret.txt": "secreto"})
    try:
        (shelf.docs / "link.txt").symlink_to(tmp_path / "outside" / "secret.txt")
        (shelf.docs / "folder").symlink_to(tmp_path / "outside", target_is_directory=True)
        (shelf.docs / "inside.txt").symlink_to(shelf.docs / "a.txt")
        (shelf.docs / "nowhere.txt").symlink_to(shelf.docs / "gone.txt")
    except OSError:
        pytest.skip("this system lets us make no links")
    assert [file.source for file in scan(shelf.docs)] == ["a.txt", "inside.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_the_folder_is_left_alone(shelf: Shelf) -> None:
    shelf.docs.mkdir(parents=True)
    os.mkfifo(shelf.docs / "pipe.txt")
    assert list(scan(shelf.docs)) == []


def test_bad_files_fail_alone_and_keep_their_reason(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno", "bad.pdf": "no pdf"})
    (shelf.docs / "noise.txt").write_bytes(bytes(range(256)) * 9)
    (shelf.docs / "empty.txt").touch()
    write_pdf(shelf.docs / "scan.pdf", ["", ""])
    expected = {"a.txt": Indexed, "bad.pdf": Failed, "noise.txt": Failed, "empty.txt": NoText, "scan.pdf": NoText}
    assert shelf.outcomes() == expected
    assert shelf.outcomes() == {**expected, "a.txt": Skipped}
    summary = shelf.run()[-1]
    assert isinstance(summary, Summary)
    assert (summary.indexed, summary.no_text, summary.skipped, summary.failed) == (0, 2, 1, 2)


def test_a_failure_of_the_moment_is_tried_again(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "palabra " * 50, "b.txt": "dos"})
    shelf.indexer._settings = replace(shelf.settings, max_file_bytes=100)
    assert shelf.outcomes() == {"a.txt": Failed, "b.txt": Indexed}
    shelf.indexer._settings = shelf.settings  # the user raised the limit, as the sentence says
    assert shelf.outcomes() == {"a.txt": Indexed, "b.txt": Skipped}


def test_a_file_that_was_away_while_it_was_its_turn_is_indexed_when_it_is_back(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno"})
    list(shelf.library.sync())
    away = (shelf.docs / "a.txt").rename(shelf.docs.parent / "away.txt")
    assert [type(event) for event in shelf.library.index_pending()][-1] is Failed
    away.rename(shelf.docs / "a.txt")
    assert shelf.outcomes() == {"a.txt": Indexed}


def test_an_unreadable_folder_does_not_count_as_gone(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(shelf.docs, {"a.txt": "uno", "sub/b.txt": "dos", "sub/deep/c.txt": "tres", "d.txt": "cuatro"})
    shelf.run()
    (shelf.docs / "d.txt").unlink()
    look = os.scandir

    def refuse(path: Path) -> object:  # a test run by root cannot be refused by the system
        if Path(path).name == "sub":
            raise PermissionError
        return look(path)

    monkeypatch.setattr(os, "scandir", refuse)
    events = shelf.run()
    assert Unreadable(("sub",)) in events and Removed("d.txt") in events
    assert list(shelf.states()) == ["a.txt", "sub/b.txt", "sub/deep/c.txt"]


def test_a_new_file_that_refuses_to_be_read_says_so_until_it_can_be(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    write_files(shelf.docs, {"a.txt": "uno"})
    monkeypatch.setattr(folder, "hash_file", refuse)
    assert shelf.outcomes() == {"a.txt": Failed}
    assert shelf.states() == {"a.txt": "failed"}
    monkeypatch.undo()
    list(shelf.library.sync(scan(shelf.docs)))
    assert shelf.states() == {"a.txt": "queued"}


def test_a_look_that_was_not_asked_for_leaves_failures_and_moving_files_alone(shelf: Shelf) -> None:
    write_files(shelf.docs, {"large.txt": "palabra " * 50, "b.txt": "dos", "gone.txt": "tres"})
    shelf.indexer._settings = replace(shelf.settings, max_file_bytes=100)
    shelf.run()
    write_files(shelf.docs, {"b.txt": "dos y medio"})
    (shelf.docs / "gone.txt").unlink()
    list(shelf.library.sync(scan(shelf.docs), leave={"b.txt", "gone.txt"}))
    assert shelf.states() == {"b.txt": "indexed", "gone.txt": "indexed", "large.txt": "failed"}
    list(shelf.library.sync(scan(shelf.docs)))
    assert shelf.states() == {"b.txt": "queued", "large.txt": "failed"}


# Work through the queue.


def test_a_cancelled_document_stays_cancelled_until_it_is_retried(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno", "b.txt": "dos"})
    shelf.run()
    write_files(shelf.docs, {"a.txt": "uno y más"})
    list(shelf.library.sync())
    assert shelf.library.cancel("a.txt") == 1
    assert shelf.library.cancel("b.txt") == 0
    again = Shelf(shelf.settings)
    assert again.outcomes() == {"a.txt": Skipped, "b.txt": Skipped}
    assert again.states() == {"a.txt": "cancelled", "b.txt": "indexed"}
    assert [passage.text for passage in again.store.passages("a.txt", 0, 9)] == ["uno"]  # what it showed before
    assert again.library.reindex("a.txt")
    assert [type(event) for event in again.library.index_pending()][-1] is Indexed
    assert [passage.text for passage in again.store.passages("a.txt", 0, 9)] == ["uno y más"]
    again.indexer.close()


def test_a_document_that_is_cancelled_while_it_is_read_is_let_go_within_a_second(shelf: Shelf) -> None:
    shelf.docs.mkdir(parents=True)
    write_slow_pdf(shelf.docs / "slow.pdf", 3_000_000)
    list(shelf.library.sync())
    events = shelf.library.index_pending()
    next(events)
    timer = threading.Timer(0.3, shelf.library.cancel)
    timer.start()
    started = time.monotonic()
    assert list(events) == []
    assert time.monotonic() - started < 2
    assert shelf.states() == {"slow.pdf": "cancelled"}


def test_a_document_that_is_cancelled_while_it_is_embedded_is_let_go(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "\n\n".join(f"párrafo {number} " + "x " * 400 for number in range(100))})
    list(shelf.library.sync())
    events = shelf.library.index_pending()
    while not isinstance(next(events), Embedding):
        pass
    shelf.library.cancel()
    assert list(events) == []
    assert shelf.embedder.texts < 50
    assert shelf.states() == {"a.txt": "cancelled"}


def test_a_ready_document_can_be_read_and_embedded_anew(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno"})
    shelf.run()
    embedded = shelf.embedder.texts
    assert shelf.library.reindex("a.txt")
    assert not shelf.library.reindex("a.txt")  # it is being worked on
    assert not shelf.library.reindex("nowhere.txt")
    assert [type(event) for event in shelf.library.index_pending()][-1] is Indexed
    assert shelf.embedder.texts == 2 * embedded


def test_retrying_a_failed_document_takes_the_file_as_it_is_now(shelf: Shelf) -> None:
    write_files(shelf.docs, {"bad.pdf": "no pdf"})
    shelf.run()
    write_pdf(shelf.docs / "bad.pdf", ["Ahora sí."])
    assert shelf.library.reindex("bad.pdf")
    assert [type(event) for event in shelf.library.index_pending()][-1] is Indexed


def test_a_bug_that_one_document_brings_to_light_fails_that_one_alone(shelf: Shelf) -> None:
    class Fragile(CountingEmbedder):
        def embed_windows(self, texts: Sequence[str], *, urgent: bool = False) -> Embedded:
            if "uno" in texts:
                raise ZeroDivisionError
            return super().embed_windows(texts, urgent=urgent)

    write_files(shelf.docs, {"a.txt": "uno", "b.txt": "dos"})
    shelf.indexer._embedder = Fragile(shelf.settings)
    assert shelf.outcomes() == {"a.txt": Failed, "b.txt": Indexed}
    assert shelf.states() == {"a.txt": "failed", "b.txt": "indexed"}


def test_passages_of_a_document_come_in_its_order_a_page_at_a_time(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "a.pdf", [f"Página {number}" for number in range(1, 8)])
    shelf.run()
    assert [passage.page for passage in shelf.store.passages("a.pdf", 2, 3)] == [3, 4, 5]
    assert [passage.text for passage in shelf.store.passages("a.pdf", 6, 3)] == ["Página 7"]
    assert shelf.store.passages("nowhere.pdf", 0, 3) == []


def test_a_run_that_breaks_off_goes_on_where_it_was(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno", "b.txt": "dos"})
    events = shelf.library.run()
    while not isinstance(next(events), Indexed):
        pass
    events.close()  # type: ignore[attr-defined]
    assert shelf.states() == {"a.txt": "indexed", "b.txt": "queued"}
    again = Shelf(shelf.settings)
    assert again.outcomes() == {"a.txt": Skipped, "b.txt": Indexed}
    again.indexer.close()


def test_a_file_replaced_while_it_is_read_is_indexed_as_it_is_now(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "viejo"})
    list(shelf.library.sync())
    events = shelf.indexer.index("a.txt")
    next(events)  # it is being read
    write_files(shelf.docs, {"a.txt": "nuevo"})
    os.utime(shelf.docs / "a.txt", (5, 5))
    assert not any(isinstance(event, Indexed) for event in events)
    assert shelf.states() == {"a.txt": "queued"}
    list(shelf.library.index_pending())
    (document,) = shelf.store.documents()
    assert document.sha256 is not None
    assert shelf.store.page_text(document.sha256, 1) == "nuevo"


def test_closing_while_a_file_is_read_leaves_it_queued(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno"})
    list(shelf.library.sync())
    events = shelf.indexer.index("a.txt")
    next(events)
    shelf.indexer.close()
    assert list(events) == []
    assert shelf.store.pending() == ["a.txt"]


# Protected documents.


def test_a_protected_document_is_indexed_with_its_password_which_is_written_nowhere(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "secret.pdf", ["el tesoro"], password="contraseña-17")
    write_files(shelf.docs, {"a.txt": "uno"})
    assert shelf.outcomes() == {"a.txt": Indexed, "secret.pdf": Failed}
    with pytest.raises(DocumentError, match="pdf_wrong_password"):
        shelf.library.unlock("secret.pdf", "otra")
    assert shelf.states() == {"a.txt": "indexed", "secret.pdf": "failed"}
    shelf.library.unlock("secret.pdf", "contraseña-17")
    assert shelf.outcomes() == {"a.txt": Skipped, "secret.pdf": Indexed}
    assert not shelf.indexer._passwords
    document = shelf.store.document("secret.pdf")
    assert document is not None
    assert document.sha256 is not None
    assert "el tesoro" in (shelf.store.page_text(document.sha256, 1) or "")
    for path in shelf.settings.data_dir.rglob("*"):
        if path.is_file():
            assert "contrase" not in path.read_bytes().decode("latin-1"), path


def test_a_password_is_no_use_for_another_content(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "secret.pdf", ["uno"], password="clave")
    shelf.run()
    shelf.library.unlock("secret.pdf", "clave")
    write_pdf(shelf.docs / "secret.pdf", ["dos"], password="otra")
    os.utime(shelf.docs / "secret.pdf", (5, 5))
    assert shelf.outcomes() == {"secret.pdf": Failed}
    (document,) = shelf.store.documents()
    assert document.reason is not None
    assert document.reason.code == "pdf_encrypted"
    assert not shelf.indexer._passwords


def test_only_a_document_that_is_there_can_be_unlocked(shelf: Shelf) -> None:
    write_pdf(shelf.docs.parent / "outside.pdf", ["uno"], password="clave")
    with pytest.raises(DocumentError, match="file_gone"):
        shelf.library.unlock("../outside.pdf", "clave")
    write_pdf(shelf.docs / "secret.pdf", ["uno"], password="clave")
    shelf.run()
    (shelf.docs / "secret.pdf").unlink()
    with pytest.raises(DocumentError, match="file_gone"):
        shelf.library.unlock("secret.pdf", "clave")


# What is ready stays ready.


class OtherEmbedder(CountingEmbedder):
    """Another model: longer vectors. Fails where it is told to."""

    model = "other"
    fails_after = 1_000_000

    def embed_windows(self, texts: Sequence[str], *, urgent: bool = False) -> Embedded:
        self.texts += len(texts)
        if self.texts > self.fails_after:
            raise DocumentError("embedder_failed", detail="no memory")
        return Embedded(np.full((2 * len(texts), 6), 0.4, np.float32), [2] * len(texts), [500] * len(texts))


def with_other_embedder(shelf: Shelf, **options: int) -> Shelf:
    other = Shelf(shelf.settings)
    other.embedder = OtherEmbedder(shelf.settings)
    for name, value in options.items():
        setattr(other.embedder, name, value)
    other.indexer = Indexer(shelf.settings, other.store, other.embedder)
    other.library = Library(shelf.settings, other.store, other.indexer)
    return other


def test_another_embedder_embeds_the_stored_text_and_asks_no_file(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno", "twin.txt": "uno", "long.md": "palabra " * 3000})
    shelf.run()
    passages = sum(document.chunks for document in shelf.store.documents())
    (shelf.docs / "a.txt").unlink()
    (shelf.docs / "long.md").write_bytes(b"\xff\xfe")
    other = with_other_embedder(shelf)
    assert {type(event) for event in other.library.index_pending()} == {Embedding, Indexed}
    assert set(other.states().values()) == {"indexed"}
    assert other.embedder.texts == passages - 1  # the twins are one content
    assert other.store.shown_contents() == other.store.shown_contents("other")
    assert {other.store.vectors(content)[1].shape[1] for content in other.store.shown_contents()} == {6}
    assert [passage.windows for passage in other.store.passages("a.txt", 0, 9)] == [2]


def test_vectors_of_the_old_embedder_stay_until_all_new_ones_are_there(shelf: Shelf) -> None:
    write_files(shelf.docs, {"long.md": "palabra " * 5000})
    shelf.run()
    shown = shelf.store.shown_contents(shelf.embedder.model)
    other = with_other_embedder(shelf, fails_after=20)
    with pytest.raises(DocumentError, match="embedder_failed"):
        list(other.library.index_pending())
    assert shelf.store.shown_contents(shelf.embedder.model) == shown
    again = with_other_embedder(shelf)
    assert [type(event) for event in again.library.index_pending()][-1] is Indexed
    assert not shelf.store.shown_contents(shelf.embedder.model)


def test_going_back_to_the_first_embedder_before_the_end_costs_nothing(shelf: Shelf) -> None:
    write_files(shelf.docs, {"long.md": "palabra " * 5000})
    shelf.run()
    embedded = shelf.embedder.texts
    with pytest.raises(DocumentError, match="embedder_failed"):
        list(with_other_embedder(shelf, fails_after=20).library.index_pending())
    assert [type(event) for event in shelf.library.index_pending()] == [Indexed]
    assert shelf.embedder.texts == embedded


def test_a_ready_document_that_cannot_be_read_again_keeps_its_passages(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "locked.pdf", ["El faro mide 69 metros."], password="ábrete")
    shelf.run()
    shelf.library.unlock("locked.pdf", "ábrete")
    list(shelf.library.index_pending())
    before = shelf.store.passages("locked.pdf", 0, 9)
    assert before
    assert shelf.library.reindex("locked.pdf")
    assert [type(event) for event in shelf.library.index_pending()][-1] is Failed
    assert shelf.states() == {"locked.pdf": "failed"}
    assert shelf.store.passages("locked.pdf", 0, 9) == before
    assert len(shelf.store.shown_contents()) == 1
    shelf.library.unlock("locked.pdf", "ábrete")
    assert [type(event) for event in shelf.library.index_pending()][-1] is Indexed


def test_a_file_replaced_by_a_broken_one_keeps_what_it_showed(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "a.pdf", ["El faro mide 69 metros."])
    shelf.run()
    (shelf.docs / "a.pdf").write_bytes(b"%PDF-1.4 broken")
    assert shelf.outcomes() == {"a.pdf": Failed}
    assert [passage.text for passage in shelf.store.passages("a.pdf", 0, 9)] == ["El faro mide 69 metros."]
    shelf.library.remove("a.pdf")
    assert not shelf.store.shown_contents()


def test_what_a_failed_or_cancelled_document_shows_is_embedded_by_another_embedder_too(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "failed.pdf", ["El faro mide 69 metros."])
    write_files(shelf.docs, {"cancelled.txt": "La torre mide 70 metros."})
    shelf.run()
    (shelf.docs / "failed.pdf").write_bytes(b"%PDF-1.4 broken")
    shelf.run()
    shelf.library.reindex("cancelled.txt")
    shelf.library.cancel("cancelled.txt")
    states = {"cancelled.txt": "cancelled", "failed.pdf": "failed"}
    other = with_other_embedder(shelf)
    other.run()
    assert other.states() == states
    assert len(other.store.shown_contents("other")) == 2
    assert [passage.windows for passage in other.store.passages("failed.pdf", 0, 9)] == [2]
    embedded = other.embedder.texts
    other.run()
    assert other.embedder.texts == embedded


# How far the work has come.


def progress(shelf: Shelf) -> list[Embedding]:
    return [event for event in shelf.library.run() if isinstance(event, Embedding)]


def test_the_total_of_a_long_pdf_is_judged_by_its_pages_until_it_is_read(shelf: Shelf) -> None:
    page = "\n".join(["El faro mide sesenta y nueve metros y se ve desde muy lejos en noches claras."] * 30)
    write_pdf(shelf.docs / "long.pdf", [page] * 150)
    events = progress(shelf)
    exact = events[-1].total
    estimates = [event for event in events if event.about]
    assert estimates and not events[-1].about
    assert {event.total for event in estimates} == {exact}  # its pages are all alike
    assert [event.done for event in events] == sorted(event.done for event in events)
    assert shelf.store.documents()[0].chunks == exact


def test_pages_are_counted_before_they_are_read(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "scan.pdf", [""] * 45)
    read = [(event.pages, event.total) for event in shelf.library.run() if isinstance(event, Parsing)]
    assert {(20, 45), (40, 45)} <= set(read)


def test_no_total_is_promised_of_a_file_whose_end_nobody_knows(shelf: Shelf) -> None:
    rows = "".join(f"{number},{'palabra ' * 20}\n" for number in range(3000))
    write_files(shelf.docs, {"table.csv": f"número,texto\n{rows}", "long.md": "palabra " * 30_000})
    events = progress(shelf)
    table = [event for event in events if event.source == "table.csv"]
    assert table[0].total == 0 and table[0].about
    assert table[-1].total == shelf.store.documents()[1].chunks and not table[-1].about
    one_page = {(event.total, event.about) for event in events if event.source == "long.md"}
    assert one_page == {(shelf.store.documents()[0].chunks, False)}


def test_the_table_sees_the_same_progress_as_the_terminal(shelf: Shelf) -> None:
    page = "\n".join(["El faro mide sesenta y nueve metros y se ve desde muy lejos en noches claras."] * 30)
    write_pdf(shelf.docs / "long.pdf", [page] * 150)
    for event in shelf.library.run():
        if isinstance(event, Embedding):
            document = shelf.store.documents()[0]
            assert (document.state, document.done, document.total, document.about) == (
                "embedding", event.done, event.total, event.about)


def test_small_files_come_before_large_ones(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "palabra " * 3000, "b.txt": "una foca", "c.txt": "foca"})
    assert [event.source for event in shelf.run() if isinstance(event, Indexed)] == ["c.txt", "b.txt", "a.txt"]
