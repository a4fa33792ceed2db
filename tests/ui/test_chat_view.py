"""A conversation as the page shows it: citations, cards, pages, and text from outside that stays text."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from core.documents.preview import PagePicture, TextExcerpt
from core.documents.search import Hit
from core.engines.base import EngineStatus, Message
from ui.chat_view import Turn, engine_pill, history_of, linked, messages, page_view, source_cards
from ui.i18n import LANGUAGES, translate

HOSTILE = '"><script>alert(1)</script>'
both_languages = pytest.mark.parametrize("language", LANGUAGES)


def hit(rank: int = 1, **values: Any) -> Hit:
    fields = {"chunk_id": 1, "source": "a.pdf", "sha256": "s", "page": 4, "start": 0, "end": 5, "score": 0.9,
              "text": "A fact."}
    return Hit(rank=rank, **{**fields, **values})


def contents(turns: list[Turn], language: str = "en") -> list[str]:
    return [message["content"] for message in messages(language, turns)]


def test_a_citation_links_to_the_source_of_its_own_turn() -> None:
    assert linked("So it is [2].", 3) == "So it is [[2]](#source-3-2)."
    turns = [Turn("q1", answer="[1]", state="done"), Turn("q2", answer="[1]", state="done")]
    assert "#source-0-1" in contents(turns)[1] and "#source-1-1" in contents(turns)[3]


@pytest.mark.parametrize("answer", ["[1](https://example.com)", "[x]", "[12345]", "list[0", "[]"])
def test_what_is_no_citation_stays_as_it_is(answer: str) -> None:
    assert linked(answer, 0) == answer


@both_languages
def test_a_turn_says_what_is_being_done_before_the_first_word(language: str) -> None:
    turn = Turn("question", status=translate(language, "chat.status_search"))
    assert contents([turn], language) == ["question", f"*{turn.status}*"]


@both_languages
@pytest.mark.parametrize(("answer", "state", "pending"), [
    ("", "running", True), ("word", "running", False), ("", "stopped", False), ("", "failed", False)])
def test_a_thought_is_open_until_the_answer_begins(
    language: str, answer: str, state: Literal["running", "stopped", "failed"], pending: bool
) -> None:
    _, thought, *_ = messages(language, [Turn("q", thought="hmm", answer=answer, state=state)])
    status = "pending" if pending else "done"
    assert thought["metadata"] == {"title": translate(language, f"chat.thinking_{status}"), "status": status}


def test_a_note_follows_the_partial_answer() -> None:
    assert contents([Turn("q", answer="half", note="Stopped.", state="stopped")])[-1] == "half\n\n*Stopped.*"
    assert contents([Turn("", note="Too long.", state="failed")]) == ["*Too long.*"]


def test_a_long_conversation_shows_its_last_hundred_messages() -> None:
    turns = [Turn(f"q{number}", answer=f"a{number}", state="done") for number in range(80)]
    shown = contents(turns)
    assert len(shown) == 100 and shown[-1] == "a79"


def test_the_model_hears_of_answers_only() -> None:
    turns = [Turn("q1", answer="a1", thought="t", note="n", state="done"), Turn("q2", note="failed", state="failed"),
             Turn("", answer="- a.pdf added", state="done"), Turn("q3", answer="half", state="stopped")]
    assert history_of(turns) == [Message("user", "q1"), Message("assistant", "a1"),
                                 Message("user", "q3"), Message("assistant", "half")]


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


def test_hostile_names_and_passages_stay_text() -> None:
    bad = hit(source=HOSTILE, text=HOSTILE)
    excerpt = TextExcerpt(HOSTILE, HOSTILE, HOSTILE)
    picture = PagePicture("data:image/webp;base64,AAAA")
    for html in (source_cards("es", [bad], 0), page_view("es", bad, excerpt), page_view("es", bad, picture),
                 engine_pill("es", EngineStatus("ollama", HOSTILE, "ready"), False)):
        assert "<script" not in html and HOSTILE not in html and "&lt;script&gt;" in html


def test_the_page_is_a_picture_or_the_text_with_the_passage_marked() -> None:
    picture = page_view("en", hit(), PagePicture("data:image/webp;base64,AAAA"))
    assert 'src="data:image/webp;base64,AAAA"' in picture and 'alt="a.pdf · ' in picture
    assert "before<mark>passage</mark>after" in page_view("en", hit(), TextExcerpt("before", "passage", "after"))


@both_languages
@pytest.mark.parametrize(("status", "warming_up", "kind", "state"), [
    (None, True, "waiting", "starting"),
    (EngineStatus("ollama", "m", "starting"), False, "waiting", "starting"),
    (EngineStatus("ollama", "m", "ready"), True, "waiting", "warming_up"),
    (EngineStatus("ollama", "m", "ready"), False, "ready", "ready"),
    (EngineStatus("passages", "", "ready"), False, "plain", "ready"),
])
def test_the_pill_names_the_engine_and_its_state(
    language: str, status: EngineStatus | None, warming_up: bool, kind: str, state: str
) -> None:
    html = engine_pill(language, status, warming_up)
    assert f'class="pill {kind}"' in html and translate(language, f"engine.state_{state}") in html
    assert ("<strong>m</strong>" in html) == (status is not None and status.model == "m")
