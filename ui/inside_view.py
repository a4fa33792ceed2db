"""What is inside the documents as HTML: the passages of one, and the passages a question finds. Escapes every text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from core.documents.search import Hit
from core.documents.store import Passage, StoredDocument
from ui.i18n import plural, texts, translate

PASSAGES_SHOWN = 20


def passages_view(language: str, document: StoredDocument, passages: Sequence[Passage], offset: int) -> str:
    """A document's passages from number `offset` (from 0) on, with the way to the others."""
    name = escape(document.source, quote=True)
    facts = " · ".join((plural(language, "documents.pages", document.pages),
                        plural(language, "documents.passages", document.chunks)))
    cards = "".join(_passage(language, passage, number) for number, passage in enumerate(passages, start=offset + 1))
    pager = _pager(language, document.chunks, offset, len(passages))
    return (f'<section data-subject="{name}"><h3>{name}</h3><p class="facts">{escape(facts)}</p>'
            f"{pager}{cards}{pager}</section>")


def _passage(language: str, passage: Passage, number: int) -> str:
    facts = [translate(language, "chat.page", page=passage.page), _language_name(language, passage.language),
             plural(language, "documents.characters", len(passage.text))]
    if passage.tokens:
        facts.append(plural(language, "documents.tokens", passage.tokens))
    if passage.windows > 1:
        facts.append(plural(language, "documents.vectors", passage.windows))
    return (f'<article class="passage"><header><span class="number">{number}</span> {escape(" · ".join(facts))}'
            f"</header><p>{escape(passage.text)}</p></article>")


def _pager(language: str, total: int, offset: int, shown: int) -> str:
    if total <= PASSAGES_SHOWN:
        return ""
    place = translate(language, "documents.passages_shown", first=offset + 1, last=offset + shown, total=total)
    buttons = "".join(
        f'<button type="button" data-act="page" data-offset="{target}"{"" if there else " disabled"}>'
        f"{escape(translate(language, key))}</button>"
        for key, target, there in (("documents.earlier", offset - PASSAGES_SHOWN, offset > 0),
                                   ("documents.later", offset + PASSAGES_SHOWN, offset + shown < total)))
    return f'<nav class="pager"><span>{escape(place)}</span>{buttons}</nav>'


def _language_name(language: str, code: str) -> str:
    key = f"language.{code}"
    return translate(language, key) if key in texts(language) else code


def try_intro() -> str:
    """Nothing yet: no question was asked."""
    return '<section data-subject="?"></section>'


def hits_view(language: str, question: str, hits: Sequence[Hit], milliseconds: float) -> str:
    """The passages a question finds, with what speaks for each."""
    head = escape(plural(language, "documents.hits", len(hits), milliseconds=round(milliseconds)))
    cards = "".join(_hit(language, hit) for hit in hits)
    return (f'<section data-subject="? {escape(question, quote=True)}"><p class="facts" role="status">{head}</p>'
            f"{cards}</section>")


def scope_text(language: str, chosen: Sequence[str]) -> str:
    """Where a question is searched: in all documents, or in those that are chosen."""
    text = plural(language, "documents.search_chosen", len(chosen)) if chosen else translate(
        language, "documents.search_all")
    return f'<p class="hint">{escape(text)}</p>'


def _hit(language: str, hit: Hit) -> str:
    place = f"{hit.source} · {translate(language, 'chat.page', page=hit.page)}"
    scores = "".join(
        f'<div title="{escape(translate(language, f"documents.score_{name}_hint"), quote=True)}"><dt>'
        f'{escape(translate(language, f"documents.score_{name}"))}</dt><dd>{_figure(language, value)}'
        f'<meter min="0" max="1" value="{min(max(value, 0.0), 1.0):.3f}" aria-hidden="true"></meter></dd></div>'
        for name, value in (("relevance", hit.relevance), ("fused", hit.score), ("dense", hit.dense),
                            ("lexical", hit.lexical)))
    return (f'<article class="passage hit"><header><span class="number">{hit.rank}</span> {escape(place)}</header>'
            f'<dl class="scores">{scores}</dl><p>{marked(hit.text, hit.matched)}</p></article>')


def _figure(language: str, value: float) -> str:
    text = f"{value:.2f}"
    return text.replace(".", ",") if language == "es" else text


def marked(text: str, words: Sequence[str]) -> str:
    """The text as HTML, these words of it marked wherever they stand alone."""
    if not words:
        return escape(text)
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    parts = re.split(rf"(?<!\w)({pattern})(?!\w)", text)
    return "".join(f"<mark>{escape(part)}</mark>" if index % 2 else escape(part) for index, part in enumerate(parts))
