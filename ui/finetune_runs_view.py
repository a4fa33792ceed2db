"""The list of runs as a table. Every text from outside is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from core.finetune.run import Run
from ui.finetune_view import dataset_name
from ui.finetune_words import day, figure
from ui.i18n import translate

RUNS_SHOWN = 200
_COLUMNS = (("named", "run"), ("date", "date"), ("model", "model"), ("dataset", "dataset"), ("loss", "loss"),
            ("state", "state"))


def runs_table(language: str, runs: Sequence[Run], shown: str, against: str = "", undo: str = "") -> str:
    """All runs, the newest first; `undo` names one in the trash that can be brought back."""
    def say(key: str, **values: object) -> str:
        return escape(translate(language, f"finetune.{key}", **values), quote=True)

    notice = (f'<div class="notice" role="status">{say("deleted")} <button type="button" class="link" data-act="undo" '
              f'data-name="{escape(undo, quote=True)}">{say("undo")}</button></div>' if undo else "")
    if not runs:
        return notice
    head = "".join(f'<th class="{kind}" scope="col">{say(f"{name}_column")}</th>' for kind, name in _COLUMNS)
    rows = "".join(_row(language, run, run.name == shown, run.name == against, len(runs) > 1)
                   for run in runs[:RUNS_SHOWN])
    more = f'<p class="hint">{say("list_cut", count=len(runs) - RUNS_SHOWN)}</p>' if len(runs) > RUNS_SHOWN else ""
    return (f'{notice}<table class="runs"><caption>{say("runs_title")}</caption>'
            f'<thead><tr>{head}<th class="acts"><span class="unseen">{say("acts_column")}</span></th></tr></thead>'
            f"<tbody>{rows}</tbody></table>{more}")


def _row(language: str, run: Run, shown: bool, against: bool, several: bool) -> str:
    def say(key: str, **values: object) -> str:
        return escape(translate(language, f"finetune.{key}", **values), quote=True)

    loss = "—" if run.final_loss is None else escape(figure(language, run.final_loss))
    marks = f'{" data-current" if shown else ""}{" data-against" if against else ""}'
    acts = ["compare"] if several and not shown and not against else ["uncompare"] if against else []
    acts += ["rename", "again", *(["zip"] if run.adapter else []), *([] if run.alive else ["delete"])]
    buttons = "".join(f'<button type="button" data-act="{act}">{say(f"act_{act}")}</button>' for act in acts)
    name = escape(run.shown_name, quote=True)
    menu = say("menu_of", name=run.shown_name)
    model = run.config.model.replace("\\", "/").rstrip("/")
    short = model.rsplit("/", 1)[-1]
    return (f'<tr data-name="{escape(run.name, quote=True)}"{marks}>'
            f'<td class="named"><button type="button" class="open" data-act="show"'
            f'{" aria-current=true" if shown else ""} title="{name}">{name}</button></td>'
            f'<td class="date">{escape(day(language, run.created))}</td>'
            f'<td class="model" title="{escape(model, quote=True)}">{escape(short)}</td>'
            f'<td class="dataset">{escape(dataset_name(run))}</td><td class="loss">{loss}</td>'
            f'<td class="state"><span class="badge {run.state}">{say(f"state_{run.state}")}</span></td>'
            f'<td class="acts"><details class="menu"><summary aria-label="{menu}" title="{menu}">⋯</summary>'
            f"<div>{buttons}</div></details></td></tr>")
