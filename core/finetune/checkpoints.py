"""Checkpoints of a run: which of them are whole, and when the next one is worth its time.

A checkpoint is a folder of several files. It gets the file `whole` last, so one that a kill or a full disk cut
short has none and is never resumed from. Knows nothing of what the files hold.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

MARK = "whole"
NAME = re.compile(r"checkpoint-(\d+)")
# At most a minute of work is lost by a kill, and at most a twentieth of the time goes into saving.
MIN_INTERVAL_SECONDS = 60.0
MIN_INTERVAL_SAVES = 20.0


def whole_checkpoints(folder: Path) -> list[Path]:
    """Those that can be resumed from, by their step."""
    found = [path for path in checkpoint_folders(folder) if (path / MARK).is_file()]
    return sorted(found, key=step_of)


def last_checkpoint(folder: Path) -> Path | None:
    whole = whole_checkpoints(folder)
    return whole[-1] if whole else None


def step_of(checkpoint: Path) -> int:
    """The optimizer steps done when it was written."""
    match = NAME.fullmatch(checkpoint.name)
    return int(match[1]) if match else 0


def mark_whole(checkpoint: Path) -> None:
    (checkpoint / MARK).touch()


def remove_torn(folder: Path) -> None:
    """Those a kill left unfinished; otherwise they would count among the few that are kept."""
    for path in checkpoint_folders(folder):
        if not (path / MARK).is_file():
            shutil.rmtree(path, ignore_errors=True)


def checkpoint_folders(folder: Path) -> list[Path]:
    return [path for path in folder.glob("checkpoint-*") if NAME.fullmatch(path.name) and path.is_dir()]


@dataclass
class Pace:
    """Tells when to save. `every_steps` is the user's wish; with 0 the time decides. Times are readings of
    time.monotonic()."""

    every_steps: int
    saved_at: float
    save_seconds: float = 0.0  # of the last checkpoint

    def due(self, step: int, now: float) -> bool:
        if self.every_steps:
            return step % self.every_steps == 0
        return now - self.saved_at >= max(MIN_INTERVAL_SECONDS, MIN_INTERVAL_SAVES * self.save_seconds)

    def saved(self, now: float, seconds: float) -> None:
        self.saved_at, self.save_seconds = now, seconds
