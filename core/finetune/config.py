"""The settings of one training run, each with its unit and its bounds.

The defaults are the QLoRA recipe of the product. Knows neither the machine (`preflight` does) nor the
libraries that train (`trainer` does).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any

from core.errors import TrainingError

PRECISIONS = ("auto", "bf16", "fp16")
OPTIMIZERS = ("paged_adamw_32bit", "paged_adamw_8bit", "adamw_torch")
QUANT_TYPES = ("nf4", "fp4")
SCHEDULES = ("linear", "cosine", "constant")
# In `target_modules`, alone: the attention layers of the architecture, whatever it calls them.
AUTO_MODULES = "auto"
# A held-out score means little on fewer rows, and more than a hundred only cost time.
EVAL_FROM_ROWS = 50
EVAL_MAX_ROWS = 100
TRUTHS = {"yes": True, "true": True, "on": True, "1": True, "sí": True, "si": True,
          "no": False, "false": False, "off": False, "0": False}


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
    batch_size: int = number(4, "rows in memory at once", 1, 256)
    gradient_accumulation: int = number(1, "batches a step", 1, 1024)
    learning_rate: float = number(2e-4, "per step", 1e-8, 1e-1)
    schedule: str = choice("linear", "how the learning rate falls", SCHEDULES)
    warmup: float = number(0.0, "fraction of the steps", 0.0, 0.5)
    weight_decay: float = number(0.0, "fraction a step, times the learning rate", 0.0, 1.0)
    epochs: int = number(3, "passes over the dataset", 1, 1000)
    max_length: int = number(1024, "tokens a row", 16, 131_072)
    packing: bool = field(default=False, metadata={"unit": "yes or no"})
    group_by_length: bool = field(default=False, metadata={"unit": "yes or no"})
    precision: str = choice("auto", "number format", PRECISIONS)
    seed: int = number(42, "random seed", 0, 2**32 - 1)

    # What is measured and kept on the way.
    eval_share: float = number(0.1, "fraction of the rows held out", 0.0, 0.5)
    logging_steps: int = number(1, "steps between two figures", 1, 10_000)
    save_steps: int = number(0, "steps between two checkpoints; 0: as the time allows", 0, 1_000_000)

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

    def eval_rows(self, rows: int) -> int:
        """How many of `rows` examples are held out to measure on: none of a small dataset."""
        if rows < EVAL_FROM_ROWS or not self.eval_share:
            return 0
        return max(1, min(EVAL_MAX_ROWS, round(rows * self.eval_share)))

    def with_settings(self, texts: Mapping[str, str]) -> TrainConfig:
        """These settings changed, as a person writes them: `{"lora_rank": "8", "packing": "yes"}`. Validated.

        Raises TrainingError: train_setting_unknown, and what `validate` raises.
        """
        known = {each.name: each for each in fields(self)}
        for name in texts:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                raise TrainingError("train_setting_unknown", field=name, known=", ".join(near or known))
        config = replace(self, **{name: parse(known[name], text) for name, text in texts.items()})
        config.validate()
        return config

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


def assignments(texts: Iterable[str]) -> dict[str, str]:
    """`["lora_rank=8"]` → `{"lora_rank": "8"}`. Raises TrainingError train_setting_not_assigned."""
    pairs = [text.partition("=") for text in texts]
    for name, sign, value in pairs:
        if not sign or not name.strip():
            raise TrainingError("train_setting_not_assigned", text=f"{name}{sign}{value}")
    return {name.strip().replace("-", "_"): value.strip() for name, _, value in pairs}


def parse(setting: Field[Any], text: str) -> Any:
    """A setting's value from its text; a text that is none stays one, for `validate` to refuse by name."""
    text = text.strip()
    if setting.name == "target_modules":
        return tuple(part for part in re.split(r"[,;\s]+", text) if part)
    if isinstance(setting.default, bool):
        return TRUTHS.get(text.casefold(), text)
    if isinstance(setting.default, int | float):
        kind = type(setting.default)
        try:
            return kind(text.replace(",", ".") if kind is float else text)
        except ValueError:
            return text
    return text


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
