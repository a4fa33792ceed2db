"""TrainConfig: the recipe, its bounds, its JSON."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from core.errors import TrainingError
from core.finetune.config import TrainConfig, assignments
from ui import i18n


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


def test_a_person_writes_settings_as_text() -> None:
    config = TrainConfig().with_settings({
        "lora_rank": "8", "learning_rate": "1e-4", "warmup": "0,03", "packing": "sí", "load_in_4bit": "no",
        "target_modules": "q_proj, v_proj", "optimizer": " adamw_torch ", "model": "a/b",
    })
    assert (config.lora_rank, config.learning_rate, config.warmup) == (8, 1e-4, 0.03)
    assert (config.packing, config.load_in_4bit, config.target_modules) == (True, False, ("q_proj", "v_proj"))
    assert (config.optimizer, config.model) == ("adamw_torch", "a/b")


def test_every_setting_written_as_text_gives_itself_back() -> None:
    config = TrainConfig()
    for each in fields(TrainConfig):
        value = getattr(config, each.name)
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        assert config.with_settings({each.name: text}) == config


@pytest.mark.parametrize(
    ("texts", "code", "field"),
    [
        ({"lora_rank": "eight"}, "train_setting_wrong_type", "lora_rank"),
        ({"lora_rank": "8.5"}, "train_setting_wrong_type", "lora_rank"),
        ({"lora_rank": ""}, "train_setting_wrong_type", "lora_rank"),
        ({"lora_rank": "0"}, "train_setting_out_of_range", "lora_rank"),
        ({"learning_rate": "nan"}, "train_setting_wrong_type", "learning_rate"),
        ({"packing": "perhaps"}, "train_setting_wrong_type", "packing"),
        ({"schedule": "zigzag"}, "train_setting_unknown_choice", "schedule"),
        ({"target_modules": " , "}, "train_setting_empty", "target_modules"),
        ({"lora_rnak": "8"}, "train_setting_unknown", "lora_rnak"),
        ({"validate": "8"}, "train_setting_unknown", "validate"),
    ],
)
def test_a_wrong_text_is_refused_by_name(texts: dict[str, str], code: str, field: str) -> None:
    with pytest.raises(TrainingError) as refused:
        TrainConfig().with_settings(texts)
    assert (refused.value.code, refused.value.values["field"]) == (code, field)
    for language in i18n.LANGUAGES:
        assert field in i18n.explain(language, refused.value)


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(TrainingError) as refused:
        TrainConfig().with_settings({"lora_rnak": "8"})
    assert refused.value.values["known"] == "lora_rank"


def test_assignments_of_the_terminal() -> None:
    assert assignments(["lora-rank=8", " model = a/b=c "]) == {"lora_rank": "8", "model": "a/b=c"}
    for text in ("lora_rank", "=8", ""):
        with pytest.raises(TrainingError, match="train_setting_not_assigned"):
            assignments([text])


@pytest.mark.parametrize(
    ("rows", "share", "held_out"),
    [(49, 0.1, 0), (50, 0.1, 5), (54, 0.1, 5), (1000, 0.1, 100), (10**6, 0.1, 100), (100, 0.0, 0), (50, 0.001, 1)],
)
def test_rows_are_held_out_of_datasets_that_can_spare_them(rows: int, share: float, held_out: int) -> None:
    assert TrainConfig(eval_share=share).eval_rows(rows) == held_out


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_every_setting_has_its_name_and_explanation(language: str) -> None:
    for each in fields(TrainConfig):
        assert i18n.translate(language, f"train_setting.{each.name}")
        assert i18n.translate(language, f"train_setting.{each.name}.help").endswith(".")
