"""What the page shows of a dataset: its counts, wrong rows, lengths, and rows as the model will see them.

Every text from outside is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from html import escape

from core.errors import AppError
from core.finetune.dataset import DatasetReport, Example
from core.finetune.examples import guess_mapping
from core.finetune.inspection import Inspection, PreviewRow
from ui.feedback import Notice, error_notice, notices_html
from ui.finetune_words import count
from ui.i18n import plural, translate

PROBLEMS_SHOWN = 100
REPEATS_SHOWN = 20
PREVIEW_CHARS = 6000  # of one part of a row


def summary(language: str, report: DatasetReport, name: str = "") -> str:
    """How many rows are good, which are not and why, which repeat others."""
    facts = [f"{name or report.name}", plural(language, "finetune.rows", report.examples), report.format.upper()]
    if report.mapping.columns:
        facts.append(mapping_text(report))
    html = f'<div class="notice done" role="status">{escape(" · ".join(facts))}</div>'
    if report.bad_rows:
        html += problems(language, report)
    if report.duplicates:
        html += repeats(language, report)
    unused = unused_columns(report)
    if unused and report.mapping.columns:
        names = ", ".join(unused[:20])
        html += f'<p class="hint">{escape(translate(language, "finetune.unused_columns", names=names))}</p>'
    return html


def unused_columns(report: DatasetReport) -> list[str]:
    """Columns nobody learns. The rows of JSON each have columns of their own: some may have an input, others not."""
    known = guess_mapping(report.columns).columns if report.format in ("jsonl", "json") else ()
    return [name for name in report.unused_columns if name not in known]


def mapping_text(report: DatasetReport) -> str:
    """`pregunta → respuesta`."""
    parts = {name: column for name, column in asdict(report.mapping).items() if column}
    if "messages" in parts:
        return str(parts["messages"])
    question = " + ".join(parts[name] for name in ("system", "history", "instruction", "input") if name in parts)
    return f"{question} → {parts.get('output', '')}"


def problems(language: str, report: DatasetReport) -> str:
    """The wrong rows, each with what is wrong and how to mend it."""
    items = "".join(f"<li>{escape(translate(language, f'error.{one.code}', **one.values))}</li>"
                    for one in report.problems[:PROBLEMS_SHOWN])
    more = report.bad_rows - min(len(report.problems), PROBLEMS_SHOWN)
    rest = f"<li>{escape(plural(language, 'finetune.more_problems', more))}</li>" if more else ""
    title = escape(plural(language, "finetune.bad_lines", report.bad_rows))
    return (f'<div class="notice error" role="alert"><details class="wrong-rows" open><summary>{title}</summary>'
            f'<ul tabindex="0">{items}{rest}</ul></details></div>')


def repeats(language: str, report: DatasetReport) -> str:
    shown = ", ".join(translate(language, "finetune.repeat", line=line, first=first)
                      for line, first in report.repeated_lines[:REPEATS_SHOWN])
    more = "…" if report.duplicates > REPEATS_SHOWN else ""
    title = escape(plural(language, "finetune.duplicates", report.duplicates))
    return (f'<details class="repeats"><summary>{title}</summary><p class="hint">{escape(shown)}{more}</p></details>')


def counting(language: str) -> str:
    return f'<p class="hint working" role="status">{escape(translate(language, "finetune.counting"))}</p>'


def lengths(language: str, inspection: Inspection, max_length: int) -> str:
    """The histogram of token lengths, and what the chosen length would do."""
    if not inspection.totals:
        return refused(language, inspection)
    limit = inspection.limit(max_length)
    cut, dropped = inspection.cut(max_length), inspection.dropped(max_length)
    half, most, longest = (count(language, tokens) for tokens in (
        inspection.percentile(0.5), inspection.percentile(0.95), max(inspection.totals)))
    facts = [translate(language, "finetune.lengths", half=half, most=most, longest=longest)]
    if not inspection.whole:
        facts.append(translate(language, "finetune.sampled", sampled=count(language, inspection.sampled)))
    told = [plural(language, key, number, limit=count(language, limit))
            for key, number in (("finetune.would_cut", cut), ("finetune.would_drop", dropped)) if number]
    whole = escape(translate(language, "finetune.none_cut", limit=count(language, limit)))
    verdict = (f'<div class="notice warn" role="status">{escape(" ".join(told))}</div>' if told else
               f'<p class="hint good">{whole}</p>')
    title = escape(translate(language, "finetune.lengths_title"), quote=True)
    return (f'<section class="lengths" aria-label="{title}"><h4>{title}</h4>{histogram(language, inspection, limit)}'
            f'<p class="hint">{escape(" · ".join(facts))}</p>{verdict}</section>{refused(language, inspection)}')


def histogram(language: str, inspection: Inspection, limit: int) -> str:
    """Bars of rows by length; those beyond the limit in another colour, the limit as a line where it lies within."""
    bars = inspection.histogram()
    top, end = max(rows for _, _, rows in bars), bars[-1][1]
    drawn = []
    for start, stop, rows in bars:
        height = max(1.5, 100 * rows / top) if rows else 0
        said = escape(translate(language, "finetune.bar", start=start, stop=stop - 1, rows=rows))
        kind = "bar beyond" if start >= limit else "bar"
        left, width = 100 * start / end + 0.15, 100 * (stop - start) / end - 0.3
        drawn.append(f'<rect class="{kind}" x="{left:.2f}" width="{width:.2f}" '
                     f'y="{100 - height:.2f}" height="{height:.2f}"><title>{said}</title></rect>')
    line = (f'<line class="limit" x1="{100 * limit / end:.2f}" x2="{100 * limit / end:.2f}" y1="0" y2="100"/>'
            if limit < end else "")
    name = escape(translate(language, "finetune.histogram_said", longest=max(inspection.totals),
                            half=inspection.percentile(0.5), sampled=inspection.sampled), quote=True)
    return (f'<div class="histogram"><svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
            f'aria-label="{name}">{"".join(drawn)}{line}</svg><div class="x-axis" aria-hidden="true"><span>0</span>'
            f'<span>{escape(translate(language, "finetune.tokens", tokens=count(language, end)))}</span></div></div>')


def refused(language: str, inspection: Inspection) -> str:
    """What the model's chat template does not take, and whether it has one."""
    notices = []
    if inspection.refused:
        notices.append(Notice(plural(language, "finetune.refused", inspection.refused, line=inspection.refused_line,
                                     reason=inspection.refusal), "error"))
    if inspection.plain_template:
        notices.append(Notice(translate(language, "finetune.plain_template")))
    return notices_html(*notices)


def preview(language: str, rows: Sequence[PreviewRow], place: int) -> str:
    """One row as the model will see it, the trained part marked."""
    row = rows[place % len(rows)]
    spans = "".join(
        f'<span class="{"cut" if span.cut else "trained" if span.trained else "given"}">{_text(span.text)}</span>'
        for span in row.spans)
    facts = translate(language, "finetune.row_tokens", line=row.line, tokens=count(language, row.tokens),
                      trained=count(language, row.tokens - row.prompt_tokens))
    cut = any(span.cut for span in row.spans)
    key = "".join(f'<span class="{kind}">{escape(translate(language, f"finetune.key_{kind}"))}</span>'
                  for kind in ("given", "trained", *(("cut",) if cut else ())))
    return (f'<section class="as-seen"><h4>{escape(translate(language, "finetune.preview_title"))}</h4>'
            f'{_pager(language, place % len(rows), len(rows), facts)}'
            f'<div class="key">{key}</div><pre tabindex="0">{spans}</pre></section>')


def plain_preview(language: str, examples: Sequence[Example], place: int) -> str:
    """A row without a model's template: there is none to ask yet."""
    example = examples[place % len(examples)]
    facts = translate(language, "finetune.row_line", line=example.line)
    before = "".join(f'<p class="given"><b>{escape(turn.role)}</b> {_text(turn.content)}</p>'
                     for turn in example.history)
    return (f'<section class="as-seen"><h4>{escape(translate(language, "finetune.preview_plain"))}</h4>'
            f'{_pager(language, place % len(examples), len(examples), facts)}<div class="example-row">{before}'
            f"<p>{_text(example.instruction)}</p><p>{_text(example.output)}</p></div></section>")


def trouble(language: str, error: AppError) -> str:
    """Why the tokens could not be counted; the rest of the page goes on."""
    subject = "" if error.code == "inspect_failed" else translate(language, "finetune.not_counted")
    return notices_html(error_notice(language, error, subject))


def _pager(language: str, place: int, rows: int, facts: str) -> str:
    buttons = ""
    for act, sign in (("previous", "‹"), ("next", "›")):
        name = escape(translate(language, f"finetune.{act}_row"), quote=True)
        buttons += f'<button type="button" data-act="{act}" aria-label="{name}">{sign}</button>'
    where = translate(language, "finetune.row_of", place=place + 1, rows=rows)
    return (f'<div class="pager">{buttons if rows > 1 else ""}<span>{escape(where)} · {escape(facts)}</span></div>')


def _text(text: str) -> str:
    return escape(text[:PREVIEW_CHARS]) + ("…" if len(text) > PREVIEW_CHARS else "")

