"""Which sentences are looked at, and which of them are marked."""

from __future__ import annotations

import pytest

from core.chat.support import claims, doubtful_spans
from tests.core.chat.conftest import MakeHits, Shelf

LIGHTHOUSE = ("El faro de Punta Brava mide 47 metros y se encendió por primera vez el 3 de mayo de 1912. "
              "Lo diseñó el ingeniero Ramón Vidal con piedra de la cantera vecina.")
ENGLISH = ("The lighthouse of Punta Brava is 47 metres tall and was first lit on 3 May 1912. "
           "It was designed by the engineer Ramón Vidal with stone from the nearby quarry.")


def texts(answer: str, *passages: str, make_hits: MakeHits) -> list[str]:
    return [answer[start:end] for start, end in
            (claim.span for claim in claims(answer, make_hits(*passages)))]


def test_sentences_are_taken_with_the_citations_behind_them(make_hits: MakeHits) -> None:
    answer = ("# Sobre el faro [1]\n\nEl faro mide cuarenta metros largos. [1][2] Sin cita va esta frase entera.\n"
              "- El ingeniero Ramón Vidal diseñó 3.5 faros [2]\n- Sí [1].\n\n```\nx = row[1] and more words here\n```\n"
              "| torre alta del faro [1] | otra celda |\n")
    assert texts(answer, "a", "b", make_hits=make_hits) == [
        "El faro mide cuarenta metros largos. [1][2]", "- El ingeniero Ramón Vidal diseñó 3.5 faros [2]",
        "| torre alta del faro [1] | otra celda |"]


@pytest.mark.parametrize("sentence", [
    "El faro de Punta Brava mide 47 metros [1].", "El faro se encendió en mayo de 1912 [1].",
    "**Ramón Vidal** fue el ingeniero que diseñó el faro [1].", "Exacto, así es [1]."])
def test_what_the_passage_says_is_not_marked(make_hits: MakeHits, sentence: str) -> None:
    assert doubtful_spans(sentence, make_hits(LIGHTHOUSE), Shelf().embed) == ()


@pytest.mark.parametrize("sentence", [
    "La panadería vende centeno cada sábado por la mañana [1].", "El faro de Punta Brava mide 85 metros [1].",
    "Los arquitectos franceses levantaron catedrales góticas enormes [1]."])
def test_what_it_does_not_say_is_marked(make_hits: MakeHits, sentence: str) -> None:
    answer = f"Sí. {sentence} Y nada más."
    ((start, end),) = doubtful_spans(answer, make_hits(LIGHTHOUSE), Shelf().embed)
    assert answer[start:end] == sentence


def test_names_and_numbers_support_a_sentence_across_languages(make_hits: MakeHits) -> None:
    sentence = "El ingeniero Ramón Vidal diseñó el faro de Punta Brava, de 47 metros, en 1912 [1]."
    assert doubtful_spans(sentence, make_hits(ENGLISH), Shelf().embed) == ()


def test_an_answer_without_citations_needs_no_embedder(make_hits: MakeHits) -> None:
    def never(texts: list[str]) -> None:
        raise AssertionError("embedded")

    assert doubtful_spans("Nada se cita en toda esta frase.", make_hits("a"), never) == ()  # type: ignore[arg-type]
