"""Whether a run helped, as the page says it: the verdict with its figures, and answers of both models side by side.

Every text from outside is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from core.finetune.comparing import Comparison
from core.finetune.run import Run
from ui.finetune_words import loss_text, setting_title, setting_value, verdict_of, verdict_text
from ui.i18n import plural, translate

_KINDS = {"helped": "done", "no_change": "warn", "worse": "error", "not_measured": ""}


def result(language: str, run: Run) -> str:
    """Empty before a run is finished."""
    told = run.result
    if run.state != "finished" or not told:
        return ""
    base, tuned, words = told.get("base_loss"), told.get("tuned_loss"), escape(verdict_text(language, told))
    rows = plural(language, "finetune.measured_on", int(told.get("rows") or 0)) if told.get("held_out") else ""
    bars = _bars(language, base, tuned) if told.get("held_out") else ""
    samples = _samples(language, [one for one in told.get("samples") or () if isinstance(one, dict)])
    return (f'<section class="result" aria-label="{escape(translate(language, "finetune.result_title"), quote=True)}">'
            f'<h3>{escape(translate(language, "finetune.result_title"))}</h3>'
            f'<div class="notice {_KINDS[verdict_of(told)]}" role="status">{words}</div>{bars}'
            f'<p class="hint">{escape(rows)}</p>{samples}</section>')


def _bars(language: str, base: object, tuned: object) -> str:
    if not isinstance(base, int | float) or not isinstance(tuned, int | float):
        return ""
    most = max(base, tuned) or 1.0
    return '<div class="loss-bars">' + "".join(
        f'<span>{escape(translate(language, f"finetune.{name}"))}</span>'
        f'<i class="{name}" style="width:{max(1.0, 100 * value / most):.1f}%"></i><b>{loss_text(language, value)}</b>'
        for name, value in (("base", base), ("tuned", tuned))) + "</div>"


def _samples(language: str, samples: Sequence[dict[str, Any]]) -> str:
    """The first is seen at once, the others are a click away."""
    if not samples:
        return ""
    title = escape(translate(language, "finetune.samples_title"))
    others = "".join(_sample(language, one) for one in samples[1:])
    more = escape(plural(language, "finetune.more_samples", len(samples) - 1))
    folded = f"<details><summary>{more}</summary>{others}</details>" if others else ""
    return f"<h4>{title}</h4>{_sample(language, samples[0])}{folded}"


def _sample(language: str, sample: dict[str, Any]) -> str:
    cells = "".join(
        f'<div class="{name}"><h5>{escape(translate(language, f"finetune.{name}"))}</h5>'
        f"<p>{escape(str(sample.get(name) or '')) or '—'}</p></div>" for name in ("base", "tuned", "expected"))
    return (f'<article class="sample"><p class="asked">{escape(str(sample.get("prompt") or ""))}</p>'
            f'<div class="answers">{cells}</div></article>')


def both_answers(language: str, question: str, base: str, tuned: str, *, now: str = "") -> str:
    """The panel's answers; `now` is the one being written: base, tuned or neither."""
    cells = ""
    for name, text in (("base", base), ("tuned", tuned)):
        waits = escape(translate(language, "finetune.being_loaded" if now == name else "finetune.waits"))
        written = escape(text) if text else f'<span class="hint">{waits if now else "—"}</span>'
        title = escape(translate(language, f"finetune.{name}"))
        cells += f'<div class="{name}{" now" if now == name else ""}"><h5>{title}</h5><p>{written}</p></div>'
    done = f'<span class="unseen" role="status">{escape(translate(language, "finetune.both_answered"))}</span>'
    return (f'<article class="sample"><p class="asked">{escape(question)}</p><div class="answers two">{cells}</div>'
            f'{"" if now else done}</article>')


def differences(language: str, comparison: Comparison) -> str:
    """The settings in which two runs differ, side by side."""
    first, second = comparison.first, comparison.second
    names = [escape(run.shown_name) for run in (first, second)]
    rows = [(setting_title(language, one.field), *(setting_value(language, value) for value in (one.first, one.second)))
            for one in comparison.differences]
    rows += _figures(language, first, second)
    body = "".join(f"<tr><th>{escape(title)}</th><td>{escape(one)}</td><td>{escape(other)}</td></tr>"
                   for title, one, other in rows)
    alike = escape(translate(language, "finetune.same_settings"))
    stop = escape(translate(language, "finetune.act_uncompare"))
    same = "" if comparison.differences else f'<p class="hint">{alike}</p>'
    return (f'<section class="differences"><h3>{escape(translate(language, "finetune.compared"))}</h3>{same}'
            f'<table><thead><tr><td></td><th>{names[0]}</th><th>{names[1]}</th></tr></thead><tbody>{body}</tbody></table>'
            f'<button type="button" data-act="uncompare">{stop}</button></section>')


def _figures(language: str, first: Run, second: Run) -> Sequence[tuple[str, str, str]]:
    rows = [(translate(language, "finetune.loss_column"), loss_text(language, first.final_loss),
             loss_text(language, second.final_loss))]
    tuned = [run.result.get("tuned_loss") if run.result.get("held_out") else None for run in (first, second)]
    if any(value is not None for value in tuned):
        held_out = f"{rows[0][0]} ({translate(language, 'finetune.eval_loss')})"
        rows.append((held_out, loss_text(language, tuned[0]), loss_text(language, tuned[1])))
    return rows
