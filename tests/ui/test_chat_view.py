"""A conversation as the page shows it: citations, notes, states, and text from outside that stays text."""

from __future__ import annotations

from typing import Any

import pytest

from core.chat.events import Budget, Loading, Waiting
from core.chat.turns import State, Turn
from core.documents.search import Hit
from core.engines.base import EngineStatus, Usage
from core.errors import EngineError
from ui.chat_view import FREE, RETRY, context_meter, engine_pill, plain, turn_messages
from ui.i18n import LANGUAGES, translate

HOSTILE = '"><script>alert(1)</script>'
both_languages = pytest.mark.parametrize("language", LANGUAGES)


def hit(rank: int = 1, **values: Any) -> Hit:
    fields = {"chunk_id": 1, "source": "a.pdf", "sha256": "s", "page": 4, "start": 0, "end": 5, "score": 0.9,
              "text": "A fact."}
    return Hit(rank=rank, **{**fields, **values})


def contents(turn: Turn, language: str = "en", index: int = 0, before: str = "") -> list[str]:
    return [message["content"] for message in turn_messages(language, turn, index, before)]


def said(language: str, key: str, **values: object) -> str:
    return plain(translate(language, key, **values))


def test_a_citation_links_to_the_source_of_its_own_turn() -> None:
    assert contents(Turn("q", answer="So it is [2].", state="done"), index=3) == [
        "q", "So it is [[2]](#source-3-2)."]


@both_languages
@pytest.mark.parametrize(("status", "key", "values"), [
    (Waiting(3), "chat.waiting", {"place": 3}),
    (Loading("m"), "chat.loading_model", {"model": "m"})])
def test_a_turn_says_what_is_being_done_before_the_first_word(
    language: str, status: Waiting | Loading, key: str, values: dict[str, object]
) -> None:
    assert "Searching" in contents(Turn("q"), language, before="Searching")[1]
    assert said(language, "chat.status_model") in contents(Turn("q", hits=(hit(),)), language)[1]
    turn = Turn("q", hits=(hit(),))
    turn.status = status
    assert said(language, key, **values) in contents(turn, language)[1]


def test_a_model_that_is_loaded_tells_its_size() -> None:
    turn = Turn("q")
    turn.status = Loading("gpt-oss:20b", 13_780_000_000)
    assert plain("Loading gpt-oss:20b, 13.8 GB…") in contents(turn)[1]
    assert plain("Cargando gpt-oss:20b, 13,8 GB…") in contents(turn, "es")[1]


@both_languages
@pytest.mark.parametrize(("answer", "state", "pending"), [
    ("", "running", True), ("word", "running", False), ("", "stopped", False), ("", "failed", False)])
def test_a_thought_is_open_until_the_answer_begins(language: str, answer: str, state: State, pending: bool) -> None:
    _, thought, *_ = turn_messages(language, Turn("q", thought="hmm", answer=answer, state=state), 0)
    status = "pending" if pending else "done"
    assert thought["metadata"] == {"title": translate(language, f"chat.thinking_{status}"), "status": status}


@both_languages
def test_what_is_to_be_said_follows_the_partial_answer_in_the_readers_language(language: str) -> None:
    turn = Turn("q", answer="half", state="stopped", notes=[("chat.dropped_messages.many", {"count": 4})])
    shown = contents(turn, language)[-1]
    assert shown.startswith("half\n\n") and said(language, "chat.stopped") in shown
    assert said(language, "chat.dropped_messages.many", count=4) in shown


@both_languages
def test_a_failure_keeps_what_was_written_and_offers_to_try_again(language: str) -> None:
    turn = Turn("q", answer="half")
    turn.fail(EngineError("engine_broken_stream"))
    message = turn_messages(language, turn, 0)[-1]
    assert message["content"].startswith("half") and said(language, "error.engine_broken_stream") in message["content"]
    assert message["options"] == [{"value": RETRY, "label": translate(language, "chat.try_again")}]


@both_languages
def test_an_answer_that_is_not_in_the_documents_offers_what_the_model_knows(language: str) -> None:
    turn = Turn("q", state="done", notes=[("chat.nothing_no_match", {})])
    message = turn_messages(language, turn, 0)[-1]
    assert message["content"] == said(language, "chat.nothing_no_match")
    assert [option["value"] for option in message["options"]] == [FREE]
    turn.model = "passages|"  # no model that could know it
    assert not turn_messages(language, turn, 0)[-1].get("options")


def test_an_empty_answer_says_so() -> None:
    assert contents(Turn("q", state="done"))[-1] == said("en", "chat.no_answer")


@both_languages
def test_what_was_searched_and_what_the_model_knew_by_itself_are_marked(language: str) -> None:
    turn = Turn("And who?", query="Who signs the check of pump X22?", answer="Ana.", state="done", from_model=True)
    shown = contents(turn, language)[-1]
    assert said(language, "chat.searched_for", query=turn.query) in shown
    assert said(language, "chat.from_model") in shown
    assert "searched" not in contents(Turn("q", query="q", answer="Ana.", state="done"))[-1]


def test_a_doubtful_sentence_has_a_question_mark_that_says_why() -> None:
    answer = "It is blue [1]. It is red [1]."
    shown = contents(Turn("q", answer=answer, state="done", doubtful=((0, 15),)))[-1]
    assert shown.index('class="doubt"') < shown.index("It is red")
    assert translate("en", "chat.doubtful") in shown and shown.count("doubt") == 2


def test_hostile_text_stays_text_wherever_it_stands() -> None:
    turn = Turn(HOSTILE, query=HOSTILE, answer=HOSTILE, thought=HOSTILE, state="stopped",
                notes=[("chat.whole_document", {"source": HOSTILE + "![x](http://x.invalid/a.png)"})])
    for language in LANGUAGES:
        for content in contents(turn, language):
            assert "<script" not in content and "![" not in content
    html = engine_pill("es", EngineStatus("ollama", HOSTILE, "ready"), False)
    assert "<script" not in html and HOSTILE not in html and "&lt;script&gt;" in html


@both_languages
@pytest.mark.parametrize(("status", "warming_up", "kind", "state"), [
    (None, True, "waiting", "starting"),
    (EngineStatus("ollama", "m", "starting"), False, "waiting", "starting"),
    (EngineStatus("ollama", "m", "ready"), True, "waiting", "warming_up"),
    (EngineStatus("ollama", "m", "ready"), False, "ready", "ready"),
    (EngineStatus("passages", "", "ready"), False, "plain", "ready"),
])
def test_the_pill_names_the_engine_and_its_state_and_opens_the_models(
    language: str, status: EngineStatus | None, warming_up: bool, kind: str, state: str
) -> None:
    html = engine_pill(language, status, warming_up)
    assert f'class="pill {kind}"' in html and translate(language, f"engine.state_{state}") in html
    assert ("<strong>m</strong>" in html) == (status is not None and status.model == "m")
    assert 'data-drawer="models"' in html


@both_languages
def test_the_meter_shows_the_last_prompt_and_answer_against_the_models_context(language: str) -> None:
    turn = Turn("q", state="done", budget=Budget(600, 8192), usage=Usage(prompt_tokens=700, answer_tokens=100))
    html = context_meter(language, [turn, Turn("", state="done")])
    assert 'aria-valuenow="800"' in html and 'aria-valuemax="8192"' in html and "9.8%" in html
    assert translate(language, "chat.context", used="800", limit="8192") in html
    assert "full" in context_meter(language, [Turn("q", budget=Budget(8000, 8192))])


def test_without_a_limit_there_is_no_meter() -> None:
    assert context_meter("en", []) == "" == context_meter("en", [Turn("q", budget=Budget(600, 0))])
