"""Looking at the folder again and again: what changed and came to rest is reported. Knows nothing of the store.

A look every few seconds rather than the system's change events: those do not reach network drives, differ from system
to system, and tell nothing of a file that is still being written. A look at 1,000 files takes 6 ms.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from core.documents.folder import FolderScan, scan

_LEAST_SECONDS = 2.0
_MOST_SECONDS = 30.0
_SETTLE_SECONDS = 1.0
# Between two looks lies this many times what a look takes: at most one hundredth of a core, and a slow drive is left
# in peace.
_REST = 100
# As often what did not change is reported too, so that a file that could not be read is tried again.
_REPORT_SECONDS = 30.0

Report = Callable[[FolderScan, frozenset[str]], None]


class FolderWatch:
    """What one look shows is compared with the look before: a source that differs is still moving, and is left to
    the next look."""

    def __init__(self, docs_dir: Path, report: Report) -> None:
        self._docs_dir = docs_dir
        self._report = report
        self._before = FolderScan({})
        self._moving: frozenset[str] = frozenset()
        self._reported = 0.0
        self.pause_seconds = 0.0  # until the next look is due

    def seen(self) -> None:
        """The folder is about to be compared as a whole: what is there now is no news."""
        self._before = scan(self._docs_dir)
        self._moving = frozenset()
        self._reported = time.monotonic()

    def look(self) -> None:
        """Look once, and report the folder and what is still moving in it when there is anything to do."""
        started = time.monotonic()
        found = scan(self._docs_dir)
        took = time.monotonic() - started
        settled = self._moving
        self._moving = found.differences(self._before)
        self._before = found
        self.pause_seconds = _SETTLE_SECONDS if self._moving else min(max(_LEAST_SECONDS, _REST * took), _MOST_SECONDS)
        if settled - self._moving or time.monotonic() - self._reported > _REPORT_SECONDS:
            self._reported = time.monotonic()
            self._report(found, self._moving)
