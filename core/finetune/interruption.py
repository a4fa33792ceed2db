"""Why a run ended without telling its end, as far as it can be seen from outside afterwards.

A process that is killed says nothing: what is left are its events, the end of its log, and what the system counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psutil

from core.errors import TrainingError
from core.finetune import failures
from core.finetune.events import Event

LAST_LINES = 20  # of the log: what stands further up was survived


def reason(events: Sequence[Event], log_tail: str, folder: Path) -> TrainingError:
    """train_interrupted_restart, train_interrupted_memory, train_interrupted_disk, or train_interrupted when nobody
    can tell: then it was ended by hand, or from outside."""
    told_at = float((events[-1].get("time") if events else 0) or 0)
    if told_at and told_at < psutil.boot_time():
        return TrainingError("train_interrupted_restart")
    known = failures.interruption(events)
    if known.code != "train_interrupted":
        return known
    end = "\n".join(log_tail.splitlines()[-LAST_LINES:]).lower()
    if any(part in end for part in failures.DISK_FULL):
        return TrainingError("train_interrupted_disk", folder=str(folder))
    if any(part in end for part in failures.OUT_OF_MEMORY):
        return TrainingError("train_interrupted_memory")
    return known
