"""Which questions lean on the conversation, and what search is asked instead."""

from __future__ import annotations

import asyncio

import pytest

from core.chat.followups import fallback, needs_history, rewrite
from core.engines.base import Message
from core.engines.passages import PassagesEngine
from tests.core.chat.conftest import Scribe
from tests.core.chat.questions import ALONE, FIRST, LEANING, split


def talk(language: str) -> list[Message]:
    return [Message("user", FIRST[language]), Message("assistant", "47 m [1].")]


@pytest.mark.parametrize("language", ["es", "en"])
def test_questions_that_lean_are_told_from_those_that_stand_alone(language: str) -> None:
    leaning, alone = split(LEANING[language]), split(ALONE[language])
    assert len(leaning) >= 40 and len(alone) >= 40
    missed = [question for question in leaning if not needs_history(question, talk(language))]
    wrong = [question for question in alone if needs_history(question, talk(language))]
    found = len(leaning) - len(missed)
    recall, precision = found / len(leaning), found / (found + len(wrong))
    assert recall >= 0.95, (recall, missed)
    assert precision >= 0.95, (precision, wrong)


def test_the_first_question_never_leans() -> None:
    assert not any(needs_history(question, []) for question in split(LEANING["es"]))


def test_a_chain_of_leaning_questions_falls_back_to_the_one_that_stood_alone() -> None:
    history = [*talk("es"), Message("user", "¿por qué?"), Message("assistant", "Por la costa.")]
    assert fallback("¿y quién lo construyó?", history) == "¿y quién lo construyó? mide faro Punta Brava"


def test_without_a_model_the_fallback_is_what_is_asked() -> None:
    query = asyncio.run(rewrite("why?", talk("en"), PassagesEngine(), ""))
    assert query == fallback("why?", talk("en")) and "lighthouse" in query


@pytest.mark.parametrize(("written", "query"), [
    ("Why is the lighthouse tall?", "Why is the lighthouse tall?"),
    ('Question: "Why is the lighthouse tall?" [1]', "Why is the lighthouse tall?"),
    ("<think>Hm. It</think>\n\nWhy is it tall?", "Why is it tall?"),
    ("<think>never ends", "")])
def test_only_the_line_that_was_asked_for_is_taken(written: str, query: str) -> None:
    assert asyncio.run(rewrite("why?", talk("en"), Scribe(written), "m")) == (query or fallback("why?", talk("en")))


def test_a_slow_rewriting_is_given_up_and_its_connection_closed() -> None:
    engine = Scribe("Why is it so?", pause=5)
    assert asyncio.run(rewrite("why?", talk("en"), engine, "m", seconds=0.1)) == fallback("why?", talk("en"))
    assert engine.closed == 1


def test_stopping_a_rewriting_closes_its_connection() -> None:
    async def stop(engine: Scribe) -> None:
        task = asyncio.create_task(rewrite("why?", talk("en"), engine, "m"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    engine = Scribe("Why is it so?", pause=5)
    asyncio.run(stop(engine))
    assert engine.closed == 1
