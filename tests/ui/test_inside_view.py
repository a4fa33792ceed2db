"""Passages and hits as HTML: what is known of each, in both languages, and no markup from outside."""

from __future__ import annotations

from typing import Any

import pytest

from core.documents.search import Hit
from core.documents.store import Passage, StoredDocument
from ui.i18n import LANGUAGES, plural, translate
from ui.inside_view import PASSAGES_SHOWN, hits_view, marked, passages_view, scope_text

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
both_languages = pytest.mark.parametrize("language", LANGUAGES)


def document(source: str = "a.pdf", chunks: int = 3) -> StoredDocument:
    return StoredDocument(source, "s", "s", 1200, 1, "indexed", None, 0, 0, 2, chunks)


def passage(**values: Any) -> Passage:
    fields: dict[str, Any] = {"page": 2, "language": "es", "tokens": 41, "windows": 1, "text": "El tren sale a las 7."}
    return Passage(**{**fields, **values})


def hit(**values: Any) -> Hit:
    fields: dict[str, Any] = {"rank": 1, "chunk_id": 1, "source": "a.pdf", "sha256": "s", "page": 2, "start": 0,
                              "end": 9, "score": 0.52, "text": "El tren sale a las 7.", "dense": 0.61, "lexical": 0.43,
                              "relevance": 0.97, "matched": ("tren", "sale")}
    return Hit(**{**fields, **values})


@both_languages
def test_a_passage_tells_its_page_language_and_lengths(language: str) -> None:
    html = passages_view(language, document(), [passage(), passage(windows=2, tokens=0)], 0)
    for text in (translate(language, "chat.page", page=2), translate(language, "language.es"),
                 plural(language, "documents.characters", 21), plural(language, "documents.tokens", 41),
                 plural(language, "documents.vectors", 2), plural(language, "documents.passages", 3)):
        assert text in html
    assert html.count(plural(language, "documents.tokens", 41)) == 1


def test_the_pager_leads_to_the_passages_before_and_after() -> None:
    shown = [passage()] * PASSAGES_SHOWN
    first = passages_view("en", document(chunks=50), shown, 0)
    middle = passages_view("en", document(chunks=50), shown, 20)
    last = passages_view("en", document(chunks=50), shown[:10], 40)
    assert 'data-offset="20">' in first and 'data-offset="-20" disabled' in first
    assert 'data-offset="0">' in middle and 'data-offset="40">' in middle and "21–40 of 50" in middle
    assert 'data-offset="20">' in last and 'data-offset="60" disabled' in last
    assert '<span class="number">41</span>' in last
    assert "pager" not in passages_view("en", document(), [passage()], 0)


@both_languages
def test_a_hit_shows_what_speaks_for_it(language: str) -> None:
    html = hits_view(language, "¿Cuándo sale el tren?", [hit()], 12.4)
    figures = ("0,97", "0,52", "0,61", "0,43") if language == "es" else ("0.97", "0.52", "0.61", "0.43")
    for text in (*figures, "<mark>tren</mark>", "<mark>sale</mark>",
                 plural(language, "documents.hits", 1, milliseconds=12)):
        assert text in html


@both_languages
def test_a_search_among_chosen_documents_says_so(language: str) -> None:
    assert plural(language, "documents.search_chosen", 2) in scope_text(language, ["a", "b"])
    assert translate(language, "documents.search_all") in scope_text(language, [])


def test_words_are_marked_where_they_stand_alone() -> None:
    assert marked("Sol y solana: el sol.", ("Sol", "sol")) == "<mark>Sol</mark> y solana: el <mark>sol</mark>."
    assert marked("año-luz (año)", ("año",)) == "<mark>año</mark>-luz (<mark>año</mark>)"
    assert marked("a.b", ("a.b", ".*")) == "<mark>a.b</mark>"
    assert marked("nada", ()) == "nada"


@both_languages
def test_hostile_text_stays_text(language: str) -> None:
    for html in (passages_view(language, document(HOSTILE), [passage(text=HOSTILE, language=HOSTILE)], 0),
                 hits_view(language, HOSTILE, [hit(text=HOSTILE, source=HOSTILE, matched=("script", "alert"))], 1)):
        assert "<script" not in html and "<img" not in html and HOSTILE not in html
