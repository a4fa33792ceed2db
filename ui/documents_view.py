"""The documents as HTML: the table, the progress line, the questions. Every text from outside is escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, Literal, get_args

from core.documents.pace import passages_left
from core.documents.records import WORKING, State, StoredDocument
from core.errors import AppError
from ui.feedback import error_notice, notices_html, size_text, time_left_text
from ui.i18n import plural, translate

Column = Literal["name", "pages", "chunks", "size", "state"]
COLUMNS: tuple[Column, ...] = get_args(Column)
ROWS_SHOWN = 200  # a thousand are drawn in 60 ms as well, but sent again with every step of a long run
_NAMES_SHOWN = 5
# A picture: the character for it is missing from many systems' fonts.
_PADLOCK = ('<svg viewBox="0 0 24 24" width="15" height="15" fill="none" stroke="currentColor" stroke-width="2.2" '
            'aria-hidden="true"><rect x="4" y="11" width="16" height="10" rx="2"/><path d="M8 11V7a4 4 0 0 1 8 0v4"/>'
            '</svg>')
_LOCKED = ("pdf_encrypted", "pdf_wrong_password")
_STATE_ORDER: tuple[State, ...] = ("embedding", "parsing", "queued", "failed", "no_text", "cancelled", "indexed")
_SORT_KEYS: dict[Column, Callable[[StoredDocument], Any]] = {
    "name": lambda document: folded(document.source),
    "pages": lambda document: document.pages,
    "chunks": lambda document: document.chunks,
    "size": lambda document: document.size_bytes,
    "state": lambda document: _STATE_ORDER.index(document.state),
}


@dataclass(frozen=True)
class TableView:
    """How a reader looks at the table."""

    sort: Column = "name"
    descending: bool = False
    whole: bool = False  # all rows, also beyond ROWS_SHOWN

    def sorted_by(self, column: Column) -> TableView:
        """After a click on a column's head: by this column, and the other way round if it was already."""
        return replace(self, sort=column, descending=self.sort == column and not self.descending)


def folded(text: str) -> str:
    """Without case and accents: for sorting and finding names as people do."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def matching(documents: Sequence[StoredDocument], wanted: str) -> list[StoredDocument]:
    """The documents whose name holds every word of `wanted`."""
    words = folded(wanted).split()
    return [document for document in documents if all(word in folded(document.source) for word in words)]


def table(language: str, documents: Sequence[StoredDocument], view: TableView = TableView(),
          wanted: str = "") -> str:
    """The documents with pages, passages, size and state, as the reader wants them sorted and filtered; an invitation
    when there are none."""
    if not documents:
        return (f'<div class="empty"><strong>{_text(language, "documents.empty_title")}</strong>'
                f'<p>{_text(language, "documents.empty_text")}</p></div>')
    found = matching(documents, wanted)
    found.sort(key=lambda document: folded(document.source))
    found.sort(key=_SORT_KEYS[view.sort], reverse=view.descending)
    shown = found if view.whole else found[:ROWS_SHOWN]
    rows = "".join(_row(language, document) for document in shown)
    complete = " data-complete" if len(shown) == len(documents) else ""
    return (f'{_selection_bar(language)}<table class="documents"{complete}>{_heads(language, view)}'
            f"<tbody>{rows}</tbody></table>{_more(language, len(found), len(shown), wanted)}"
            f"{_totals(language, documents)}")


def _selection_bar(language: str) -> str:
    """Shown by the page's script once a document is chosen."""
    texts = " ".join(f'data-{form}="{_text(language, f"documents.chosen.{form}")}"' for form in ("one", "many"))
    return (f'<div class="selection" role="group" hidden><span {texts} aria-live="polite"></span>'
            f'<button type="button" data-act="remove-chosen">{_text(language, "documents.remove_chosen")}</button>'
            f'<button type="button" data-act="clear-chosen">{_text(language, "documents.clear_chosen")}</button></div>')


def _heads(language: str, view: TableView) -> str:
    cells = []
    for column in COLUMNS:
        direction = "descending" if view.descending else "ascending"
        sorted_by = f' aria-sort="{direction}"' if column == view.sort else ""
        arrow = ("↓" if view.descending else "↑") if column == view.sort else ""
        cells.append(f'<th class="{column}" scope="col"{sorted_by}><button type="button" data-act="sort" '
                     f'data-column="{column}">{_text(language, f"documents.column_{column}")}'
                     f'<span class="arrow" aria-hidden="true">{arrow}</span></button></th>')
    every = _text(language, "documents.choose_all")
    return (f'<thead><tr><th class="choose"><input type="checkbox" data-act="choose-all" aria-label="{every}" '
            f'title="{every}"></th>{"".join(cells)}<th class="acts" scope="col"><span class="unseen">'
            f'{_text(language, "documents.column_actions")}</span></th></tr></thead>')


def _row(language: str, document: StoredDocument) -> str:
    name = escape(document.source, quote=True)
    known = document.chunks > 0 or document.state == "no_text"
    pages, chunks = (str(document.pages), str(document.chunks)) if known else ("–", "–")
    note = _state_note(language, document)
    label = f"<span>{name}</span>"
    if document.chunks:
        label = (f'<button type="button" class="open" data-act="open" '
                 f'title="{_text(language, "documents.open")}">{name}</button>')
    choose = _text(language, "documents.choose", source=document.source)
    return (
        f'<tr data-source="{name}"><td class="choose"><input type="checkbox" data-act="choose" '
        f'aria-label="{choose}"></td><td class="name">{label}'
        f'{f"""<span class="below">{note}</span>""" if note else ""}</td><td class="pages">{pages}</td>'
        f'<td class="chunks">{chunks}</td><td class="size">{size_text(language, document.size_bytes)}</td>'
        f'<td class="state">{_state(language, document)}</td><td class="acts">{_acts(language, document)}</td></tr>'
    )


def _acts(language: str, document: StoredDocument) -> str:
    """The buttons at the end of a row: × stops work, or removes what is at rest."""
    if document.state in WORKING:
        return _button(language, document, "cancel", "×")
    if document.state == "failed" and document.reason is not None and document.reason.code in _LOCKED:
        first = _button(language, document, "unlock", _PADLOCK)
    else:
        again = "retry" if document.state in ("failed", "cancelled") else "reindex"
        first = _button(language, document, again, "↻")
    return first + _button(language, document, "remove", "×")


def _button(language: str, document: StoredDocument, act: str, sign: str) -> str:
    label = _text(language, f"documents.{act}", source=document.source)
    return f'<button type="button" class="{act}" data-act="{act}" aria-label="{label}" title="{label}">{sign}</button>'


def _state(language: str, document: StoredDocument) -> str:
    badge = f'<span class="badge {document.state}">{_text(language, f"documents.state_{document.state}")}</span>'
    if document.state in ("parsing", "embedding") and document.done + document.total:
        return f"{badge} {_progress(language, document)}"
    note = _state_note(language, document)
    return f'{badge} <span class="reason">{note}</span>' if note else badge


def _progress(language: str, document: StoredDocument) -> str:
    """How far a document has come: pages while it is read, passages from then on; of how many, where that is known."""
    unit = "pages" if document.state == "parsing" else "passages"
    if not document.total:
        return f'<span class="count">{escape(plural(language, f"documents.{unit}", document.done))}</span>'
    hint = _text(language, f"documents.progress_{unit}{'_about' if document.about else ''}", done=document.done,
                 total=document.total)
    return (f'<progress max="{document.total}" value="{document.done}"></progress>'
            f' <span class="count" title="{hint}">{_count(document).strip()}</span>')


def _count(document: StoredDocument) -> str:
    """How far its work has come as `done/total`; empty where no total is known."""
    about = "≈" if document.about else ""
    return f" {document.done}/{about}{document.total}" if document.state in WORKING and document.total else ""


def _state_note(language: str, document: StoredDocument) -> str:
    """What a reader should know about a state."""
    if document.state == "failed" and document.reason is not None:
        reason = escape(translate(language, f"error.{document.reason.code}", **document.reason.values))
        return f'{reason} {_text(language, "documents.earlier_hint")}' if document.chunks else reason
    if document.state == "no_text":
        return _text(language, "documents.no_text_hint")
    if document.state == "cancelled" and document.chunks:
        return _text(language, "documents.earlier_hint")
    return ""


def _more(language: str, found: int, shown: int, wanted: str) -> str:
    if not found:
        return f'<p class="hint none-found">{_text(language, "documents.none_found", wanted=wanted)}</p>'
    if found == shown:
        return ""
    return (f'<p class="hint more">{_text(language, "documents.first_rows", shown=shown, found=found)} '
            f'<button type="button" data-act="whole">{_text(language, "documents.show_all")}</button></p>')


def _totals(language: str, documents: Sequence[StoredDocument]) -> str:
    parts = [plural(language, "documents.total", len(documents)),
             plural(language, "documents.passages", sum(document.chunks for document in documents)),
             size_text(language, sum(document.size_bytes for document in documents))]
    failed = sum(document.state == "failed" for document in documents)
    if failed:
        parts.append(plural(language, "documents.total_failed", failed))
    return f'<p class="totals">{escape(" · ".join(parts))}</p>'


def busy_line(language: str, documents: Sequence[StoredDocument], error: AppError | None,
              passages_per_second: float | None = None) -> str:
    """How far the work has come, how fast it goes and how long it will take, while there is work; or what holds it
    up."""
    if error is not None:
        return notices_html(error_notice(language, error))
    working = [document for document in documents if document.state in WORKING]
    if not working:
        return ""
    done = len(documents) - len(working)
    current = next((document for document in working if document.state != "queued"), working[0])
    parts = [translate(language, "documents.busy", done=done, total=len(documents))]
    if passages_per_second is not None:
        parts.append(translate(language, "documents.pace", rate=_rate(language, passages_per_second)))
        left = passages_left(documents)
        if left:
            parts.append(time_left_text(language, left / passages_per_second))
    name = f"<bdi>{escape(current.source)}</bdi>{_count(current)}"
    return (f'<div class="busy"><progress max="{len(documents)}" value="{done}"></progress>'
            f'<span role="status">{escape(" · ".join(parts))} · {name}</span>'
            f'<button type="button" data-act="cancel-all">{_text(language, "documents.cancel_all")}</button></div>')


def _rate(language: str, per_second: float) -> str:
    text = f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.1f}"
    return text.replace(".", ",") if language == "es" else text


def conflict_text(language: str, taken: Sequence[str]) -> str:
    """The question about dropped files whose name another content has."""
    return _question(plural(language, "documents.conflict", len(taken), names=_names(taken))) if taken else ""


def missing_text(language: str, missing: Sequence[str]) -> str:
    """The question about a folder that lost most of its files."""
    return _question(plural(language, "documents.missing", len(missing), names=_names(missing))) if missing else ""


def password_text(language: str, source: str) -> str:
    """The question for the password of a protected document."""
    return _question(translate(language, "documents.password_for", source=source))


def unreadable_text(language: str, unreadable: Sequence[str]) -> str:
    """What could not be looked at in the folder; the folder itself is called `.`."""
    if not unreadable:
        return ""
    names = [translate(language, "documents.the_folder") if name == "." else name for name in unreadable]
    return _question(translate(language, "documents.unreadable", names=_names(names)))


def _question(text: str) -> str:
    return f'<p class="decision-text" role="alert">{escape(text)}</p>'


def _names(paths: Sequence[str]) -> str:
    names = ", ".join(f"«{Path(path).name}»" for path in paths[:_NAMES_SHOWN])
    return names + (" …" if len(paths) > _NAMES_SHOWN else "")


def _text(language: str, key: str, **values: object) -> str:
    return escape(translate(language, key, **values), quote=True)
