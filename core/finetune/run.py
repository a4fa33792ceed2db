"""One training run, as its folder tells it. Reads only; knows nothing of how runs are started.

    <run>/  config.json     what it is made with; a folder without it is no run
            dataset.jsonl   the good rows
            events.jsonl    what happened (see `events`)
            log.txt         what the libraries printed
            worker.lock     held while the worker lives
            stop            its existence asks the worker to stop
            checkpoints/    adapter/
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from core.errors import TrainingError
from core.finetune.config import TrainConfig
from core.finetune.events import FINAL, Event

State = Literal[
    "starting", "loading", "training", "saving", "finished", "stopped", "failed", "interrupted"
]
ALIVE: frozenset[State] = frozenset({"starting", "loading", "training", "saving"})

LOG_TAIL_LINES = 200
LOG_TAIL_BYTES = 64 * 1024
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Run:
    name: str
    folder: Path
    config: TrainConfig
    state: State
    created: datetime  # local time
    plan: Event  # the values of the `start` event; empty before it
    steps: tuple[Event, ...] = field(repr=False)  # the `step` events, in order
    error: tuple[str, dict[str, Any]] | None  # code and values of the sentence, when it failed
    stop_asked: bool
    seconds: float  # of training, up to the last step told

    @property
    def alive(self) -> bool:
        return self.state in ALIVE

    @property
    def adapter(self) -> Path | None:
        """The finished adapter; None before it is saved whole."""
        folder = self.folder / "adapter"
        return folder if (folder / "adapter_config.json").is_file() else None

    @property
    def log_tail(self) -> str:
        """The last lines of the log, read now."""
        return read_tail(self.folder / "log.txt")


def read_run(folder: Path, events: Sequence[Event], *, starting: bool) -> Run | None:
    """A run from its folder and events; None when the folder is no run.

    `starting` tells that someone is starting a run just now: its worker may not hold its lock yet.
    """
    try:
        text = (folder / "config.json").read_text(encoding="utf-8")
        config = TrainConfig.from_dict(json.loads(text))
        created = datetime.fromtimestamp((folder / "config.json").stat().st_mtime)
    except (OSError, ValueError, AttributeError, TrainingError):
        return None
    steps = tuple(event for event in events if event["event"] == "step")
    ends = [event for event in events if event["event"] in FINAL]
    state = state_of(folder, events, starting=starting)
    failure = ends[-1] if ends and state == "failed" else None
    return Run(
        name=folder.name, folder=folder, config=config, state=state, created=created,
        plan=next((event for event in reversed(events) if event["event"] == "start"), {}),
        steps=steps,
        error=(str(failure.get("code")), dict(failure.get("values") or {})) if failure else None,
        stop_asked=(folder / "stop").exists(),
        seconds=float((steps[-1].get("seconds") if steps else 0) or 0),
    )


def state_of(folder: Path, events: Sequence[Event], *, starting: bool) -> State:
    """The last state told; a run that told no end and whose worker is gone was interrupted."""
    told: State | None = None
    for event in events:
        if event["event"] == "state":
            told = event.get("state")
        elif event["event"] in FINAL:
            told = event["event"]
    if told in ("finished", "stopped", "failed"):
        return told
    if is_locked(folder / "worker.lock"):
        return told or "starting"
    return "starting" if told is None and starting else "interrupted"


def is_locked(path: Path) -> bool:
    """Whether a process holds this lock now."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that may only be read: nobody of ours trains there
        return False


def read_tail(path: Path) -> str:
    """At most LOG_TAIL_LINES lines of LOG_TAIL_BYTES bytes. Of a progress bar, which repaints its line, the
    last painting stays; colours are left out."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            start = max(0, file.tell() - LOG_TAIL_BYTES)
            file.seek(start)
            text = file.read(LOG_TAIL_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = text.split("\n")[1 if start else 0 :]
    shown = [ESCAPES.sub("", line.rstrip("\r").rsplit("\r", 1)[-1]) for line in lines]
    return "\n".join(shown[-LOG_TAIL_LINES:]).rstrip("\n")
