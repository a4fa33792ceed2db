"""The store: whole transactions, nothing left over, names and contents apart, several processes at once."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.documents.chunking import split_pages
from core.documents.events import Reason
from core.documents.store import Store
from core.errors import DocumentError

MODEL = "mini"
PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data" / "store.sqlite3")


def add_content(store: Store, sha256: str, pages: list[str], model: str = MODEL) -> None:
    chunks = split_pages(pages, 50, 10)
    vectors = np.full((len(chunks), 4), 0.5, np.float32)
    store.add_content(sha256, pages, chunks, ["es"] * len(chunks), model, vectors)


def add_document(store: Store, source: str, sha256: str, pages: list[str]) -> None:
    store.queue(source, sha256, 10, 1)
    add_content(store, sha256, pages)
    assert store.show_content(source, sha256) is not None


def found(store: Store) -> dict[int, tuple[str, str]]:
    """All chunks a search could show: id → name and text."""
    ids = [chunk_id for content in store.shown_contents(MODEL) for chunk_id, _, _ in store.texts(content)]
    return {chunk.id: (chunk.source, chunk.text) for chunk in store.first_chunks(sorted(ids), 99)}


def test_a_document_is_shown_only_when_its_content_is_complete(store: Store) -> None:
    store.queue("a.txt", "aa", 10, 1)
    assert store.pending() == ["a.txt"]
    add_content(store, "aa", ["uno"])
    assert not store.shown_contents(MODEL)
    shown = store.show_content("a.txt", "aa")
    assert shown is not None
    assert (shown.state, shown.pages, shown.chunks) == ("indexed", 1, 1)
    assert list(found(store).values()) == [("a.txt", "uno")]
    assert store.pending() == []


def test_a_replaced_file_shows_its_old_content_until_the_new_one_is_complete(store: Store) -> None:
    add_document(store, "a.txt", "aa", ["uno"])
    store.queue("a.txt", "bb", 11, 2)
    store.set_progress("a.txt", "embedding", 1, 2)
    assert list(found(store).values()) == [("a.txt", "uno")]
    add_content(store, "bb", ["dos"])
    store.show_content("a.txt", "bb")
    assert list(found(store).values()) == [("a.txt", "dos")]
    assert not store.has_content("aa", MODEL)


def test_one_content_under_two_names_goes_with_the_last_of_them(store: Store) -> None:
    add_document(store, "a.txt", "aa", ["uno"])
    store.queue("b.txt", "aa", 10, 1)
    assert store.has_content("aa", MODEL)
    store.show_content("b.txt", "aa")
    assert list(found(store).values()) == [("a.txt", "uno")]
    store.remove("a.txt")
    assert list(found(store).values()) == [("b.txt", "uno")]
    store.remove("b.txt")
    assert not found(store)
    assert not store.has_content("aa", MODEL)
    assert store.page_text("aa", 1) is None


def test_a_content_someone_still_waits_for_stays(store: Store) -> None:
    add_document(store, "a.txt", "aa", ["uno"])
    store.queue("b.txt", "aa", 10, 1)
    store.remove("a.txt")
    assert store.has_content("aa", MODEL)


def test_ids_are_never_used_again(store: Store) -> None:
    add_document(store, "a.txt", "aa", ["uno"])
    (chunk_id,), (content,) = found(store), store.shown_contents(MODEL)
    store.remove("a.txt")
    add_document(store, "a.txt", "aa", ["uno"])
    (again,), (content_again,) = found(store), store.shown_contents(MODEL)
    assert again > chunk_id
    assert content_again > content
    assert store.first_chunks([chunk_id], 1) == []
    assert store.texts(content) == []
    assert len(store.vectors(content)[0]) == 0


def test_a_file_that_fails_keeps_its_reason_and_what_it_showed_before(store: Store) -> None:
    add_document(store, "a.txt", "aa", ["uno"])
    store.queue("a.txt", "bb", 11, 2)
    store.fail("a.txt", "bb", Reason("pdf_broken", {"page": 3}))
    document = store.document("a.txt")
    assert document is not None
    assert (document.state, document.reason, document.sha256) == ("failed", Reason("pdf_broken", {"page": 3}), "aa")
    assert list(found(store).values()) == [("a.txt", "uno")]
    assert store.source_of("bb") is None
    store.queue("new.txt", "cc", 11, 2)
    store.fail("new.txt", "cc", Reason("pdf_broken"))
    assert store.document("new.txt").sha256 is None  # type: ignore[union-attr]


def test_a_reading_of_the_old_file_cannot_fail_or_show_the_new_one(store: Store) -> None:
    store.queue("a.txt", "old", 10, 1)
    store.queue("a.txt", "new", 11, 2)
    store.fail("a.txt", "old", Reason("pdf_broken"))
    add_content(store, "old", ["viejo"])
    assert store.show_content("a.txt", "old") is None
    assert store.pending() == ["a.txt"]


def test_a_document_without_text_is_known_as_such(store: Store) -> None:
    add_document(store, "scan.pdf", "aa", ["", " "])
    document = store.document("scan.pdf")
    assert document is not None
    assert (document.state, document.pages, document.chunks) == ("no_text", 2, 0)
    assert not store.shown_contents(MODEL)


def test_vectors_come_back_in_the_order_of_their_chunks(store: Store) -> None:
    pages = ["palabra " * 40, "otra " * 40]
    chunks = split_pages(pages, 50, 10)
    vectors = np.random.default_rng(3).standard_normal((len(chunks), 8), np.float32)
    store.queue("a.txt", "aa", 10, 1)
    store.add_content("aa", pages, chunks, ["es"] * len(chunks), MODEL, vectors)
    store.show_content("a.txt", "aa")
    (content,) = store.shown_contents(MODEL)
    ids, stored = store.vectors(content)
    assert np.allclose(stored, vectors, atol=2e-3)
    assert list(ids) == sorted(ids)
    assert [text for _, _, text in store.texts(content)] == [chunk.text for chunk in chunks]
    assert [chunk.text for chunk in store.first_chunks(map(int, ids), 99)] == [chunk.text for chunk in chunks]


def test_characters_beyond_the_basic_plane_count_as_one(store: Store) -> None:
    add_document(store, "a.txt", "aa", ["🎉 𝒳 año " * 30])
    for chunk in store.first_chunks(found(store), 99):
        assert store.page_text("aa", 1)[chunk.start : chunk.end] == chunk.text  # type: ignore[index]


def test_a_write_that_breaks_off_leaves_nothing(store: Store) -> None:
    add_document(store, "a.txt", "aa", ["uno"])
    chunks = split_pages(["dos"], 50, 10)
    broken = [*chunks, replace(chunks[0], page="x" * 3, start=None)]  # type: ignore[arg-type]
    with pytest.raises(Exception, match="NOT NULL"):
        store.add_content("bb", ["dos"], broken, ["es", "es"], MODEL, np.ones((2, 4), np.float32))
    assert not store.has_content("bb", MODEL)
    assert store.page_text("bb", 1) is None
    assert list(found(store).values()) == [("a.txt", "uno")]


def test_another_embedder_gets_its_own_vectors_beside_the_old_ones(store: Store) -> None:
    add_document(store, "a.txt", "aa", ["uno", "dos"])
    before = found(store)
    (old,) = store.shown_contents()
    assert not store.shown_contents("other")
    store.queue_other_embedders("other")
    assert store.pending() == ["a.txt"]
    assert store.shown_contents(MODEL) == {old}  # until the new ones are there
    chunks = store.chunks_of("aa")
    assert chunks is not None
    assert [chunk.text for chunk in chunks] == ["uno", "dos"]
    store.replace_vectors("aa", "other", np.ones((3, 6), np.float32), [2, 1], [400, 9])
    store.show_content("a.txt", "aa")
    (new,) = store.shown_contents("other")
    assert new > old
    assert not store.shown_contents(MODEL)
    ids, vectors = store.vectors(new)
    assert vectors.shape == (3, 6)
    assert [list(before).index(chunk) for chunk in ids] == [0, 0, 1]  # the chunks are the same
    store.queue_other_embedders("other")
    assert store.pending() == []
    assert store.chunks_of("nothing") is None


def test_a_store_of_a_later_version_is_left_alone(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "data" / "store.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(DocumentError, match="store_version"):
        Store(path)


def test_a_damaged_store_says_so(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite3").write_bytes(b"no database " * 500)
    with pytest.raises(DocumentError, match="store_damaged"):
        Store(tmp_path / "store.sqlite3")


def test_two_processes_write_one_after_the_other(store: Store, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from core.documents.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for number in range(60): store.queue(f'{sys.argv[2]}{number}.txt', f'{sys.argv[2]}{number}', 1, 1)"
    )
    path = str(tmp_path / "data" / "store.sqlite3")
    children = [subprocess.Popen([sys.executable, "-c", code, path, name], cwd=PROJECT) for name in ("x", "y")]
    for number in range(60):
        store.queue(f"z{number}.txt", f"z{number}", 1, 1)
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    assert len(store.documents()) == 180


def test_notes_and_trash_are_remembered(store: Store, tmp_path: Path) -> None:
    store.set_note("guide", "shown")
    store.set_note("guide", "again")
    assert store.note("guide") == "again"
    assert store.note("other") is None
    first = store.add_trash("a.txt", tmp_path / "one")
    second = store.add_trash("a.txt", tmp_path / "two")
    assert store.trash() == [second, first]
    store.forget_trash(second.id)
    assert store.trash() == [first]


DOCUMENTS_1 = """
CREATE TABLE documents (
    source TEXT PRIMARY KEY,  -- path below the folder, with /
    sha256 TEXT,              -- the content that search shows; NULL before the first one is ready
    file_sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT, done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    again INTEGER NOT NULL DEFAULT 0  -- read and embed it anew, also when its content is known
) WITHOUT ROWID
"""


def test_a_store_of_the_version_before_is_brought_up_to_this_one(tmp_path: Path) -> None:
    path = tmp_path / "taller.sqlite3"
    first = Store(path)
    add_document(first, "a.txt", "aa", ["uno"])
    first.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE documents RENAME TO newer")
        db.execute(DOCUMENTS_1)
        db.execute("INSERT INTO documents SELECT source, sha256, file_sha256, size_bytes, modified_ns, state, reason,"
                   " done, total, again FROM newer")
        db.execute("DROP TABLE newer")
        db.execute("PRAGMA user_version = 1")
        db.commit()
    brought = Store(path)
    assert list(found(brought).values()) == [("a.txt", "uno")]
    brought.queue("a.txt", "bb", 10, 2)
    assert brought.set_progress("a.txt", "embedding", 1, 9, about=True)
    document = brought.document("a.txt")
    assert document is not None and document.about
    brought.close()
    Store(path).close()
