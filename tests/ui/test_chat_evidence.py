"""Where an answer comes from, as HTML: cards, and a page that can be turned and enlarged."""

from __future__ import annotations

import pytest

from core.documents.preview import PagePicture, TextExcerpt
from tests.ui.test_chat_view import HOSTILE, both_languages, hit
from ui.chat_evidence import source_cards, viewer
from ui.i18n import translate

PICTURE = PagePicture("data:image/webp;base64,AAAA", 0.25)


@both_languages
def test_cards_carry_number_place_and_excerpt_and_mark_the_chosen_one(language: str) -> None:
    html = source_cards(language, [hit(1), hit(2, source="b.pdf", text="x" * 500)], 5, chosen=2)
    assert html.count('data-turn="5"') == 2 and html.count('aria-current="true"') == 1
    assert f"b.pdf · {translate(language, 'chat.page', page=4)}" in html
    assert "x" * 220 + "…" in html and "x" * 221 not in html
    assert html.index('data-number="2" aria-current') > html.index('data-number="1"')


@both_languages
def test_without_passages_the_place_for_them_is_explained(language: str) -> None:
    assert translate(language, "chat.sources_empty") in source_cards(language, [], 0)


@pytest.mark.parametrize("shown", [PICTURE, TextExcerpt(HOSTILE, HOSTILE, HOSTILE)])
def test_hostile_names_and_passages_stay_text(shown: PagePicture | TextExcerpt) -> None:
    bad = hit(source=HOSTILE, text=HOSTILE)
    for html in (source_cards("es", [bad], 0), viewer("es", [bad], 0, 0, shown, 4, 9)):
        assert "<script" not in html and HOSTILE not in html and "&lt;script&gt;" in html


def test_the_page_is_a_picture_or_the_text_with_the_passage_marked() -> None:
    html = viewer("en", [hit()], 0, 0, PICTURE, 4, 9)
    assert 'src="data:image/webp;base64,AAAA"' in html and 'alt="a.pdf · ' in html and 'data-top="0.25"' in html
    assert "before<mark>passage</mark>after" in viewer(
        "en", [hit()], 0, 0, TextExcerpt("before", "passage", "after"), 4, 9)


def off(html: str, key: str) -> bool:
    """Whether the button of this locale key is disabled."""
    return "disabled" in html.split(f'data-key="{key}"', 1)[1].split(">", 1)[0]


@pytest.mark.parametrize(("position", "page", "ends"), [
    (0, 1, {"chat.source_before", "chat.page_before"}), (1, 4, set()),
    (2, 9, {"chat.source_after", "chat.page_after"})])
def test_buttons_lead_to_the_sources_and_pages_there_are(position: int, page: int, ends: set[str]) -> None:
    html = viewer("en", [hit(1), hit(2), hit(5)], position, 7, PICTURE, page, 9)
    keys = {f"chat.{kind}_{way}" for kind in ("source", "page") for way in ("before", "after")}
    assert {key for key in keys if off(html, key)} == ends
    assert ("chat.passage_back" in html) == (page != 4)
    assert f'data-turn="7" data-number="{(1, 2, 5)[position]}"' in html
    for key in ("chat.zoom_in", "chat.zoom_out", "chat.zoom_fit"):
        assert f'aria-label="{translate("en", key)}"' in html
