"""The documents as HTML: the table, the progress line, the questions. Every text from outside is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from core.documents.store import StoredDocument
from core.errors import AppError
from ui.feedback import error_notice, notices_html, size_text
from ui.i18n import plural, translate

WORKING = ("queued", "parsing", "embedding")
_NAMES_SHOWN = 5


def table(language: str, documents: Sequence[StoredDocument]) -> str:
    """All documents with pages, passages, size and state; an invitation when there are none."""
    if not documents:
        return (f'<div class="empty"><strong>{escape(translate(language, "documents.empty_title"))}</strong>'
                f'<p>{escape(translate(language, "documents.empty_text"))}</p></div>')
    heads = "".join(f'<th class="{name}" scope="col">{escape(translate(language, f"documents.column_{name}"))}</th>'
                    for name in ("name", "pages", "chunks", "size", "state"))
    remove = escape(translate(language, "documents.column_remove"))
    rows = "".join(_row(language, document) for document in documents)
    return (f'<table class="documents"><thead><tr>{heads}<th class="remove"><span class="unseen">{remove}</span>'
            f"</th></tr></thead><tbody>{rows}</tbody></table>{_totals(language, documents)}")


def _row(language: str, document: StoredDocument) -> str:
    name = escape(document.source, quote=True)
    known = document.chunks > 0 or document.state == "no_text"
    pages = str(document.pages) if known else "–"
    chunks = str(document.chunks) if known else "–"
    remove = escape(translate(language, "documents.remove", source=document.source), quote=True)
    return (
        f'<tr><td class="name" title="{name}">{name}</td><td class="pages">{pages}</td>'
        f'<td class="chunks">{chunks}</td><td class="size">{size_text(language, document.size_bytes)}</td>'
        f'<td class="state">{_state(language, document)}</td><td class="remove">'
        f'<button type="button" data-source="{name}" aria-label="{remove}" title="{remove}">×</button></td></tr>'
    )


def _state(language: str, document: StoredDocument) -> str:
    text = escape(translate(language, f"documents.state_{document.state}"))
    badge = f'<span class="badge {document.state}">{text}</span>'
    if document.state == "embedding" and document.total:
        return (f'{badge} <progress max="{document.total}" value="{document.done}"></progress>'
                f' <span class="count">{document.done}/{document.total}</span>')
    if document.state == "parsing" and document.done:
        return f'{badge} <span class="count">{escape(plural(language, "documents.pages", document.done))}</span>'
    if document.state == "failed" and document.reason is not None:
        reason = translate(language, f"error.{document.reason.code}", **document.reason.values)
        return f'{badge} <span class="reason">{escape(reason)}</span>'
    if document.state == "no_text":
        return f'{badge} <span class="reason">{escape(translate(language, "documents.no_text_hint"))}</span>'
    return badge


def _totals(language: str, documents: Sequence[StoredDocument]) -> str:
    passages = sum(document.chunks for document in documents)
    text = f"{plural(language, 'documents.total', len(documents))} · {plural(language, 'documents.passages', passages)}"
    return f'<p class="totals">{escape(text)}</p>'


def busy_line(language: str, documents: Sequence[StoredDocument], error: AppError | None) -> str:
    """How far the work has come, while there is work; or what holds it up."""
    if error is not None:
        return notices_html(error_notice(language, error))
    working = [document for document in documents if document.state in WORKING]
    if not working:
        return ""
    done = len(documents) - len(working)
    current = next((document for document in working if document.state != "queued"), working[0])
    text = translate(language, "documents.busy", done=done, total=len(documents), source=current.source)
    return (f'<div class="busy" role="status"><progress max="{len(documents)}" value="{done}"></progress>'
            f"<span>{escape(text)}</span></div>")


def conflict_text(language: str, taken: Sequence[str]) -> str:
    """The question about dropped files whose name another content has."""
    return _question(plural(language, "documents.conflict", len(taken), names=_names(taken))) if taken else ""


def missing_text(language: str, missing: Sequence[str]) -> str:
    """The question about a folder that lost most of its files."""
    return _question(plural(language, "documents.missing", len(missing), names=_names(missing))) if missing else ""


def _question(text: str) -> str:
    return f'<p class="decision-text" role="alert">{escape(text)}</p>'


def _names(paths: Sequence[str]) -> str:
    names = ", ".join(f"«{Path(path).name}»" for path in paths[:_NAMES_SHOWN])
    return names + (" …" if len(paths) > _NAMES_SHOWN else "")
