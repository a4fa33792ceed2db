"""Starting the worker of a run, which outlives whoever starts it. Knows nothing of what a run is made with."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

from core import processes
from core.finetune.events import EventWriter, read_events
from core.finetune.run import is_locked, read_tail

# Python starts and takes the worker's lock in a fraction of a second; a busy disk may need more.
START_TIMEOUT_SECONDS = 30.0


def launch(folder: Path, *, resume: bool = False) -> None:
    """Start the worker and wait until it holds its lock. A worker that ends before has left its reason in the
    log; the run is then marked failed."""
    command = processes.python_module("core.finetune.worker", str(folder), *(["--resume"] if resume else []))
    child = processes.start(command, log_path=folder / "log.txt", piped=False, outlives_us=True)
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        if is_locked(folder / "worker.lock"):
            break
        time.sleep(0.05)
    # A worker that came as far as its own words has told them since.
    if child.poll() not in (None, 0) and not told_since_start(folder):
        reason = (read_tail(folder / "log.txt").splitlines() or ["?"])[-1][:300]
        EventWriter(folder / "events.jsonl").write("failed", code="train_crashed", values={"reason": reason})
    forget(child)


def mark_starting(folder: Path) -> None:
    """The run's last state from now on, until its worker tells another."""
    EventWriter(folder / "events.jsonl").write("state", state="starting")


def told_since_start(folder: Path) -> bool:
    events = read_events(folder / "events.jsonl")
    return bool(events) and events[-1].get("state") != "starting"


def forget(child: subprocess.Popen[bytes]) -> None:
    """Let the child outlive us without a complaint of the interpreter, and reap it when it ends before us."""
    threading.Thread(target=child.wait, daemon=True, name="training-worker").start()
