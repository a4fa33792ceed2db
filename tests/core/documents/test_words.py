"""Words: stemmed in their language, found in any spelling, and those that only ask left out."""

from __future__ import annotations

import pytest

from core.documents.language import OTHER, STEMMERS
from core.documents.words import asked_words, content_words, folded, tokens, words_among


@pytest.mark.parametrize(("language", "one", "other"), [
    ("es", "niñas", "nino"), ("en", "Running", "runs"), ("fr", "étés", "ete"), ("de", "Häuser", "Hauser"),
])
def test_forms_of_a_word_are_one_token(language: str, one: str, other: str) -> None:
    assert tokens(one, language) == tokens(other, language)


def test_an_unknown_language_is_not_stemmed() -> None:
    assert tokens("Zażółć Running", OTHER) == ["zazolc", "running"]


def test_folded_text_has_no_accents_capitals_or_signs() -> None:
    assert folded("¡Ñandú, l'Été!") == "nandu l ete"


@pytest.mark.parametrize(("question", "language", "asked", "content"), [
    ("¿Cuántos días de vacaciones hay?", "es", ["días", "de", "vacaciones", "hay"], ["días", "vacaciones"]),
    ("cuantos dias?", "es", ["dias"], ["dias"]),
    ("How many of the gaskets leak?", "en", ["of", "the", "gaskets", "leak"], ["gaskets", "leak"]),
    ("Wie viele Tage hat der Urlaub?", "de", ["Tage", "hat", "der", "Urlaub"], ["Tage", "Urlaub"]),
    ("Où est la clé ?", "fr", ["la", "clé"], ["clé"]),
    ("Hol van a kulcs?", "hu", ["van", "a", "kulcs"], ["kulcs"]),
])
def test_words_that_ask_and_words_without_content_go(
    question: str, language: str, asked: list[str], content: list[str]
) -> None:
    assert asked_words(question, language) == asked
    assert content_words(question, language) == content


@pytest.mark.parametrize("question", ["to be or not to be", "How?", "who is it"])
def test_a_question_of_nothing_else_keeps_its_words(question: str) -> None:
    assert asked_words(question, "en")
    assert content_words(question, "en")


@pytest.mark.parametrize("language", [*STEMMERS, OTHER])
def test_every_language_can_be_asked_in(language: str) -> None:
    assert asked_words("Chipiona 1867", language) == content_words("Chipiona 1867", language) == ["Chipiona", "1867"]
    assert content_words("", language) == []


def test_matched_words_are_as_the_text_has_them() -> None:
    assert words_among("Los Niños cantan; el niño y LA NIÑA, no.", "es", {"nin"}) == ("Niños", "niño", "NIÑA")
