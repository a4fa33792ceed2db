"""The settings of a run as a form: one field for each of TrainConfig's, with its explanation, bounds and unit.

An empty field means the recipe's value. Knows no events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, fields
from html import escape
from typing import Any

import gradio as gr

from core.finetune.config import TrainConfig
from ui.feedback import both, html_block, label
from ui.finetune_words import setting_value
from ui.i18n import LANGUAGES, texts, translate

RECIPE = TrainConfig()
GROUPS = {
    "learning": ("epochs", "batch_size", "gradient_accumulation", "max_length", "learning_rate", "schedule", "warmup",
                 "weight_decay", "optimizer"),
    "adapter": ("lora_rank", "lora_alpha", "lora_dropout", "target_modules"),
    "base": ("load_in_4bit", "quant_type", "double_quant", "precision"),
    "speed": ("packing", "group_by_length"),
    "keeping": ("eval_share", "seed", "logging_steps", "save_steps"),
}
SETTINGS = tuple(name for names in GROUPS.values() for name in names)
_KNOWN = {each.name: each for each in fields(TrainConfig)}


@dataclass(frozen=True)
class Form:
    """`settings` are in the order of SETTINGS."""

    model: gr.Dropdown
    settings: dict[str, Any]
    reset: gr.Button

    def inputs(self) -> list[Any]:
        """What `config_of` takes, in its order."""
        return [self.model, *self.settings.values()]


def build_form(model: str, suggested: Sequence[str]) -> Form:
    """The base model, and the rest folded away."""
    picker = gr.Dropdown(label=label("finetune.base_model"), info=label("finetune.base_model_info"),
                         choices=list(dict.fromkeys([model, *suggested])), value=model, allow_custom_value=True,
                         elem_id="base-model")
    settings: dict[str, Any] = {}
    with gr.Accordion(label("finetune.advanced"), open=False, elem_id="advanced"):
        html_block(f'<p class="hint">{both("finetune.recipe")}</p>')
        for group, names in GROUPS.items():
            html_block(f'<h4 class="group">{both(f"finetune.group_{group}")}</h4>')
            with gr.Row(elem_classes="settings-row"):
                for name in names:
                    with gr.Column(min_width=190, elem_classes="setting"):
                        settings[name] = field_of(_KNOWN[name])
                        html_block(explanation(_KNOWN[name]))
        reset = gr.Button(label("finetune.reset"), size="sm", elem_id="reset-recipe")
    return Form(picker, settings, reset)


def field_of(setting: Field[Any]) -> Any:
    title, value = label(f"train_setting.{setting.name}"), shown(setting.default)
    known: dict[str, Any] = {"label": title, "value": value, "elem_id": f"set-{setting.name}"}
    if isinstance(setting.default, bool):
        return gr.Checkbox(**known)
    if "choices" in setting.metadata:
        return gr.Dropdown(choices=list(setting.metadata["choices"]), **known)
    if "low" in setting.metadata:
        # Its own bounds would answer in English alone: TrainConfig checks them.
        return gr.Number(step=1 if isinstance(setting.default, int) else 10 ** -6, **known)
    return gr.Textbox(max_lines=1, max_length=500, **known)


def explanation(setting: Field[Any]) -> str:
    """What a setting does, from where to where it may go, in what, and what the recipe has."""
    def words(language: str) -> str:
        parts = []
        if "low" in setting.metadata:
            low, high = setting.metadata["low"], setting.metadata["high"]
            unit = texts(language).get(f"finetune.unit.{setting.name}", "")
            parts.append(translate(language, "finetune.bounds", low=setting_value(language, low),
                                   high=setting_value(language, high), unit=unit).strip())
        parts.append(translate(language, "finetune.recipe_has", value=setting_value(language, setting.default)))
        return (f'<span class="in-{language}" lang="{language}">'
                f'{escape(translate(language, f"train_setting.{setting.name}.help"))} '
                f'<span class="bounds">{escape(" · ".join(parts))}</span></span>')
    return f'<p class="hint">{"".join(words(language) for language in LANGUAGES)}</p>'


def shown(value: object) -> object:
    """A setting's value as its field holds it."""
    return ", ".join(value) if isinstance(value, tuple) else value


def values_of(config: TrainConfig) -> list[Any]:
    """What fills the form, in the order of `Form.inputs`."""
    return [config.model, *(shown(getattr(config, name)) for name in SETTINGS)]


def kept_values(kept: Mapping[str, Any]) -> list[Any]:
    """What fills the form with values kept by their names, in the order of `Form.inputs`. What an earlier version of
    the form could hold and this one cannot is the recipe's."""
    def value(setting: Field[Any]) -> Any:
        usual = shown(setting.default)
        found = kept.get(setting.name, usual)
        return found if found in setting.metadata.get("choices", (found,)) else usual
    return [value(_KNOWN[name]) for name in ("model", *SETTINGS)]


def config_of(values: Sequence[Any]) -> TrainConfig:
    """What the form says, checked. Raises TrainingError."""
    written = {name: text_of(value) for name, value in zip(("model", *SETTINGS), values, strict=True)
               if value not in (None, "")}
    return RECIPE.with_settings(written)


def text_of(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() if not isinstance(value, bool) else "yes" if value else "no"


def changed_by(values: Sequence[Any], offer: Mapping[str, str]) -> list[Any]:
    """The form with an offer taken, in the order of `Form.inputs`. Raises TrainingError."""
    return values_of(config_of(values).with_settings({name: str(offer[name]) for name in offer if name in _KNOWN}))
