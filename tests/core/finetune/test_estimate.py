"""The verdict before a run."""

from __future__ import annotations

import json
from collections import namedtuple
from pathlib import Path

import pytest

from core.finetune import estimate, preflight
from core.finetune.config import TrainConfig
from core.settings import Settings
from tests.tiny_model import make_tiny_model

Memory = namedtuple("Memory", "available total")
ROWS = [100, 200, 400] * 10


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(preflight, "gpus", list)
    return Settings(runs_dir=tmp_path / "runs")


def give(monkeypatch: pytest.MonkeyPatch, available: int) -> None:
    monkeypatch.setattr(estimate.psutil, "virtual_memory", lambda: Memory(available, available))


def test_a_run_fits_is_tight_or_does_not_fit(
    settings: Settings, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(model=str(tiny), batch_size=64)
    give(monkeypatch, 10**10)
    roomy = estimate.assess(config, settings, ROWS, 1000)
    assert (roomy.verdict, roomy.config) == ("fits", config)
    assert roomy.need is not None
    give(monkeypatch, roomy.need.total)
    tight = estimate.assess(config, settings, ROWS, 1000)
    assert tight.verdict == "tight"
    assert (tight.config.batch_size, tight.config.gradient_accumulation) == (1, 64)
    assert tight.need is not None and tight.need.total < roomy.need.total
    give(monkeypatch, 10**8)
    refused = estimate.assess(config, settings, ROWS, 1000)
    assert (refused.verdict, refused.free_bytes, refused.small_model) == ("does_not_fit", 10**8, preflight.SMALL_MODEL)


def test_steps_and_disk_are_told(settings: Settings, tiny: Path) -> None:
    told = estimate.assess(TrainConfig(model=str(tiny), batch_size=4, epochs=2), settings, ROWS, 200)
    assert told.steps == 2 * 45  # of 200 rows 20 are held out
    assert 0 < told.disk_bytes < told.disk_free_bytes


def test_the_time_follows_earlier_runs_of_the_model_here(settings: Settings, tiny: Path) -> None:
    config = TrainConfig(model=str(tiny), epochs=1)
    guessed = estimate.assess(config, settings, ROWS, 40)
    assert guessed.seconds is not None and not guessed.measured
    run = settings.runs_dir / "earlier"
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps({"model": str(tiny)}))
    steps = [json.dumps({"event": "step", "tokens_per_second": speed}) for speed in (1, 100, 100, 120)]
    (run / "events.jsonl").write_text("\n".join(steps) + "\n")
    told = estimate.assess(config, settings, ROWS, 40)
    assert told.measured
    tokens = sum(ROWS) / len(ROWS) * 40
    assert told.seconds == pytest.approx(estimate.START_SECONDS + tokens / 100)


def test_nothing_is_claimed_of_a_model_still_to_come(settings: Settings) -> None:
    told = estimate.assess(TrainConfig(model="Qwen/Qwen3-0.6B"), settings, ROWS, 1000)
    assert (told.verdict, told.need, told.seconds) == ("unknown", None, None)
