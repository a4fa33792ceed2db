"""The list of conversations as HTML: by day, with menus, and titles that stay text."""

from __future__ import annotations

import time

from core.chat.turns import Summary
from tests.ui.test_chat_view import HOSTILE, both_languages
from ui.chat_list import LISTED, conversation_list
from ui.i18n import translate

DAY = 86_400.0


@both_languages
def test_conversations_stand_under_the_day_they_were_last_used(language: str) -> None:
    now = time.time()
    ages = {"today": 0.0, "yesterday": DAY, "last_week": 4 * DAY, "last_month": 20 * DAY, "longer_ago": 400 * DAY}
    found = [Summary(name, f"title {name}", now - age, 2) for name, age in ages.items()]
    html = conversation_list(language, found, "today")
    heads = [f"<h3>{translate(language, f'chat.{name}')}</h3>" for name in ages]
    positions = [html.index(text) for pair in zip(heads, (f">title {name}<" for name in ages), strict=True)
                 for text in pair]
    assert positions == sorted(positions)
    assert html.count("data-current") == 1 and html.count("<ul>") == html.count("</ul>") == 5


@both_languages
def test_nothing_found_and_nothing_yet_are_told_apart(language: str) -> None:
    assert translate(language, "chat.none_yet") in conversation_list(language, [], "")
    assert translate(language, "chat.none_found") in conversation_list(language, [], "", "pump")


def test_a_deleted_conversation_can_be_brought_back() -> None:
    html = conversation_list("en", [], "", undo="abc")
    assert 'data-undo="abc"' in html and 'data-act="undo"' in html


def test_hostile_titles_stay_text() -> None:
    html = conversation_list("en", [Summary("a", HOSTILE, time.time(), 1)], "a")
    assert "<script" not in html and "&lt;script&gt;" in html
    assert translate("en", "chat.untitled") in conversation_list("en", [Summary("a", "", 0.0, 1)], "")


def test_a_very_long_list_says_that_it_is_cut() -> None:
    found = [Summary(str(number), "t", 0.0, 1) for number in range(LISTED)]
    assert translate("en", "chat.list_cut") in conversation_list("en", found, "")
