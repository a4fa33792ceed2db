"""The verdict before a run."""

from __future__ import annotations

import json
from collections import namedtuple
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from core.finetune import estimate, memory, preflight, speed
from core.finetune.blueprints import of_folder
from core.finetune.config import TrainConfig
from core.settings import Settings
from tests.tiny_model import make_tiny_model

Memory = namedtuple("Memory", "available total")
# As measured with one thread on a processor with AMX.
SPEED = speed.Speed(element=8.8e-11, operation=2.3e-12, operation32=5e-12, dequantize=8.3e-11, call=1.1e-6)
SMALL = {"hidden_size": 512, "intermediate_size": 1024, "num_attention_heads": 8, "num_key_value_heads": 4}
LARGE = {"hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 16, "num_key_value_heads": 4}
ROWS = [100, 200, 400] * 10


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(preflight, "gpus", list)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return Settings(runs_dir=tmp_path / "runs", cache_dir=tmp_path / "cache")


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
    assert estimate.assess(config, settings, ROWS, 40).seconds is None  # the machine was not measured yet
    settings.cache_dir.mkdir()
    speed.path_of(settings.cache_dir).write_text(json.dumps(asdict(SPEED)))
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


@pytest.mark.parametrize(
    ("sizes", "batch_size", "row_tokens", "seconds"),
    [  # of a step, measured on two quiet cores of the speed above; the last two are not among those that were fitted
        ({**SMALL, "num_hidden_layers": 4}, 4, 256, 0.43),
        ({**SMALL, "num_hidden_layers": 2}, 4, 1024, 0.97),
        ({**SMALL, "num_hidden_layers": 2, "vocab_size": 64000}, 1, 256, 0.57),
        ({**LARGE, "num_hidden_layers": 6}, 2, 128, 0.53),
        ({**LARGE, "num_hidden_layers": 6, "vocab_size": 32000}, 1, 256, 0.90),
        ({**SMALL, "num_hidden_layers": 12}, 1, 64, 0.23),
        ({**SMALL, "num_hidden_layers": 2, "vocab_size": 32000}, 4, 512, 2.78),
        ({**LARGE, "num_hidden_layers": 4, "vocab_size": 32000}, 1, 512, 1.48),
    ],
)
def test_a_batch_takes_as_long_as_the_machines_speed_tells(
    tmp_path: Path, sizes: dict[str, Any], batch_size: int, row_tokens: int, seconds: float
) -> None:
    model = of_folder(make_tiny_model(tmp_path / "model", **sizes))
    weights = memory.weigh(model, TrainConfig())
    told = estimate.batch_seconds(model.config, weights, SPEED, batch_size * row_tokens, row_tokens)
    assert told == pytest.approx(seconds, rel=0.3)


def test_nothing_is_claimed_of_a_hub_model_nobody_asked_about(settings: Settings) -> None:
    told = estimate.assess(TrainConfig(model="Qwen/Qwen3-0.6B"), settings, ROWS, 1000)
    assert (told.verdict, told.need, told.seconds) == ("unknown", None, None)


def test_gpt_oss_gets_its_verdict_without_a_network(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(model=preflight.GPT_OSS)
    monkeypatch.setattr(preflight, "gpus", lambda: [preflight.Gpu("GPU-0", "card", 24 * 2**30)])
    for free, verdict in ((80, "fits"), (18, "tight"), (12, "does_not_fit")):
        monkeypatch.setattr(preflight, "gpu_free_bytes", lambda _, free=free: free * 10**9)
        told = estimate.assess(config, settings, (), 1000)
        assert told.need is not None
        assert (told.verdict, told.seconds) == (verdict, None), told.need.total
