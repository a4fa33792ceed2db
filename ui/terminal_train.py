"""Fine-tuning in the terminal: `train` starts or resumes a run and follows it, `runs` lists them.

The run is a process of its own. The first Ctrl+C asks it to stop and waits until it has saved what it learnt; the
second leaves the terminal at once, and the run saves and ends by itself. With `--json` one JSON object a line goes to
stdout.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import TrainingError
from core.finetune.config import TrainConfig, assignments
from core.finetune.dataset import DatasetReport
from core.finetune.examples import ColumnMapping, mapping_of
from core.finetune.preflight import default_model
from core.finetune.run import Run
from core.finetune.runs import Runs
from core.processes import python_module
from core.settings import Settings
from ui.finetune_words import verdict_of, verdict_text
from ui.i18n import explain, plural, translate

_POLL_SECONDS = 0.5
_PROBLEMS_SHOWN = 20
# What the page leaves to a click is an option here: `terminal.hint_<code>` tells it.
_HINTED = frozenset({"dataset_bad_rows", "dataset_columns_unknown"})
FINETUNE = Path(__file__).parent.parent / "core" / "finetune"
SAMPLES, ACCELERATE = FINETUNE / "samples", FINETUNE / "accelerate.yaml"


@dataclass(frozen=True)
class TrainOptions:
    """What the user wrote after `train`."""

    dataset: Path | None = None
    model: str | None = None
    changes: tuple[str, ...] = ()  # each name=value
    columns: str | None = None  # name=column, with commas between
    resume: str | None = None
    skip_bad_rows: bool = False
    prepare: bool = False  # all but the start, which is left to `accelerate launch`
    as_json: bool = False


def train(settings: Settings, language: str, options: TrainOptions) -> int:
    """Start a run, on the shipped sample when no dataset is named, or resume one, and follow it to its end; 0 when
    it finished or was stopped."""
    runs = Runs(settings)
    screen = Screen(language, as_json=options.as_json)
    changes = assignments(options.changes)
    if options.model:
        changes["model"] = options.model
    if options.resume:
        if options.dataset:
            raise TrainingError("train_resume_dataset", name=options.resume)
        shown = len(runs.events(options.resume))
        wanted = runs.get(options.resume).config.with_settings(changes)
        run = runs.resume(options.resume, wanted, begin=not options.prepare)
    else:
        shown = 0
        try:
            run = _start(settings, runs, screen, options, changes)
        except TrainingError as error:
            if error.code not in _HINTED:
                raise
            screen.refused(error)
            return 1
    if options.prepare:
        screen.prepared(run, resume=options.resume is not None)
        return 0
    screen.started(run)
    return _follow(runs, run, screen, shown)


def _start(settings: Settings, runs: Runs, screen: Screen, options: TrainOptions, changes: dict[str, str]) -> Run:
    changes.setdefault("model", default_model(settings))
    config = TrainConfig().with_settings(changes)
    dataset = options.dataset or sample_dataset(screen.language)
    before = time.time()
    try:
        return runs.start(config, dataset, mapping=_mapping(options.columns), skip_bad_rows=options.skip_bad_rows,
                          on_progress=screen.checked, on_report=screen.report, begin=not options.prepare)
    except KeyboardInterrupt:
        run = runs.active()
        if run is not None and run.created.timestamp() >= before:
            runs.stop(run.name)
        raise


def _mapping(columns: str | None) -> ColumnMapping | None:
    return mapping_of(assignments(columns.split(","))) if columns else None


def _follow(runs: Runs, run: Run, screen: Screen, shown: int) -> int:
    asked = False
    while True:
        try:
            run = runs.get(run.name)
            events = runs.events(run.name, shown)
            shown += len(events)
            screen.events(events)
            if not run.alive:
                return screen.ended(run)
            time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            if asked:
                screen.say("terminal.train_left", name=run.name)
                raise
            asked = True
            screen.say("terminal.train_stopping")
            with contextlib.suppress(TrainingError):  # it may have ended by now
                runs.stop(run.name)


def list_runs(settings: Settings, language: str, *, as_json: bool) -> int:
    """All runs, the newest first."""
    found = Runs(settings).list()
    for run in found:
        if as_json:
            print(json.dumps(_run_json(language, run), ensure_ascii=False))
        else:
            loss = "-" if run.final_loss is None else f"{run.final_loss:.4f}"
            state = translate(language, f"finetune.state_{run.state}")
            title = f"  {run.title}" if run.title else ""
            print(f"{run.name:<40}  {state:<18}  {loss:>8}  {run.config.model}  {run.dataset.get('name', '')}{title}")
    if not found and not as_json:
        print(translate(language, "terminal.no_runs"))
    return 0


def _run_json(language: str, run: Run) -> dict[str, Any]:
    last = run.steps[-1] if run.steps else {}
    reason = translate(language, f"error.{run.error[0]}", **run.error[1]) if run.error else None
    return {
        "name": run.name, "title": run.title, "created": run.created.isoformat(timespec="seconds"),
        "state": run.state, "model": run.config.model, "dataset": run.dataset, "step": last.get("step", 0),
        "total": last.get("total", 0), "final_loss": run.final_loss, "seconds": run.seconds,
        "adapter": str(run.adapter) if run.adapter else None, "folder": str(run.folder), "reason": reason,
    }


def sample_dataset(language: str) -> Path:
    """The small dataset that ships, in the user's language."""
    return SAMPLES / f"taller_{language}.jsonl"


class Screen:
    """What a run tells, for people or as JSON lines. Words for people go to stderr where they are complaints."""

    def __init__(self, language: str, *, as_json: bool) -> None:
        self.language = language
        self.as_json = as_json

    def checked(self, rows: int) -> None:
        if not self.as_json and sys.stderr.isatty():
            print(f"\r{translate(self.language, 'terminal.train_checked', rows=rows)}", end="", file=sys.stderr)

    def report(self, report: DatasetReport) -> None:
        """The bad rows by line, and how many good ones there are."""
        shown = report.problems if self.as_json else report.problems[:_PROBLEMS_SHOWN]
        for problem in shown:
            reason = translate(self.language, f"error.{problem.code}", **problem.values)
            if self.as_json:
                self.put(event="bad_row", line=problem.line, code=problem.code, reason=reason)
            else:
                print(reason, file=sys.stderr)
        more = report.bad_rows - len(shown)
        if more and not self.as_json:
            print(plural(self.language, "finetune.more_problems", more), file=sys.stderr)
        if self.as_json:
            self.put(event="dataset", name=report.name, format=report.format, rows=report.rows,
                     examples=report.examples, bad_rows=report.bad_rows, duplicates=report.duplicates)
        self.say("terminal.train_dataset", name=report.name, examples=report.examples, duplicates=report.duplicates)

    def refused(self, error: TrainingError) -> None:
        print(explain(self.language, error), translate(self.language, f"terminal.hint_{error.code}"), file=sys.stderr)

    def started(self, run: Run) -> None:
        if self.as_json:
            self.put(event="run", name=run.name, folder=str(run.folder), model=run.config.model)
        self.say("terminal.train_started", name=run.name, model=run.config.model)

    def prepared(self, run: Run, *, resume: bool) -> None:
        """The command that starts it on several GPUs."""
        command = [*python_module("accelerate.commands.launch", "--config_file", str(ACCELERATE)),
                   "-m", "core.finetune.worker", str(run.folder), *(["--resume"] if resume else [])]
        if self.as_json:
            self.put(event="run", name=run.name, folder=str(run.folder), model=run.config.model, command=command)
        self.say("terminal.train_prepared", name=run.name, command=shlex.join(command))

    def events(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            if self.as_json:
                self.put(**event)
            elif event["event"] in ("step", "eval") and event.get("loss") is not None:
                self.say(f"terminal.train_{event['event']}", step=event["step"], total=event.get("total", "?"),
                         loss=f"{event['loss']:.4f}")
            elif event["event"] == "state":
                self.say(f"finetune.state_{event['state']}")

    def ended(self, run: Run) -> int:
        if run.error is not None:
            print(translate(self.language, f"error.{run.error[0]}", **run.error[1]), file=sys.stderr)
            if run.resumable:
                print(translate(self.language, "terminal.train_resume", name=run.name), file=sys.stderr)
            return 1
        if verdict_of(run.result) != "not_measured" and not self.as_json:
            print(verdict_text(self.language, run.result),
                  plural(self.language, "finetune.measured_on", run.result.get("rows", 0)))
        if run.adapter is not None:
            self.say("terminal.train_done", adapter=run.adapter)
        if run.state == "stopped":
            self.say("terminal.train_resume", name=run.name)
        return 0

    def say(self, key: str, **values: object) -> None:
        if not self.as_json:
            print(translate(self.language, key, **values), flush=True)

    def put(self, **values: Any) -> None:
        print(json.dumps(values, ensure_ascii=False, default=str), flush=True)
