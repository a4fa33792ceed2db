"""Two runs, or a run and what someone wants of it: which settings differ, and which a resumed run may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from core.errors import TrainingError
from core.finetune.config import TrainConfig
from core.finetune.run import Run

# A resumed run takes weights, optimizer, schedule and data order from its checkpoint: any other setting would break
# them, or be overruled by them without a word.
CHANGEABLE = frozenset({"epochs", "logging_steps", "save_steps"})


@dataclass(frozen=True)
class Difference:
    """One setting in both runs; `field` is that of TrainConfig, or "dataset"."""

    field: str
    first: object
    second: object


@dataclass(frozen=True)
class Comparison:
    """The curves are those of the runs: `steps` and `evals`."""

    first: Run
    second: Run
    differences: tuple[Difference, ...]


def compare(first: Run, second: Run) -> Comparison:
    found = differences(first.config, second.config)
    names = [dataset_name(first), dataset_name(second)]
    if names[0] != names[1]:
        found = (Difference("dataset", *names), *found)
    return Comparison(first, second, found)


def dataset_name(run: Run) -> str:
    """Name and size: two versions of a file are two datasets."""
    name, examples = run.dataset.get("name", ""), run.dataset.get("examples")
    return f"{name} ({examples})" if examples is not None else str(name)


def differences(first: TrainConfig, second: TrainConfig) -> tuple[Difference, ...]:
    """The settings that differ, in the order of the form."""
    pairs = [(each.name, getattr(first, each.name), getattr(second, each.name)) for each in fields(TrainConfig)]
    return tuple(Difference(name, one, other) for name, one, other in pairs if one != other)


def check_resumable(run: Run, wanted: TrainConfig) -> None:
    """Raises TrainingError: train_not_resumable, train_resume_differs with the list of changes that cannot be."""
    if not (run.resumable or (run.state == "finished" and wanted.epochs > run.config.epochs)):
        raise TrainingError("train_not_resumable", name=run.shown_name)
    changed = [each for each in differences(run.config, wanted) if each.field not in CHANGEABLE]
    if changed:
        raise TrainingError("train_resume_differs", name=run.shown_name, changes=in_words(changed))


def in_words(changed: Sequence[Difference]) -> str:
    """`batch_size: 4 → 8, seed: 42 → 1`."""
    return ", ".join(f"{each.field}: {plain(each.first)} → {plain(each.second)}" for each in changed)


def plain(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)
