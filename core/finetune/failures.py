"""What ended a run, as an error with a sentence. Knows the messages of the libraries that train."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Sequence
from pathlib import Path

from core.errors import TrainingError
from core.finetune.config import TrainConfig
from core.finetune.dataset import is_disk_full
from core.finetune.events import Event
from core.finetune.models import is_network_error

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")
# Linux counts here how often it ended a process because memory ran out.
VMSTAT = Path("/proc/vmstat")
DISK_FULL = ("no space left", "os error 28", "disk quota exceeded", "not enough space on the disk")


def explain(error: BaseException, config: TrainConfig) -> TrainingError:
    """The error a user can act on. What nobody foresaw becomes train_crashed with its last line; the whole
    traceback is in the log."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for each in chain:
        known = recognise(each, config)
        if known is not None:
            return known
    return TrainingError("train_crashed", reason=last_line(error))


def recognise(error: BaseException, config: TrainConfig) -> TrainingError | None:
    if isinstance(error, TrainingError):
        return error
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(part in text for part in OUT_OF_MEMORY):
        return TrainingError(
            "train_out_of_memory", model=config.model, batch_size=config.batch_size,
            max_length=config.max_length,
        )
    full = isinstance(error, OSError) and is_disk_full(error)
    if full or any(part in text for part in DISK_FULL):
        return TrainingError("train_disk_full")
    if is_network_error(error):
        return TrainingError("train_hub_unreachable", model=config.model)
    return None


def last_line(error: BaseException) -> str:
    """`ValueError: …`, on one line of at most 300 characters."""
    lines = "".join(traceback.format_exception_only(error)).split()
    return " ".join(lines)[:300]


def interruption(events: Sequence[Event]) -> TrainingError:
    """Why a run ended without a word, as far as can be told: train_interrupted_memory when the system has ended
    processes for lack of memory since it began, else train_interrupted."""
    before = next((one.get("oom_kills") for one in reversed(events) if one.get("oom_kills") is not None), None)
    now = oom_kills()
    if before is not None and now is not None and now > before:
        return TrainingError("train_interrupted_memory")
    return TrainingError("train_interrupted")


def oom_kills() -> int | None:
    """How many processes this system has ended for lack of memory since it was started; None where nobody
    counts them."""
    with contextlib.suppress(OSError, ValueError):
        for line in VMSTAT.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return None
