"""What a run will take, against what runs have taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.finetune import memory
from core.finetune.blueprints import of_folder
from core.finetune.config import TrainConfig
from core.finetune.loading import choose_device, load_model, weight_bytes
from core.finetune.models import inspect_folder
from tests.tiny_gpt_oss import make_tiny_gpt_oss
from tests.tiny_model import make_tiny_model

SMALL = {"hidden_size": 512, "intermediate_size": 1024, "num_attention_heads": 8, "num_key_value_heads": 4}
LARGE = {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 6, "num_attention_heads": 16,
         "num_key_value_heads": 4}


@pytest.mark.parametrize(
    ("sizes", "batch_size", "row_tokens", "measured_mb"),
    [  # peak resident memory of workers on a CPU with two cores, by tests/benchmarks/memory.py
        ({**SMALL, "num_hidden_layers": 4}, 4, 256, 725),
        ({**SMALL, "num_hidden_layers": 2}, 4, 1024, 1003),
        ({**SMALL, "num_hidden_layers": 2, "vocab_size": 64000}, 1, 256, 1028),
        (LARGE, 2, 128, 882),
        ({**LARGE, "vocab_size": 32000}, 1, 256, 1231),
    ],
)
def test_the_predicted_peak_is_within_a_fifth_of_the_measured_one(
    sizes: dict[str, Any], batch_size: int, row_tokens: int, measured_mb: int, tmp_path: Path
) -> None:
    model = of_folder(make_tiny_model(tmp_path / "model", **sizes))
    config = TrainConfig(batch_size=batch_size)
    need = memory.need(model.config, memory.weigh(model, config), config, row_tokens, memory.CPU)
    assert need.peak / 1e6 == pytest.approx(measured_mb, rel=0.2)
    assert need.total < need.peak


@pytest.mark.parametrize("load_in_4bit", [True, False])
@pytest.mark.parametrize("make", [make_tiny_model, make_tiny_gpt_oss])
def test_the_weights_are_counted_as_they_are_loaded(make: object, tmp_path: Path, *, load_in_4bit: bool) -> None:
    assert callable(make)
    model = inspect_folder(make(tmp_path / "model"))
    config = TrainConfig(model=str(model.path), load_in_4bit=load_in_4bit)
    told = memory.weigh(of_folder(model.path), config)
    four_bit, other = weight_bytes(load_model(model, config, choose_device(config, model)))
    assert told.four_bit_bytes == pytest.approx(four_bit, rel=0.05, abs=100)
    assert told.other_bytes == pytest.approx(other, rel=0.05)


def test_the_adapters_parameters_are_those_of_peft(tmp_path: Path) -> None:
    from core.finetune import targets, trainer

    model = inspect_folder(make_tiny_model(tmp_path / "model"))
    config = TrainConfig(model=str(model.path), lora_rank=4)
    from peft import get_peft_model

    loaded = load_model(model, config, choose_device(config, model))
    made = get_peft_model(loaded, trainer.lora(config, targets.choose(config, loaded)))
    learning = sum(one.numel() for one in made.parameters() if one.requires_grad)
    assert memory.weigh(of_folder(model.path), config).adapter == learning
