"""The verdict before the start, in words with its numbers, and what to click where it does not fit.

Every text from outside is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from core.errors import AppError
from core.finetune.config import TrainConfig
from core.finetune.estimate import Estimate
from core.finetune.memory import Need
from ui.feedback import size_text
from ui.finetune_words import changes, count, duration
from ui.i18n import explain, plural, translate

_KINDS = {"fits": "done", "tight": "warn", "does_not_fit": "error", "unknown": ""}
_TOO_LARGE = ("train_gpt_oss_needs_gpu", "train_no_memory")
_PARTS = ("four_bit", "other_weights", "adapter", "activations", "logits", "process")


@dataclass(frozen=True)
class Offer:
    """One click that changes the form: `settings` as a person would write them."""

    key: str
    settings: Mapping[str, str]

    def button(self, language: str) -> str:
        said = escape(translate(language, f"finetune.offer_{self.key}", **self.settings))
        data = escape(json.dumps(dict(self.settings)), quote=True)
        return f'<button type="button" data-act="offer" data-settings="{data}">{said}</button>'


def offers_of(estimate: Estimate, asked: TrainConfig) -> list[Offer]:
    """What would make it fit: smaller batches of the same steps, shorter rows, another model."""
    found = []
    if estimate.verdict == "tight":
        wanted = estimate.config
        found.append(Offer("batch", {"batch_size": str(wanted.batch_size),
                                     "gradient_accumulation": str(wanted.gradient_accumulation)}))
    if estimate.verdict == "does_not_fit":
        if asked.max_length > 256 and not asked.packing:
            together = asked.batch_size * asked.gradient_accumulation
            found.append(Offer("shorter", {"max_length": str(asked.max_length // 2), "batch_size": "1",
                                           "gradient_accumulation": str(together)}))
        if asked.model != estimate.small_model:
            found.append(Offer("model", {"model": estimate.small_model}))
    return found


def verdict(language: str, estimate: Estimate, asked: TrainConfig, examples: int, *, offline: bool = False) -> str:
    """Fits, tight, does not fit, or what is not known: yet, or while the hub cannot be reached."""
    need = estimate.need
    values = {"need": size_text(language, need.total) if need else "", "free": size_text(language, estimate.free_bytes),
              "batch": f"{estimate.config.batch_size} × {estimate.config.gradient_accumulation}"}
    where = translate(language, "finetune.on_gpu" if estimate.on_gpu else "finetune.on_cpu")
    told = "offline" if offline and estimate.verdict == "unknown" else estimate.verdict
    said = translate(language, f"finetune.verdict_of_{told}", where=where, **values)
    html = f'<div class="notice {_KINDS[estimate.verdict]}" role="status"><strong>{escape(said)}</strong>'
    html += _times(language, estimate, examples) + _offers(language, offers_of(estimate, asked)) + "</div>"
    if need:
        html += parts(language, need, estimate.free_bytes)
    return html + changed(language, asked)


def refusal(language: str, error: AppError, asked: TrainConfig | None, small_model: str) -> str:
    """What is known to be impossible, and another model where that helps."""
    offers = []
    if asked is not None and asked.model != small_model and error.code in _TOO_LARGE:
        offers = [Offer("model", {"model": small_model})]
    said = f"{escape(explain(language, error))}{_offers(language, offers)}"
    return f'<div class="notice error" role="alert">{said}</div>{changed(language, asked) if asked else ""}'


def changed(language: str, asked: TrainConfig) -> str:
    """In what the form differs from the recipe."""
    found = changes(language, asked, TrainConfig())
    if not found:
        return f'<p class="hint">{escape(translate(language, "finetune.as_recipe"))}</p>'
    said = translate(language, "finetune.differs", changes=" · ".join(found))
    return f'<p class="hint">{escape(said)}</p>'


def parts(language: str, need: Need, free_bytes: int) -> str:
    """The memory as one bar, part by part, against what is free."""
    whole = max(need.total, free_bytes, 1)
    sizes = [(name, int(getattr(need, name))) for name in _PARTS]
    bar = "".join(f'<i class="{name}" style="width:{100 * size / whole:.2f}%"></i>' for name, size in sizes)
    free = (f'<b class="free" style="left:{100 * free_bytes / whole:.2f}%"></b>' if free_bytes < whole else "")
    key = "".join(f'<li class="{name}">{escape(translate(language, f"finetune.part_{name}"))} '
                  f"<b>{size_text(language, size)}</b></li>" for name, size in sizes if size >= 1_000_000)
    return f'<div class="memory"><div class="bar" aria-hidden="true">{bar}{free}</div><ul>{key}</ul></div>'


def _times(language: str, estimate: Estimate, examples: int) -> str:
    facts = [plural(language, "finetune.steps_of", estimate.steps, examples=count(language, examples))]
    if estimate.seconds is not None:
        key = "finetune.time_measured" if estimate.measured else "finetune.time_guessed"
        facts.append(translate(language, key, time=time_words(language, estimate.seconds)))
    disk = translate(language, "finetune.disk", free=size_text(language, estimate.disk_free_bytes),
                     need=size_text(language, estimate.disk_bytes)) if estimate.disk_bytes else ""
    return f'<p>{escape(" · ".join(filter(None, [*facts, disk])))}</p>'


def time_words(language: str, seconds: float) -> str:
    """About how long: seconds, minutes, hours or days, rounded as far as it can be known."""
    for unit, size, most in (("seconds", 1, 90), ("minutes", 60, 90), ("hours", 3600, 48), ("days", 86400, 10 ** 9)):
        if seconds < size * most:
            return plural(language, f"finetune.{unit}", max(1, round(seconds / size)))
    return duration(seconds)


def _offers(language: str, offers: Sequence[Offer]) -> str:
    return f'<p class="offers">{"".join(offer.button(language) for offer in offers)}</p>' if offers else ""


def chips(language: str, models: Sequence[tuple[str, str]]) -> str:
    """Base models to choose by a click: name, and how it fits (a key)."""
    buttons = "".join(
        f'<button type="button" class="chip" data-act="model" data-model="{escape(model, quote=True)}" '
        f'title="{escape(model, quote=True)}"><strong>'
        f'{escape(model.replace(chr(92), "/").rstrip("/").rsplit("/", 1)[-1])}</strong> '
        f'{escape(translate(language, f"finetune.model_{fit}"))}</button>' for model, fit in models)
    title = escape(translate(language, "finetune.suggested"))
    return f'<div class="chips"><span class="hint">{title}</span>{buttons}</div>'
