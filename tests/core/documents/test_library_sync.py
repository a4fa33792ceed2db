"""The store follows the folder, and what cannot be looked at or vanished in numbers is not taken for gone."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from core.documents import folder
from core.documents.events import Failed, Indexed, Missing, NoText, Removed, Skipped, Summary, Unreadable
from core.documents.folder import scan
from tests.core.documents.conftest import write_files, write_pdf
from tests.core.documents.shelf import Shelf


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
