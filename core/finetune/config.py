"""The settings of one training run, each with its unit and its bounds.

The defaults are the QLoRA recipe of the product. Knows neither the machine (`preflight` does) nor the
libraries that train (`trainer` does).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from core.errors import TrainingError

PRECISIONS = ("auto", "bf16", "fp16")
OPTIMIZERS = ("paged_adamw_32bit", "paged_adamw_8bit", "adamw_torch")
QUANT_TYPES = ("nf4", "fp4")


def number(default: int | float, unit: str, low: int | float, high: int | float) -> Any:
    """A numeric setting; both bounds are allowed values."""
    return field(default=default, metadata={"unit": unit, "low": low, "high": high})


def choice(default: str, unit: str, choices: tuple[str, ...]) -> Any:
    return field(default=default, metadata={"unit": unit, "choices": choices})


@dataclass(frozen=True)
class TrainConfig:
    """What a run is made with. `validate` checks it; the bounds stand in each field's metadata."""

    model: str = field(default="openai/gpt-oss-20b", metadata={"unit": "hub id or local folder"})

    # The frozen base: 4-bit NormalFloat, its scales quantized once more (QLoRA, arXiv 2305.14314).
    load_in_4bit: bool = field(default=True, metadata={"unit": "yes or no"})
    quant_type: str = choice("nf4", "4-bit format", QUANT_TYPES)
    double_quant: bool = field(default=True, metadata={"unit": "yes or no"})

    # The adapter that learns.
    lora_rank: int = number(16, "dimensions", 1, 512)
    lora_alpha: int = number(32, "scale, divided by the rank", 1, 1024)
    lora_dropout: float = number(0.05, "fraction of inputs", 0.0, 0.9)
    target_modules: tuple[str, ...] = field(
        default=("q_proj", "k_proj", "v_proj", "o_proj"), metadata={"unit": "layer names"}
    )

    # How it learns.
    optimizer: str = choice("paged_adamw_32bit", "optimizer", OPTIMIZERS)
    batch_size: int = number(4, "rows a step", 1, 256)
    learning_rate: float = number(2e-4, "per step", 1e-8, 1e-1)
    epochs: int = number(3, "passes over the dataset", 1, 1000)
    max_length: int = number(1024, "tokens a row", 16, 131_072)
    precision: str = choice("auto", "number format", PRECISIONS)
    seed: int = number(42, "random seed", 0, 2**32 - 1)
    logging_steps: int = number(1, "steps between two figures", 1, 10_000)

    def validate(self) -> None:
        """Raises TrainingError naming the first field that is wrong."""
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "target_modules":
                check_names(each.name, value)
            elif "low" in each.metadata:
                check_number(each.name, value, each.metadata, whole=isinstance(each.default, int))
            elif isinstance(each.default, bool):
                if not isinstance(value, bool):
                    raise TrainingError("train_setting_wrong_type", field=each.name, value=repr(value))
            else:
                check_text(each.name, value, each.metadata.get("choices", ()))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "target_modules": list(self.target_modules)}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> TrainConfig:
        """The reverse of `to_dict`, validated. Unknown names are ignored and missing ones take their
        default, so that runs made by another version can still be read. Raises TrainingError."""
        known = {each.name: values[each.name] for each in fields(TrainConfig) if each.name in values}
        names = known.get("target_modules")
        if isinstance(names, list):
            known["target_modules"] = tuple(names)
        config = replace(TrainConfig(), **known)
        config.validate()
        return config


def check_number(name: str, value: object, bounds: Mapping[str, Any], *, whole: bool) -> None:
    allowed: type | tuple[type, ...] = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, allowed) or not math.isfinite(value):  # type: ignore[arg-type]
        raise TrainingError("train_setting_wrong_type", field=name, value=repr(value))
    if not bounds["low"] <= value <= bounds["high"]:
        raise TrainingError(
            "train_setting_out_of_range", field=name, value=value, low=bounds["low"], high=bounds["high"]
        )


def check_text(name: str, value: object, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise TrainingError("train_setting_wrong_type", field=name, value=repr(value))
    if not value.strip():
        raise TrainingError("train_setting_empty", field=name)
    if choices and value not in choices:
        raise TrainingError(
            "train_setting_unknown_choice", field=name, value=value, choices=", ".join(choices)
        )


def check_names(name: str, value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(part, str) and part.strip() for part in value):
        raise TrainingError("train_setting_wrong_type", field=name, value=repr(value))
    if not value:
        raise TrainingError("train_setting_empty", field=name)
