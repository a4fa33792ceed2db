"""Fine-tuning in the terminal: starts a run and follows it. Ctrl+C asks it to stop and keeps what it learnt."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from core.finetune.config import TrainConfig
from core.finetune.dataset import read_dataset
from core.finetune.preflight import default_model
from core.finetune.run import Run
from core.finetune.runs import Runs
from core.settings import Settings
from ui.i18n import translate

_POLL_SECONDS = 0.5
SAMPLES = Path(__file__).parent.parent / "core" / "finetune" / "samples"


def train(settings: Settings, language: str, dataset: Path | None, model: str | None, *, as_json: bool) -> int:
    """Train on `dataset` (the shipped sample without one) and follow the run to its end; 0 when it finished or
    was stopped."""
    dataset = dataset or sample_dataset(language)
    if not as_json:
        for problem in read_dataset(dataset).problems:
            print(translate(language, f"error.{problem.code}", **problem.values), file=sys.stderr)
    runs = Runs(settings)
    run = runs.start(TrainConfig(model=model or default_model(settings)), dataset)
    _say(language, as_json, "terminal.train_started", name=run.name, model=run.config.model)
    shown = 0
    while True:
        try:
            run = runs.get(run.name)
            shown += _print_events(language, runs.events(run.name, shown), as_json)
            if not run.alive:
                return _print_end(language, run, as_json)
            time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            if run.stop_asked:
                raise
            runs.stop(run.name)
            _say(language, as_json, "terminal.train_stopping")


def sample_dataset(language: str) -> Path:
    """The small dataset that ships, in the user's language."""
    return SAMPLES / f"taller_{language}.jsonl"


def _print_events(language: str, events: list[dict[str, Any]], as_json: bool) -> int:
    for event in events:
        if as_json:
            print(json.dumps(event, ensure_ascii=False), flush=True)
        elif event["event"] == "step" and event.get("loss") is not None:
            print(translate(language, "terminal.train_step", step=event["step"], total=event["total"],
                            loss=f"{event['loss']:.4f}"), flush=True)
        elif event["event"] == "state":
            print(translate(language, f"finetune.state_{event['state']}"), flush=True)
    return len(events)


def _print_end(language: str, run: Run, as_json: bool) -> int:
    if run.error is not None:
        print(translate(language, f"error.{run.error[0]}", **run.error[1]), file=sys.stderr)
        return 1
    if run.state == "interrupted":
        print(translate(language, "finetune.interrupted_hint", log=run.folder / "log.txt"), file=sys.stderr)
        return 1
    _say(language, as_json, "terminal.train_done", adapter=run.adapter)
    return 0


def _say(language: str, as_json: bool, key: str, **values: object) -> None:
    if not as_json:
        print(translate(language, key, **values), flush=True)
