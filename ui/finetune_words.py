"""Figures of the Fine-tune tab in words: losses, durations, dates, settings, whether a run helped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from core.finetune.config import TrainConfig
from ui.i18n import translate

VERDICTS = ("helped", "no_change", "worse", "not_measured")


def figure(language: str, value: float, digits: int = 3) -> str:
    """A number with its decimals: 1,250 in Spanish, 1.250 in English."""
    text = f"{value:.{digits}f}"
    return text.replace(".", ",") if language == "es" else text


def loss_text(language: str, value: object) -> str:
    """A loss, or a dash where none is known."""
    return figure(language, float(value)) if isinstance(value, int | float) else "—"


def verdict_of(result: Mapping[str, Any]) -> str:
    """One of VERDICTS."""
    told = str(result.get("verdict"))
    return told if told in VERDICTS else "not_measured"


def verdict_text(language: str, result: Mapping[str, Any]) -> str:
    """Whether a run helped, in a sentence with its figures. `result` is that of `Run`."""
    base, tuned = result.get("base_loss"), result.get("tuned_loss")
    percent = "—"
    if isinstance(base, int | float) and isinstance(tuned, int | float) and base:
        percent = f"{abs(100 * (base - tuned) / base):.0f}"
    return translate(language, f"finetune.verdict_{verdict_of(result)}", base=loss_text(language, base),
                     tuned=loss_text(language, tuned), percent=percent)


def count(language: str, value: int) -> str:
    """A whole number, its thousands apart by a thin blank."""
    return f"{value:,}".replace(",", "\u202f")


def duration(seconds: float) -> str:
    """1:05:09 or 5:09."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def day(language: str, moment: datetime) -> str:
    """22/11/2026 15:30 in Spanish, 2026-11-22 15:30 in English."""
    return moment.strftime("%d/%m/%Y %H:%M" if language == "es" else "%Y-%m-%d %H:%M")


def setting_value(language: str, value: object) -> str:
    """A setting's value as a person reads it."""
    if isinstance(value, bool):
        return translate(language, "finetune.yes" if value else "finetune.no")
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        text = f"{value:.0e}".replace("e-0", "e-") if 0 < abs(value) < 0.001 else f"{value:g}"
        return text.replace(".", ",") if language == "es" else text
    return str(value)


def setting_title(language: str, name: str) -> str:
    if name == "dataset":
        return translate(language, "finetune.dataset_column")
    return translate(language, f"train_setting.{name}")


def changes(language: str, config: TrainConfig, recipe: TrainConfig) -> list[str]:
    """`batch size 1 (4)`: what a setting is and what the recipe has, for each that differs; the model is no setting."""
    found = []
    for each in fields(TrainConfig):
        value, usual = getattr(config, each.name), getattr(recipe, each.name)
        if each.name != "model" and value != usual:
            found.append(f"{setting_title(language, each.name)}: {setting_value(language, value)} "
                         f"({setting_value(language, usual)})")
    return found
