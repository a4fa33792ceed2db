"""Starting, stopping and listing training runs. The folders are the only state: a second window, a restart of
the page or a terminal sees the same runs. Never imports torch.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from core import processes
from core.errors import TrainingError
from core.finetune import models, preflight
from core.finetune.config import TrainConfig
from core.finetune.dataset import read_dataset, write_dataset
from core.finetune.events import Event, EventWriter, read_events
from core.finetune.run import Run, is_locked, read_run, read_tail
from core.settings import Settings

RUN_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}", re.ASCII)
# Python starts and takes the worker's lock in a fraction of a second; a busy disk may need more.
START_TIMEOUT_SECONDS = 30.0
# Longer than a reader of the list holds the start lock to see whether it is free.
LOCK_PATIENCE_SECONDS = 0.3

# Inside the class `list` is its method.
RunList = list[Run]
EventList = list[Event]


class Runs:
    """The runs of `settings.runs_dir`. Any number of these may exist, in any number of processes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.runs_dir.resolve()
        self._events: dict[Path, tuple[tuple[int, int], EventList]] = {}

    def start(self, config: TrainConfig, dataset_path: Path) -> Run:
        """Check everything that can be checked, then start a worker that outlives us.

        Raises TrainingError: train_already_running, and what `TrainConfig.validate`, `read_dataset` and
        `preflight.check` raise.
        """
        config.validate()
        with self._starting():
            running = self.active()
            if running is not None:
                raise TrainingError("train_already_running", name=running.name)
            dataset = read_dataset(dataset_path)
            preflight.check(config, self.settings)
            local = models.local_folder(config.model)
            if local is not None:
                config = replace(config, model=str(local))
            folder = self._new_folder(config)
            write_dataset(folder / "dataset.jsonl", dataset.examples)
            write_config(folder / "config.json", config)
            launch(folder)
        return self.get(folder.name)

    def list(self) -> RunList:
        """All runs, the newest first."""
        if not self.folder.is_dir():
            return []
        starting = is_locked(self._start_lock)
        found = [
            self._read(folder, starting=starting)
            for folder in self.folder.iterdir()
            if RUN_NAME.fullmatch(folder.name) and folder.is_dir()
        ]
        return sorted((run for run in found if run), key=lambda run: (run.created, run.name), reverse=True)

    def get(self, name: str) -> Run:
        """Raises TrainingError train_run_not_found, also for names that are no run's name."""
        run = self._read(self._folder_of(name), starting=is_locked(self._start_lock))
        if run is None:
            raise TrainingError("train_run_not_found", name=name)
        return run

    def active(self) -> Run | None:
        """The run whose worker lives, if there is one."""
        return next((run for run in self.list() if run.alive and is_locked(run.folder / "worker.lock")), None)

    def stop(self, name: str) -> None:
        """Ask a run to stop: it saves what it has learnt after the step at hand. Raises TrainingError
        train_run_not_found, train_not_running."""
        run = self.get(name)
        if not run.alive:
            raise TrainingError("train_not_running", name=name)
        (run.folder / "stop").touch()

    def events(self, name: str, after_line: int = 0) -> EventList:
        """The events from line `after_line` on; the next call adds the length of this answer. Raises
        TrainingError train_run_not_found."""
        return self._events_of(self._folder_of(name))[after_line:]

    @property
    def _start_lock(self) -> Path:
        return self.folder / ".start.lock"

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Held while a run is started, so that two starts give one run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._start_lock, timeout=LOCK_PATIENCE_SECONDS)
        try:
            lock.acquire()
        except Timeout as error:
            raise TrainingError("train_already_running", name="…") from error
        try:
            yield
        finally:
            lock.release()

    def _folder_of(self, name: str) -> Path:
        """A name may come from the page: it must never lead out of our folder."""
        if not RUN_NAME.fullmatch(name) or not (self.folder / name).is_dir():
            raise TrainingError("train_run_not_found", name=name)
        return self.folder / name

    def _read(self, folder: Path, *, starting: bool) -> Run | None:
        return read_run(folder, self._events_of(folder), starting=starting)

    def _events_of(self, folder: Path) -> EventList:
        """The events of a run, read again only when the file has changed."""
        path = folder / "events.jsonl"
        try:
            status = path.stat()
        except OSError:
            return []
        mark = (status.st_size, status.st_mtime_ns)
        known = self._events.get(path)
        if known is None or known[0] != mark:
            known = self._events[path] = (mark, read_events(path))
        return known[1]

    def _new_folder(self, config: TrainConfig) -> Path:
        """`2026-11-22-1530-qwen3-0.6b`, with a number behind it when it exists. Called under the lock."""
        base = f"{datetime.now():%Y-%m-%d-%H%M}-{model_slug(config.model)}"
        number = 1
        while (folder := self.folder / (base if number == 1 else f"{base}-{number}")).exists():
            number += 1
        folder.mkdir()
        return folder


def model_slug(model: str) -> str:
    """The last part of a model's name, fit for a folder on any system."""
    last = model.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].lower()
    return re.sub(r"[^a-z0-9.]+", "-", last)[:40].strip("-.") or "model"


def write_config(path: Path, config: TrainConfig) -> None:
    """Whole or not at all: this file makes the folder a run."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(config.to_dict(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def launch(folder: Path) -> None:
    """Start the worker and wait until it holds its lock. A worker that ends before has left its reason in the
    log; the run is then marked failed."""
    command = processes.python_module("core.finetune.worker", str(folder))
    child = processes.start(command, log_path=folder / "log.txt", piped=False, outlives_us=True)
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        if is_locked(folder / "worker.lock"):
            break
        time.sleep(0.05)
    if child.poll() not in (None, 0) and not read_events(folder / "events.jsonl"):
        reason = log_reason(folder)
        EventWriter(folder / "events.jsonl").write("failed", code="train_crashed", values={"reason": reason})
    forget(child)


def log_reason(folder: Path) -> str:
    return (read_tail(folder / "log.txt").splitlines() or ["?"])[-1][:300]


def forget(child: subprocess.Popen[bytes]) -> None:
    """Let the child outlive us without a complaint of the interpreter, and reap it when it ends before us."""
    threading.Thread(target=child.wait, daemon=True, name="training-worker").start()
