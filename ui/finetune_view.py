"""A run as the page shows it: its state, how far it is, what was loaded, what became of it.

Every text from outside is escaped.
"""

from __future__ import annotations

from html import escape
from typing import Any

from core.finetune.run import Run
from ui.feedback import size_text
from ui.finetune_words import count, day, duration, figure
from ui.i18n import plural, translate


def empty(language: str) -> str:
    """Before the first run: what the tab does, in three steps."""
    steps = "".join(f"<li>{escape(translate(language, f'finetune.first_{number}'))}</li>" for number in (1, 2, 3))
    return (f'<div class="empty"><strong>{escape(translate(language, "finetune.no_run_title"))}</strong>'
            f'<ol class="first-steps">{steps}</ol></div>')


def run_card(language: str, run: Run) -> str:
    """State, progress and the latest figures of a run, or what became of it."""
    state = "stopping" if run.alive and run.stop_asked else run.state
    said = escape(translate(language, f"finetune.state_{state}"))
    facts = [run.config.model, dataset_name(run), day(language, run.created)]
    name = "" if run.title in ("", run.name) else f'<span class="count">{escape(run.name)}</span>'
    return (f'<div class="run"><div class="run-head"><span class="badge {run.state}" role="status">{said}</span>'
            f'<strong>{escape(run.shown_name)}</strong>{name}</div>'
            f'<p class="hint">{escape(" · ".join(filter(None, facts)))}</p>'
            f"{_progress(language, run)}{_plan(language, run.plan)}{_outcome(language, run)}</div>")


def dataset_name(run: Run) -> str:
    return str(run.dataset.get("name") or "")


def _progress(language: str, run: Run) -> str:
    if not run.steps:
        hint = translate(language, "finetune.loading_hint") if run.alive else ""
        return f'<progress></progress><p class="hint">{escape(hint)}</p>' if hint else ""
    last = run.steps[-1]
    step, total = last["step"], last["total"]
    figures = [(translate(language, "finetune.step_column"), f"{count(language, step)} / {count(language, total)}")]
    if run.alive and last.get("seconds") and run.state == "training":
        left = last["seconds"] / max(1, step) * (total - step)
        figures.append((translate(language, "finetune.left_column"), duration(left)))
    else:
        figures.append((translate(language, "finetune.took_column"), duration(run.seconds)))
    if run.final_loss is not None:
        figures.append((translate(language, "finetune.loss_column"), figure(language, run.final_loss)))
    if last.get("tokens_per_second"):
        figures.append((translate(language, "finetune.speed_column"), figure(language, last["tokens_per_second"], 0)))
    if last.get("memory_bytes"):
        figures.append((translate(language, "finetune.memory_column"), size_text(language, last["memory_bytes"])))
    label = escape(translate(language, "finetune.step", step=step, total=total), quote=True)
    bar = f'<progress max="{total}" value="{step}" aria-label="{label}"></progress>'
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures)
    now = translate(language, "finetune.evaluating_hint") if run.state == "evaluating" else ""
    hint = f'<p class="hint working">{escape(now)}</p>' if now else ""
    return f'{bar}<dl class="figures">{cells}</dl>{hint}'


def _plan(language: str, plan: dict[str, Any]) -> str:
    """What was really loaded, and which rows were not used whole."""
    if not plan:
        return ""
    facts = [translate(language, "finetune.device", device=plan.get("device", "?"),
                       precision=plan.get("precision", "?"))]
    if plan.get("bytes_4bit"):
        facts.append(translate(language, "finetune.quantized", four=size_text(language, plan["bytes_4bit"]),
                               other=size_text(language, plan.get("bytes_other") or 0)))
    if plan.get("matched_modules"):
        facts.append(plural(language, "finetune.matched", plan["matched_modules"],
                            names=", ".join(map(str, plan.get("target_modules") or ()))))
    for key in ("dropped_rows", "shortened_rows", "held_out_rows"):
        if plan.get(key):
            facts.append(plural(language, f"finetune.{key}", plan[key]))
    if plan.get("missing_modules"):
        names = ", ".join(map(str, plan["missing_modules"]))
        facts.append(translate(language, "finetune.missing_modules", names=names))
    if plan.get("packing") == "leaks":
        facts.append(translate(language, "finetune.packing_leaks"))
    return f'<p class="hint">{escape(" · ".join(facts))}</p>'


def _outcome(language: str, run: Run) -> str:
    if run.error is not None:
        code, values = run.error
        said = translate(language, f"error.{code}", **values)
        return f'<div class="notice error" role="alert">{escape(said)}</div>'
    if run.state == "stopped":
        key = "finetune.stopped_kept" if run.adapter else "finetune.stopped_early"
        return f'<div class="notice">{escape(translate(language, key, folder=_adapter_of(run)))}</div>'
    if run.adapter is not None and not run.alive:
        saved = translate(language, "finetune.saved", folder=_adapter_of(run))
        return f'<p class="hint">{escape(saved)}</p>'
    return ""


def _adapter_of(run: Run) -> str:
    return f"{run.folder.parent.name}/{run.name}/adapter"
