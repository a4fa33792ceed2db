"""The README.md that goes with an adapter: base model, recipe, data and losses, in the user's language."""

from __future__ import annotations

import json
import re
from dataclasses import fields

from core.finetune.config import TrainConfig
from core.finetune.models import HUB_ID
from core.finetune.run import Run
from ui.i18n import translate

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~])")


def model_card(language: str, run: Run) -> str:
    """Markdown with the header the hub reads. A local base is named by its folder's name alone: where it lies on
    this machine is nobody's business."""
    def text(key: str, **values: object) -> str:
        return translate(language, f"card.{key}", **{name: _plain(value) for name, value in values.items()})

    base = base_name(run.config.model)
    header = {"library_name": "peft", "base_model": base if HUB_ID.fullmatch(base) else "", "license": "other",
              "pipeline_tag": "text-generation", "tags": ["lora", "qlora", "taller"]}
    lines = ["---", *(f"{name}: {value if isinstance(value, str) else json.dumps(value)}"
                      for name, value in header.items() if value), "---", "",
             f"# {_plain(run.shown_name)}", "", text("what", model=base), ""]
    dataset = run.dataset
    if dataset:
        lines += [text("dataset", name=dataset.get("name", "?"), examples=dataset.get("examples", "?"))]
    lines += [text("when", date=f"{run.created:%Y-%m-%d %H:%M}"),
              text("losses", steps=len(run.steps), first=_loss(run.steps[0]["loss"] if run.steps else None),
                   last=_loss(run.final_loss))]
    if run.result.get("base_loss") is not None and run.result.get("held_out"):
        lines += [text("held_out", rows=run.result.get("rows", 0), base=_loss(run.result["base_loss"]),
                       tuned=_loss(run.result.get("tuned_loss")))]
    lines += ["", f"## {text('recipe')}", "",
              f"| {text('setting')} | {text('name')} | {text('value')} |", "|---|---|---|"]
    for each in fields(TrainConfig):
        value = getattr(run.config, each.name)
        shown = base if each.name == "model" else ", ".join(value) if isinstance(value, tuple) else value
        title = translate(language, f"train_setting.{each.name}")
        lines.append(f"| {_plain(title)} | `{each.name}` | {_plain(shown)} |")
    lines += ["", f"## {text('use')}", "", "```python", "from peft import PeftModel",
              "from transformers import AutoModelForCausalLM", "",
              f"base = AutoModelForCausalLM.from_pretrained({base!r})",
              'model = PeftModel.from_pretrained(base, ".")', "```", ""]
    return "\n".join(lines)


def base_name(model: str) -> str:
    """A hub id as it is; of a folder its name."""
    return model if HUB_ID.fullmatch(model) else model.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _plain(value: object) -> str:
    """Text from outside as text in Markdown."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def _loss(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else "-"
