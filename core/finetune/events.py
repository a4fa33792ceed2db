"""The events of a run: one JSON object a line in `events.jsonl`, written by the worker, read by everyone.

Each has `event` (its kind) and `time` (seconds since 1970). The kinds:

    state     state: loading, training, saving, evaluating
    resumed   step, seconds: the run goes on from there; what it told of later steps is void
    start     total_steps, rows, held_out_rows, dropped_rows, shortened_rows, matched_modules,
              target_modules, missing_modules, device, precision, bytes_4bit, bytes_other, packing
              ("on", "off", or "leaks": asked for, but rows of this model would see each other)
    step      step, total, epoch, loss, learning_rate, tokens, tokens_per_second, seconds, memory_bytes:
              tokens are those of the rows, prompts too, since the run began or was resumed
    eval      step, total, epoch, loss, seconds: on the rows held out
    saved     adapter_bytes, peak_memory_bytes
    answering number, total: the sample answers being written
    result    see `evaluation.Result`
    finished  final_loss, seconds
    stopped   step, seconds
    failed    code, values

`seconds` count from the first step, over all parts of a resumed run. Knows nothing of training.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Event = dict[str, Any]
FINAL = frozenset({"finished", "stopped", "failed"})
CURVE = frozenset({"step", "eval"})
TORN: Event = {"event": "torn"}


class EventWriter:
    """Appends events as whole lines. `lock` keeps every other thread from writing while it is held."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        # A worker killed half-way through a line must not spoil the first line of the next one.
        before = path.read_bytes() if path.exists() else b""
        self.prefix = "\n" if before and not before.endswith(b"\n") else ""

    def write(self, event: str, **values: Any) -> None:
        record = {"event": event, "time": round(time.time(), 3), **values}
        clean = {name: finite(value) for name, value in record.items()}
        with self.lock, self.path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(self.prefix + json.dumps(clean, ensure_ascii=False, default=str) + "\n")
            self.prefix = ""


def finite(value: Any) -> Any:
    """JSON has no NaN: a loss that is one becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_events(path: Path) -> list[Event]:
    """One event for each complete line; a line that is no event gives TORN, so that counting entries is
    counting lines. A last line still being written is left for the next reading."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError:
        return []
    return [parse_event(line) for line in lines]


def parse_event(line: bytes) -> Event:
    try:
        event = json.loads(line)
    except ValueError:
        return TORN
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else TORN


def valid_events(events: Iterable[Event]) -> list[Event]:
    """Without the steps that a resumed run has taken again, so that each step stands once."""
    kept: list[Event] = []
    for event in events:
        if event["event"] == "resumed":
            step = event.get("step", 0)
            kept = [one for one in kept if one["event"] not in CURVE or one.get("step", 0) <= step]
        kept.append(event)
    return kept
