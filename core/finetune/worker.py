"""The process that trains: `python -m core.finetune.worker RUN_FOLDER [--resume]`.

Holds `worker.lock` as long as it lives, which is how everyone else knows that it does. What it has to say
goes to `events.jsonl`; what the libraries print goes to its output, which is the run's `log.txt`.
Started by `accelerate launch` it is one of several: the first of them holds the lock and tells the events.
Knows nothing of the page: it goes on when the page is closed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from pathlib import Path

from filelock import FileLock, Timeout

from core import processes
from core.finetune import failures
from core.finetune.checkpoints import last_checkpoint, step_of
from core.finetune.config import TrainConfig
from core.finetune.events import EventWriter
from core.finetune.preflight import visible_device
from core.finetune.progress import is_follower

STOP_POLL_SECONDS = 0.3
# Someone who looks whether the lock is free holds it for a moment.
LOCK_TIMEOUT_SECONDS = 10.0


def main(arguments: list[str]) -> int:
    """Exit status: 0 the run ended with an adapter or was stopped, 1 it failed, 2 it could not begin."""
    run = Path(arguments[0]).resolve()
    resume = "--resume" in arguments[1:]
    if is_follower():
        return work(run, EventWriter(Path(os.devnull)), resume=resume)
    try:
        with FileLock(run / "worker.lock", timeout=LOCK_TIMEOUT_SECONDS):
            return work(run, EventWriter(run / "events.jsonl"), resume=resume)
    except Timeout:
        print(f"another process trains {run}", file=sys.stderr)
        return 2


def work(run: Path, events: EventWriter, *, resume: bool) -> int:
    """The run from its first event to its last; every failure becomes a `failed` event."""
    config = TrainConfig()
    try:
        events.write("state", state="loading", oom_kills=failures.oom_kills())
        config = TrainConfig.from_dict(json.loads((run / "config.json").read_text(encoding="utf-8")))
        prepare_environment()
        processes.step_back(10)
        watcher = LoadingWatcher(events, run / "stop")
        watcher.start()
        from core.finetune.trainer import train

        train(run, config, events, before_steps=watcher.end, resume=resume)
    except Exception as error:
        traceback.print_exc()
        known = failures.explain(error, config)
        events.write("failed", code=known.code, values=known.values)
        return 1
    return 0


def prepare_environment() -> None:
    """What the libraries read when they are imported."""
    if "LOCAL_RANK" not in os.environ:  # `accelerate launch` gives each of its processes a GPU of its own
        os.environ["CUDA_VISIBLE_DEVICES"] = visible_device()
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


class LoadingWatcher(threading.Thread):
    """Ends the process when `stop` appears before the first step: importing and loading can take minutes and
    have nothing to save. From the first step on the trainer looks for itself, and `end` has been called."""

    def __init__(self, events: EventWriter, stop_file: Path) -> None:
        super().__init__(daemon=True)
        done = last_checkpoint(stop_file.with_name("checkpoints"))
        self.step = step_of(done) if done else 0
        self.events = events
        self.stop_file = stop_file
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(STOP_POLL_SECONDS):
            if self.stop_file.exists():
                with self.events.lock:
                    if not self.ended.is_set():
                        self.events.write("stopped", step=self.step, seconds=0)
                        os._exit(0)

    def end(self) -> None:
        with self.events.lock:
            self.ended.set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
