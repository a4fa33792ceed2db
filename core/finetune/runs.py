"""Starting, stopping, resuming and keeping training runs. The folders are the only state: a second window, a restart
of the page or a terminal sees the same runs. Never imports torch.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.errors import TrainingError
from core.finetune import comparing, models, preflight, published
from core.finetune.config import TrainConfig
from core.finetune.dataset import ColumnMapping, DatasetReport, check_dataset, is_disk_full
from core.finetune.events import Event, read_events
from core.finetune.examples import Turns
from core.finetune.launching import launch, mark_starting
from core.finetune.run import Run, is_locked, read_about, read_run
from core.settings import Settings

RUN_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}", re.ASCII)
TITLE_CHARS = 100
# Longer than a reader of the list holds the start lock to see whether it is free.
LOCK_PATIENCE_SECONDS = 0.3
# A folder still being prepared after so long belongs to a process that was killed.
FORGOTTEN_SECONDS = 86_400.0

ENDED = frozenset({"finished", "stopped", "failed"})

Mark = tuple[int, int]  # size and time of a file, which change when it does
GONE: Mark = (-1, -1)
# Inside the class `list` is its method.
RunList = list[Run]
EventList = list[Event]


class Runs:
    """The runs of `settings.runs_dir`. Any number of these may exist, in any number of processes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.runs_dir.resolve()
        self.trash_folder = self.folder / ".trash"
        self._events: dict[Path, tuple[Mark, EventList]] = {}
        self._ended: dict[Path, tuple[tuple[Mark, ...], Run]] = {}

    def start(
        self, config: TrainConfig, dataset_path: Path, *, mapping: ColumnMapping | None = None, turns: Turns = "all",
        skip_bad_rows: bool = False, title: str = "", on_progress: Callable[[int], None] | None = None,
        on_report: Callable[[DatasetReport], None] | None = None, begin: bool = True,
    ) -> Run:
        """Check everything that can be checked, then start a worker that outlives us; without `begin` someone else
        will (`accelerate launch`). A dataset may be the one of another run. `on_progress` is told the rows checked so
        far, `on_report` what the check found.

        Raises TrainingError: train_already_running, dataset_bad_rows unless `skip_bad_rows`, and what
        `TrainConfig.validate`, `check_dataset` and `preflight.check` raise.
        """
        config.validate()
        title = clean_title(title)
        self._refuse_second()
        preflight.check(config, self.settings)
        local = models.local_folder(config.model)
        if local is not None:
            config = replace(config, model=str(local))
        with self._preparing() as prepared:
            dataset = self._own_dataset(dataset_path, prepared)
            if dataset is None:
                report = check_dataset(dataset_path, mapping=mapping, turns=turns,
                                       write_to=prepared / "dataset.jsonl", on_progress=on_progress)
                if on_report:
                    on_report(report)
                if report.bad_rows and not skip_bad_rows:
                    raise TrainingError("dataset_bad_rows", name=report.name, count=report.bad_rows,
                                        line=report.problems[0].line, good=report.examples)
                dataset = dataset_facts(report)
            write_json(prepared / "about.json", {"title": title, "created": time.time(), "dataset": dataset})
            write_json(prepared / "config.json", config.to_dict())
            with self._starting():
                self._refuse_second()
                folder = prepared.replace(self._free_name(config))
                if begin:
                    launch(folder)
        return self.get(folder.name)

    def resume(self, name: str, wanted: TrainConfig | None = None, *, begin: bool = True) -> Run:
        """Go on with a run that was stopped, interrupted or failed, from its last checkpoint or else from the
        beginning; a finished one goes on when it is given more epochs. `wanted` are its settings, of which only
        those in `comparing.CHANGEABLE` may differ; `begin` as in `start`.

        Raises TrainingError: train_already_running, train_run_not_found, train_not_resumable, train_resume_differs,
        and what `preflight.check` raises.
        """
        with self._starting():
            self._refuse_second()
            run = self.get(name)
            wanted = wanted or run.config
            wanted.validate()
            comparing.check_resumable(run, wanted)
            preflight.check(wanted, self.settings)
            with told_when_full(run.folder):
                if wanted != run.config:
                    about = {**read_about(run.folder), "created": run.created.timestamp()}
                    write_json(run.folder / "about.json", about)
                    write_json(run.folder / "config.json", wanted.to_dict())
                (run.folder / "stop").unlink(missing_ok=True)
                if begin:
                    mark_starting(run.folder)
            if begin:
                launch(run.folder, resume=True)
        return self.get(name)

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

    def rename(self, name: str, title: str) -> Run:
        """Give a run a title; an empty one brings its name back. The folder keeps its name. Raises TrainingError
        train_run_not_found, disk_full_writing."""
        run = self.get(name)
        about = {"created": run.created.timestamp(), "dataset": run.dataset, **read_about(run.folder)}
        with told_when_full(run.folder):
            write_json(run.folder / "about.json", {**about, "title": clean_title(title)})
        return self.get(name)

    def delete(self, name: str) -> str:
        """Move a run to the trash; gives the name `restore` takes. Raises TrainingError: train_run_not_found,
        train_run_alive, train_run_in_use."""
        with self._starting():
            run = self.get(name)
            if run.alive or is_locked(run.folder / "worker.lock"):
                raise TrainingError("train_run_alive", name=run.shown_name)
            self.trash_folder.mkdir(exist_ok=True)
            trashed = free_path(self.trash_folder / name)
            try:
                run.folder.rename(trashed)
            except OSError as error:  # on Windows a file of it is open
                raise TrainingError("train_run_in_use", name=run.shown_name) from error
            self._publish_newest()
        return trashed.name

    def restore(self, trashed: str) -> Run:
        """Bring a run back from the trash. Raises TrainingError train_run_not_found."""
        with self._starting():
            if not RUN_NAME.fullmatch(trashed) or not (self.trash_folder / trashed).is_dir():
                raise TrainingError("train_run_not_found", name=trashed)
            folder = (self.trash_folder / trashed).rename(free_path(self.folder / trashed))
            self._publish_newest()
        return self.get(folder.name)

    def empty_trash(self) -> None:
        """Delete for good what is in the trash."""
        shutil.rmtree(self.trash_folder, ignore_errors=True)

    def compare(self, first: str, second: str) -> comparing.Comparison:
        """Raises TrainingError train_run_not_found."""
        return comparing.compare(self.get(first), self.get(second))

    def settings_of(self, name: str) -> tuple[TrainConfig, Path]:
        """What "run again" starts with: the settings, and the dataset as `start` takes it. Raises TrainingError
        train_run_not_found."""
        run = self.get(name)
        return run.config, run.folder / "dataset.jsonl"

    def events(self, name: str, after_line: int = 0) -> EventList:
        """The events from line `after_line` on; the next call adds the length of this answer. Raises
        TrainingError train_run_not_found."""
        return self._events_of(self._folder_of(name))[after_line:]

    @property
    def _start_lock(self) -> Path:
        return self.folder / ".start.lock"

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Held while a run is started or moved, so that two starts give one run."""
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

    def _refuse_second(self) -> None:
        running = self.active()
        if running is not None:
            raise TrainingError("train_already_running", name=running.shown_name)

    @contextmanager
    def _preparing(self) -> Iterator[Path]:
        """A folder to fill beside the runs, which no reader takes for one; what was not moved away is removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(".new-*"):
            if time.time() - left.stat().st_mtime > FORGOTTEN_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        folder = self.folder / f".new-{uuid.uuid4().hex}"
        try:
            with told_when_full(self.folder):
                folder.mkdir()
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _own_dataset(self, path: Path, target: Path) -> dict[str, Any] | None:
        """Copies the dataset of one of our runs as it is, so that its lines keep the numbers of the user's file;
        gives what is known of it, None for any other file."""
        source = path.resolve()
        if source.name != "dataset.jsonl" or source.parent.parent not in (self.folder, self.trash_folder):
            return None
        known = read_about(source.parent).get("dataset")
        if not isinstance(known, dict) or not known or not source.is_file():
            return None
        shutil.copyfile(source, target / "dataset.jsonl")
        return known

    def _publish_newest(self) -> None:
        """After runs came or went, the newest finished adapter lies in our folder again."""
        finished = [run for run in self.list() if run.state == "finished" and run.adapter]
        newest = max(finished, key=lambda run: (run.ended, run.name), default=None)
        with contextlib.suppress(OSError):  # the runs are safe; the next one to finish publishes again
            if newest is None:
                published.withdraw(self.folder)
            elif published.published_run(self.folder) != newest.name:
                published.publish(newest.folder)

    def _folder_of(self, name: str) -> Path:
        """A name may come from the page: it must never lead out of our folder."""
        if not RUN_NAME.fullmatch(name) or not (self.folder / name).is_dir():
            raise TrainingError("train_run_not_found", name=name)
        return self.folder / name

    def _read(self, folder: Path, *, starting: bool) -> Run | None:
        mark = tuple(mark_of(folder / name) for name in ("events.jsonl", "config.json", "about.json"))
        known = self._ended.get(folder)
        if known is not None and known[0] == mark:
            return known[1]
        run = read_run(folder, self._events_of(folder), starting=starting)
        if run is not None and run.state == "interrupted":
            # It may have told its end and left between our two looks, at the events and then at the lock.
            run = read_run(folder, self._events_of(folder), starting=starting)
        if run is not None and run.state in ENDED:
            self._ended[folder] = (mark, run)
        return run

    def _events_of(self, folder: Path) -> EventList:
        """The events of a run, read again only when the file has changed."""
        path = folder / "events.jsonl"
        mark = mark_of(path)
        if mark == GONE:
            return []
        known = self._events.get(path)
        if known is None or known[0] != mark:
            known = self._events[path] = (mark, read_events(path))
        return known[1]

    def _free_name(self, config: TrainConfig) -> Path:
        """`2026-11-22-1530-qwen3-0.6b`, with a number behind it when it exists. Called under the lock."""
        return free_path(self.folder / f"{datetime.now():%Y-%m-%d-%H%M}-{model_slug(config.model)}")


def mark_of(path: Path) -> Mark:
    try:
        status = path.stat()
    except OSError:
        return GONE
    return status.st_size, status.st_mtime_ns


def free_path(path: Path) -> Path:
    """The path, with a number behind it when it exists."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def model_slug(model: str) -> str:
    """The last part of a model's name, fit for a folder on any system."""
    last = model.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].lower()
    return re.sub(r"[^a-z0-9.]+", "-", last)[:40].strip("-.") or "model"


def clean_title(title: str) -> str:
    """One line of at most TITLE_CHARS characters."""
    visible = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in title[:1000])
    return " ".join(visible.split())[:TITLE_CHARS].strip()


def dataset_facts(report: DatasetReport) -> dict[str, Any]:
    """What a run remembers of the user's file."""
    return {"name": report.name, "format": report.format, "rows": report.rows, "bad_rows": report.bad_rows,
            "examples": report.examples, "duplicates": report.duplicates, "mapping": asdict(report.mapping)}


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(values, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def told_when_full(folder: Path) -> Iterator[None]:
    """A full disk as an error with a sentence about a folder the user knows."""
    try:
        yield
    except (OSError, TrainingError) as error:
        told = isinstance(error, TrainingError) and error.code == "disk_full_writing"
        if told or (isinstance(error, OSError) and is_disk_full(error)):
            raise TrainingError("disk_full_writing", folder=str(folder)) from error
        raise
