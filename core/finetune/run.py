"""One training run, as its folder tells it. Reads only; knows nothing of how runs are started.

    <run>/  config.json     what it is made with; a folder without it is no run
            about.json      the title the user gave it, when it was made, which dataset
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
from core.finetune import interruption
from core.finetune.config import TrainConfig
from core.finetune.events import FINAL, Event, valid_events

State = Literal[
    "starting", "loading", "training", "evaluating", "saving", "finished", "stopped", "failed", "interrupted"
]
ALIVE: frozenset[State] = frozenset({"starting", "loading", "training", "evaluating", "saving"})
RESUMABLE: frozenset[State] = frozenset({"stopped", "failed", "interrupted"})

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
    error: tuple[str, dict[str, Any]] | None  # code and values of the sentence, when it failed or was interrupted
    stop_asked: bool
    seconds: float  # of training, up to the last step told
    title: str = ""  # what the user calls it; empty: its name
    dataset: dict[str, Any] = field(default_factory=dict)  # name, format, rows, examples, bad_rows, duplicates
    evals: tuple[Event, ...] = field(default=(), repr=False)  # the `eval` events, in order
    result: Event = field(default_factory=dict, repr=False)  # the `result` event; empty before it
    ended: float = 0.0  # when it finished, stopped or failed, in seconds since 1970; 0 before

    @property
    def alive(self) -> bool:
        return self.state in ALIVE

    @property
    def shown_name(self) -> str:
        return self.title or self.name

    @property
    def final_loss(self) -> float | None:
        """The last loss told, of the training rows."""
        return next((step["loss"] for step in reversed(self.steps) if step.get("loss") is not None), None)

    @property
    def resumable(self) -> bool:
        """Whether it can go on from where it ended."""
        return self.state in RESUMABLE

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
        made = (folder / "config.json").stat().st_mtime
    except (OSError, ValueError, AttributeError, TrainingError):
        return None
    about = read_about(folder)
    state = state_of(folder, events, starting=starting)
    told = valid_events(events)
    steps = tuple(event for event in told if event["event"] == "step")
    ends = [event for event in events if event["event"] in FINAL] if state not in ALIVE else []
    return Run(
        name=folder.name, folder=folder, config=config, state=state,
        created=datetime.fromtimestamp(about.get("created") or made),
        plan=last(told, "start"), steps=steps, error=error_of(folder, state, events, ends),
        stop_asked=(folder / "stop").exists(),
        seconds=float((steps[-1].get("seconds") if steps else 0) or 0),
        title=str(about.get("title") or ""), dataset=about.get("dataset") or {},
        evals=tuple(event for event in told if event["event"] == "eval"), result=last(told, "result"),
        ended=float((ends[-1].get("time") if ends else 0) or 0),
    )


def last(events: Sequence[Event], kind: str) -> Event:
    """The last event of a kind; empty when there is none."""
    return next((event for event in reversed(events) if event["event"] == kind), {})


def read_about(folder: Path) -> dict[str, Any]:
    """What `about.json` holds; runs of an older version have none."""
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def error_of(
    folder: Path, state: State, events: Sequence[Event], ends: Sequence[Event]
) -> tuple[str, dict[str, Any]] | None:
    """Why a run failed, as it told itself, or was interrupted, as far as can be seen from outside."""
    if state == "failed":
        return str(ends[-1].get("code")), dict(ends[-1].get("values") or {})
    if state != "interrupted":
        return None
    known = interruption.reason(events, read_tail(folder / "log.txt"), folder)
    return known.code, known.values


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
    return "starting" if told in (None, "starting") and starting else "interrupted"


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
