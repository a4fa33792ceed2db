"""The Share panel's HTML: each state in both languages, empty lists, and names and questions that try to be markup."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest

from ui.i18n import LANGUAGES, translate
from ui.share_view import Guest, asked_view, documents_view, guests_view, qr_code, share_pill, state_view
from ui.sharing import GUEST_NAMES, Asked, ShareStatus

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
OFF, STARTING = ShareStatus(), ShareStatus("starting")
ON = ShareStatus("on", "https://0f1e2d3c4b5a697887.gradio.live", "67vehq-35g273-ew9cgr-pjjxvw", time.time() + 3600)
both_languages = pytest.mark.parametrize("language", LANGUAGES)


def asked(question: str, at: float = 0.0) -> Asked:
    return Asked(at, "1", "a1", question)


@both_languages
def test_off_tells_what_a_guest_can_and_cannot_do_and_how_many_documents_they_find(language: str) -> None:
    html = state_view(language, OFF, 9, 10)
    for key in ("share.can", "share.cannot"):
        assert translate(language, key).replace("'", "&#x27;") in html
    assert re.search(r"\b9\b.*\b10\b", html)


@both_languages
def test_an_end_in_time_is_no_error_and_a_broken_connection_is(language: str) -> None:
    for code, kind in (("share_over", "info"), ("share_lost", "error")):
        html = state_view(language, ShareStatus(error=(code, {})), 1, 1)
        assert f'class="notice {kind}"' in html and translate(language, f"error.{code}") in html


@both_languages
def test_the_beginning_can_be_cancelled(language: str) -> None:
    html = state_view(language, STARTING, 1, 1)
    assert 'data-act="stop"' in html and translate(language, "share.cancel") in html


@both_languages
def test_the_way_in_has_link_name_and_password_each_to_be_copied_and_all_in_one_sentence(language: str) -> None:
    html = state_view(language, ON, 1, 1)
    copied = re.findall(r'data-copy="([^"]*)"', html)
    name = translate(language, "share.guest_name")
    assert copied[:3] == [ON.url, name, ON.password]
    assert all(value in copied[3] for value in (ON.url, name, ON.password))
    assert f'data-ends-at="{ON.ends_at:.0f}"' in html and 'data-act="stop"' in html


@both_languages
def test_a_way_in_for_the_local_network_alone_says_so(language: str) -> None:
    near = replace(ON, url="http://192.0.2.7:7860", near_url="http://192.0.2.7:7860")
    assert translate(language, "share.near_only") in state_view(language, near, 1, 1)
    assert translate(language, "share.near_only") not in state_view(language, ON, 1, 1)


@both_languages
def test_the_name_in_the_invitation_opens_the_door(language: str) -> None:
    assert translate(language, "share.guest_name") in GUEST_NAMES


@both_languages
def test_the_qr_code_is_dark_on_white_has_a_name_and_holds_no_password(language: str) -> None:
    html = qr_code(language, ON.url)
    assert f'aria-label="{translate(language, "share.qr")}"' in html
    assert 'fill="#fff"' in html and html != qr_code(language, ON.url + ON.password)
    assert html in state_view(language, ON, 1, 1)


def test_the_header_says_how_sharing_stands_in_both_languages() -> None:
    for language in LANGUAGES:
        assert translate(language, "share.title") in share_pill(OFF)
        assert translate(language, "share.pill_starting") in share_pill(STARTING)
        assert translate(language, "share.pill_on") in share_pill(ON)
    assert ON.password not in share_pill(ON) and "data-ends-at" in share_pill(ON)


@both_languages
def test_guests_are_listed_with_a_button_that_ends_their_session(language: str) -> None:
    html = guests_view(language, ON, [Guest("a1", "1", 0.0, 0), Guest("b2", "2", 0.0, 7)])
    assert re.findall(r'data-id="(\w+)"', html) == ["a1", "b2"]
    assert translate(language, "share.active") in html
    assert translate(language, "share.seen.many", count=7) in html
    assert translate(language, "share.end_named", number="2") in html


@both_languages
def test_empty_lists_say_so(language: str) -> None:
    assert translate(language, "share.nobody") in guests_view(language, ON, [])
    assert translate(language, "share.asked_nothing") in asked_view(language, ON, [])
    assert translate(language, "share.no_documents") in documents_view(language, [])


def test_who_is_there_is_told_while_sharing_and_what_was_asked_also_after_it() -> None:
    assert guests_view("en", OFF, []) == asked_view("en", OFF, []) == ""
    assert "how often?" in asked_view("en", OFF, [asked("how often?")])


def test_a_long_question_is_folded_and_whole_and_a_short_one_is_not() -> None:
    html = asked_view("en", ON, [asked("short"), asked("word " * 100)])
    assert html.count("<details") == 1 and html.count("word") == 100


@both_languages
def test_documents_are_sorted_as_people_do_and_ticked_where_guests_find_them(language: str) -> None:
    html = documents_view(language, [("zorro.txt", True), ("Ábaco.pdf", False), ("bomba.pdf", True)])
    assert re.findall(r'data-source="([^"]*)"', html) == ["Ábaco.pdf", "bomba.pdf", "zorro.txt"]
    assert len(re.findall(" data-allowed", html)) == 2


@both_languages
def test_nothing_from_outside_becomes_markup(language: str) -> None:
    on = ShareStatus("on", HOSTILE, HOSTILE, ON.ends_at)
    for html in (
        state_view(language, on, 1, 1), asked_view(language, ON, [asked(HOSTILE), asked(HOSTILE * 9)]),
        guests_view(language, ON, [Guest(HOSTILE, HOSTILE, 0.0, 0)]), documents_view(language, [(HOSTILE, True)]),
        state_view(language, ShareStatus(error=("share_unreadable", {"path": HOSTILE})), 1, 1),
    ):
        assert "<script" not in html and "<img" not in html and 'x onerror' in html
