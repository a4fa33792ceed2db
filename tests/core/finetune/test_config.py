"""TrainConfig: the recipe, its bounds, its JSON."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from core.errors import TrainingError
from core.finetune.config import TrainConfig


def test_the_defaults_are_the_recipe() -> None:
    config = TrainConfig()
    assert (config.load_in_4bit, config.quant_type, config.double_quant) == (True, "nf4", True)
    assert (config.lora_rank, config.lora_alpha, config.lora_dropout) == (16, 32, 0.05)
    assert config.target_modules == ("q_proj", "k_proj", "v_proj", "o_proj")
    assert config.optimizer == "paged_adamw_32bit"
    assert (config.batch_size, config.learning_rate, config.epochs) == (4, 2e-4, 3)
    assert (config.precision, config.max_length, config.logging_steps) == ("auto", 1024, 1)
    config.validate()


def test_every_setting_tells_its_unit() -> None:
    assert all(each.metadata.get("unit") for each in fields(TrainConfig))


def test_json_gives_the_same_config_back() -> None:
    config = TrainConfig(model="a/b", lora_rank=8, target_modules=("q_proj",), learning_rate=1e-5)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_names_of_another_version_are_ignored_and_missing_ones_take_their_default() -> None:
    assert TrainConfig.from_dict({"model": "a/b", "warp_speed": 9}) == TrainConfig(model="a/b")


@pytest.mark.parametrize("field", [each.name for each in fields(TrainConfig) if "low" in each.metadata])
def test_bounds_are_allowed_and_what_lies_beyond_is_refused_by_name(field: str) -> None:
    metadata = next(each.metadata for each in fields(TrainConfig) if each.name == field)
    for bound in (metadata["low"], metadata["high"]):
        replace(TrainConfig(), **{field: bound}).validate()
    for beyond in (metadata["low"] - 1, metadata["high"] + 1):
        with pytest.raises(TrainingError) as refused:
            replace(TrainConfig(), **{field: beyond}).validate()
        assert refused.value.code == "train_setting_out_of_range"
        assert refused.value.values["field"] == field


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("epochs", "3", "train_setting_wrong_type"),
        ("epochs", 2.5, "train_setting_wrong_type"),
        ("epochs", True, "train_setting_wrong_type"),
        ("epochs", None, "train_setting_wrong_type"),
        ("learning_rate", float("nan"), "train_setting_wrong_type"),
        ("load_in_4bit", 1, "train_setting_wrong_type"),
        ("model", 7, "train_setting_wrong_type"),
        ("model", "  ", "train_setting_empty"),
        ("precision", "fp8", "train_setting_unknown_choice"),
        ("optimizer", "sgd", "train_setting_unknown_choice"),
        ("target_modules", (), "train_setting_empty"),
        ("target_modules", ("q_proj", ""), "train_setting_wrong_type"),
        ("target_modules", "q_proj", "train_setting_wrong_type"),
    ],
)
def test_a_wrong_value_is_refused_by_name(field: str, value: Any, code: str) -> None:
    with pytest.raises(TrainingError) as refused:
        TrainConfig.from_dict({field: value})
    assert (refused.value.code, refused.value.values["field"]) == (code, field)
