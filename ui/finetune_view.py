"""A dataset and a run as the page shows them. Every text from outside is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from core.finetune.dataset import Dataset
from core.finetune.run import Run
from ui.feedback import size_text
from ui.i18n import plural, translate

if TYPE_CHECKING:
    import pandas

_PROBLEMS_SHOWN = 8
_POINTS_SHOWN = 300  # more make the browser slow and the curve no clearer
_PREVIEW_CHARS = 160


def dataset_summary(language: str, dataset: Dataset, name: str) -> str:
    """How many rows are good, which lines are not and why, and the first row."""
    good = plural(language, "finetune.rows", len(dataset.examples))
    html = f'<div class="notice done" role="status">{escape(name)}: {escape(good)}</div>'
    if dataset.bad_lines:
        items = "".join(f"<li>{escape(translate(language, f'error.{problem.code}', **problem.values))}</li>"
                        for problem in dataset.problems[:_PROBLEMS_SHOWN])
        more = dataset.bad_lines - min(len(dataset.problems), _PROBLEMS_SHOWN)
        rest = f"<li>{escape(plural(language, 'finetune.more_problems', more))}</li>" if more else ""
        title = escape(plural(language, "finetune.bad_lines", dataset.bad_lines))
        html += f'<div class="notice error" role="alert">{title}<ul>{items}{rest}</ul></div>'
    first = dataset.examples[0]
    return html + (f'<div class="example-row"><p>{escape(_short(first.instruction))}</p>'
                   f"<p>{escape(_short(first.output))}</p></div>")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text[:_PREVIEW_CHARS] + ("…" if len(text) > _PREVIEW_CHARS else "")


def run_status(language: str, run: Run) -> str:
    """State, progress and the latest figures of a run, or what became of it."""
    state = escape(translate(language, f"finetune.state_{run.state}"))
    head = (f'<div class="run-head"><span class="badge {run.state}">{state}</span>'
            f'<strong>{escape(run.name)}</strong></div>')
    return f'<div class="run" role="status">{head}{_progress(language, run)}{_outcome(language, run)}</div>'


def _progress(language: str, run: Run) -> str:
    if not run.steps:
        hint = translate(language, "finetune.loading_hint") if run.alive else ""
        return f'<p class="hint">{escape(hint)}</p>' if hint else ""
    last = run.steps[-1]
    facts = [translate(language, "finetune.step", step=last["step"], total=last["total"])]
    losses = [step["loss"] for step in run.steps if step.get("loss") is not None]
    if losses:
        facts.append(translate(language, "finetune.loss_now", loss=_number(language, losses[-1])))
    if last.get("tokens_per_second"):
        speed = _number(language, last["tokens_per_second"], 0)
        facts.append(translate(language, "finetune.speed", speed=speed))
    if last.get("memory_bytes"):
        facts.append(size_text(language, last["memory_bytes"]))
    if run.alive and last.get("seconds"):
        left = last["seconds"] / max(1, last["step"]) * (last["total"] - last["step"])
        facts.append(translate(language, "finetune.time_left", time=_duration(left)))
    bar = f'<progress max="{last["total"]}" value="{last["step"]}"></progress>'
    return f'{bar}<p class="facts">{escape(" · ".join(facts))}</p>{_plan(language, run.plan)}'


def _plan(language: str, plan: dict[str, Any]) -> str:
    """What was really loaded, and which rows were not used whole."""
    if not plan:
        return ""
    facts = [translate(language, "finetune.device", device=plan.get("device", "?"),
                       precision=plan.get("precision", "?"))]
    if plan.get("dropped_rows"):
        facts.append(plural(language, "finetune.dropped_rows", plan["dropped_rows"]))
    if plan.get("shortened_rows"):
        facts.append(plural(language, "finetune.shortened_rows", plan["shortened_rows"]))
    return f'<p class="hint">{escape(" · ".join(facts))}</p>'


def _outcome(language: str, run: Run) -> str:
    if run.error is not None:
        code, values = run.error
        return f'<div class="notice error" role="alert">{escape(translate(language, f"error.{code}", **values))}</div>'
    if run.state == "interrupted":
        hint = translate(language, "finetune.interrupted_hint", log="log.txt")
        return f'<div class="notice error" role="alert">{escape(hint)}</div>'
    if run.adapter is not None and not run.alive:
        saved = translate(language, "finetune.saved", folder=f"{run.folder.parent.name}/{run.name}/adapter")
        return f'<div class="notice done">{escape(saved)}</div>'
    return ""


def curve(steps: Sequence[dict[str, Any]]) -> pandas.DataFrame:
    """Step and loss for the plot, thinned to at most 300 points; the last one always stays."""
    import pandas

    points = [(step["step"], step["loss"]) for step in steps if step.get("loss") is not None]
    stride = max(1, -(-len(points) // _POINTS_SHOWN))
    kept = points[::-1][::stride][::-1]
    return pandas.DataFrame(kept, columns=["step", "loss"])


def _number(language: str, value: float, digits: int = 3) -> str:
    text = f"{value:.{digits}f}"
    return text.replace(".", ",") if language == "es" else text


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
