"""Files come into the library and leave it; the user's are never destroyed. No model: nothing is embedded here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.documents.events import Indexed
from core.documents.folder import free_name, safe_name
from core.errors import DocumentError
from tests.core.documents.conftest import write_files
from tests.core.documents.shelf import Shelf


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text("una nota", encoding="utf-8")
    return path


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
