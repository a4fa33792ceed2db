"""A run that was stopped, or died, goes on as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.finetune import checkpoints, trainer
from core.finetune.config import TrainConfig
from core.finetune.dataset import Example, write_dataset
from core.finetune.events import Event, EventWriter, read_events, valid_events
from tests.tiny_model import make_tiny_model

ROWS = [Example(f"pregunta {number} " * (1 + number % 5), f"respuesta {number * number}") for number in range(60)]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    tiny = make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")
    return TrainConfig(
        model=str(tiny), epochs=2, batch_size=2, gradient_accumulation=2, learning_rate=1e-2, save_steps=5
    )


@pytest.fixture(autouse=True, scope="module")
def one_order() -> Iterator[None]:
    """Sums in the same order each time: the losses can be compared to the last bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Died(Exception):
    """The end of a worker in the middle of its work."""


class WritesUntil(EventWriter):
    """Events that call `then` once, when step `step` is told."""

    def __init__(self, path: Path, step: int, then: Callable[[], None]) -> None:
        super().__init__(path)
        self.step, self.then = step, then

    def write(self, event: str, **values: Any) -> None:
        super().write(event, **values)
        if event == "step" and values["step"] == self.step:
            self.then()


def make_run(folder: Path, config: TrainConfig) -> Path:
    folder.mkdir()
    write_dataset(folder / "dataset.jsonl", ROWS)
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    return folder


def train(run: Path, config: TrainConfig, events: EventWriter | None = None, *, resume: bool = False) -> list[Event]:
    trainer.train(run, config, events or EventWriter(run / "events.jsonl"), lambda: None, resume=resume)
    return valid_events(read_events(run / "events.jsonl"))


def losses(events: list[Event]) -> dict[int, float]:
    steps = [event for event in events if event["event"] == "step"]
    assert len({event["step"] for event in steps}) == len(steps)
    return {event["step"]: event["loss"] for event in steps}


def die() -> None:
    raise Died


@pytest.fixture(scope="module")
def whole(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    return train(make_run(tmp_path_factory.mktemp("whole") / "run", config), config)


def test_a_stopped_run_resumes_with_the_losses_of_one_never_stopped(
    config: TrainConfig, whole: list[Event], tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", config)
    stopping = WritesUntil(run / "events.jsonl", 8, (run / "stop").touch)
    first = train(run, config, stopping)
    assert first[-1]["event"] == "stopped"
    assert max(losses(first)) == 9  # the stop is seen at the end of the next step
    assert (run / "adapter" / "adapter_config.json").is_file()
    (run / "stop").unlink()
    events = train(run, config, resume=True)
    assert losses(events) == losses(whole)
    assert [event["loss"] for event in events if event["event"] == "eval"] == [
        event["loss"] for event in whole if event["event"] == "eval"]
    (resumed,) = (event for event in events if event["event"] == "resumed")
    assert resumed["step"] == 9
    seconds = [event["seconds"] for event in events if event["event"] == "step"]
    assert seconds == sorted(seconds)
    results = [event for event in (*events, *whole) if event["event"] == "result"]
    assert results[0]["tuned_loss"] == results[1]["tuned_loss"]


def test_a_run_that_died_resumes_from_its_last_whole_checkpoint_and_no_step_stands_twice(
    config: TrainConfig, whole: list[Event], tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", config)
    with pytest.raises(Died):
        train(run, config, WritesUntil(run / "events.jsonl", 13, die))
    folder = run / "checkpoints"
    torn = folder / "checkpoint-12"
    torn.mkdir()  # what a kill while saving leaves
    (torn / "trainer_state.json").write_text("{")
    last = checkpoints.last_checkpoint(folder)
    assert last is not None and last.name == "checkpoint-10"
    assert losses(train(run, config, resume=True)) == losses(whole)
    assert not torn.exists()
    assert len(checkpoints.whole_checkpoints(folder)) == trainer.CHECKPOINTS_KEPT


def test_without_a_checkpoint_it_begins_anew(config: TrainConfig, whole: list[Event], tmp_path: Path) -> None:
    never_saved = replace(config, save_steps=0)
    run = make_run(tmp_path / "run", never_saved)
    with pytest.raises(Died):
        train(run, never_saved, WritesUntil(run / "events.jsonl", 3, die))
    assert losses(train(run, never_saved, resume=True)) == losses(whole)


def test_a_run_killed_while_it_was_judged_is_judged_again(
    config: TrainConfig, whole: list[Event], tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", config)
    train(run, config)
    (run / "result.json").unlink()
    events = train(run, config, resume=True)
    assert losses(events) == losses(whole)
    assert events[-1]["event"] == "finished"
    assert events[-1]["final_loss"] == whole[-1]["final_loss"]
    assert json.loads((run / "result.json").read_text())["held_out"] is True
