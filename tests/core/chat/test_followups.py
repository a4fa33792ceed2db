"""Which questions lean on the conversation."""

from __future__ import annotations

import pytest

from core.chat.followups import needs_history
from core.engines.base import Message
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
