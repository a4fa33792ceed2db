"""A change in the folder is reported once it came to rest, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.documents.folder import FolderScan
from core.documents.watching import FolderWatch
from tests.core.documents.conftest import write_files


class Watched:
    """A folder under watch, and what was reported of it: what was found, and what was still moving."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports: list[tuple[set[str], set[str]]] = []
        self.watch = FolderWatch(folder, self._report)

    def _report(self, found: FolderScan, moving: frozenset[str]) -> None:
        self.reports.append((set(found.files), set(moving)))

    def look(self) -> list[tuple[set[str], set[str]]]:
        """What one look reports."""
        self.reports.clear()
        self.watch.look()
        return list(self.reports)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    write_files(tmp_path, {"a.txt": "uno", "sub/b.txt": "dos"})
    made = Watched(tmp_path)
    made.watch.seen()
    return made


def test_an_unchanged_folder_is_not_reported_and_looked_at_seldom(watched: Watched) -> None:
    assert watched.look() == watched.look() == []
    assert watched.watch.pause_seconds >= 2


def test_a_new_file_is_reported_when_it_is_not_written_to_any_more(watched: Watched) -> None:
    for text in ("half", "half of it", "all of it now"):
        write_files(watched.folder, {"new.txt": text})
        assert watched.look() == []
        assert watched.watch.pause_seconds == 1
    assert watched.look() == [({"a.txt", "new.txt", "sub/b.txt"}, set())]
    assert watched.look() == []


def test_a_file_that_is_still_being_written_does_not_hold_up_the_others(watched: Watched) -> None:
    write_files(watched.folder, {"new.txt": "new", "log.txt": "1"})
    assert watched.look() == []
    write_files(watched.folder, {"log.txt": "1\n2"})
    assert watched.look() == [({"a.txt", "log.txt", "new.txt", "sub/b.txt"}, {"log.txt"})]


def test_a_changed_file_and_one_that_went_are_reported_once(watched: Watched) -> None:
    (watched.folder / "sub" / "b.txt").unlink()
    os.utime(watched.folder / "a.txt", (5, 5))
    assert watched.look() == []
    assert watched.look() == [({"a.txt"}, set())]
    assert watched.look() == []


def test_a_renamed_file_leaves_and_comes_in_one_report(watched: Watched) -> None:
    """Otherwise its content would be forgotten and embedded again."""
    (watched.folder / "a.txt").rename(watched.folder / "z.txt")
    assert watched.look() == []
    assert watched.look() == [({"sub/b.txt", "z.txt"}, set())]


def test_a_folder_that_vanishes_is_reported_as_empty(watched: Watched) -> None:
    watched.folder.rename(watched.folder.with_name("elsewhere"))
    assert watched.look() == []
    assert watched.look() == [(set(), set())]
