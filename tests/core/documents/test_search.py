"""Search: the closest passage first, in two languages, and nothing that is not there any more."""

from __future__ import annotations

import pytest

from core.documents.collection import Collection


@pytest.mark.parametrize(("question", "source", "page"), [
    ("¿Cuántos días de vacaciones hay?", "vacaciones.txt", 1),
    ("niño montana", "vacaciones.txt", 1),
    ("When do I pay the rent?", "contract.md", 1),
    ("What grows in the vegetable patch?", "garden/tomatoes.txt", 1),
    ("ingredientes de la sopa fría de tomate y pepino", "recetas/gazpacho.txt", 1),
    ("gasket", "manual.pdf", 2),
])
def test_the_closest_passage_comes_first(indexed: Collection, question: str, source: str, page: int) -> None:
    hits = indexed.search(question)
    assert (hits[0].source, hits[0].page) == (source, page)
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_hit_is_the_text_at_its_place(indexed: Collection) -> None:
    for hit in indexed.search("tomates y vacaciones", top_k=10):
        page = indexed.store.page_text(hit.sha256, hit.page)
        assert page is not None
        assert page[hit.start : hit.end] == hit.text


def test_no_more_hits_than_passages(indexed: Collection) -> None:
    assert len(indexed.search("tomate", top_k=50)) == 6


@pytest.mark.parametrize("question", ["", "   ", "\n"])
def test_no_question_no_hits(indexed: Collection, question: str) -> None:
    assert indexed.search(question) == []


@pytest.mark.parametrize("question", ["\ud800", "🎉", "?!", "x" * 20_000, "a\x00b", "' OR 1=1 --", "«\"»("])
def test_odd_questions_find_something_or_nothing_but_break_nothing(indexed: Collection, question: str) -> None:
    assert len(indexed.search(question)) <= 3


def test_a_hit_shows_what_its_score_is_made_of(indexed: Collection) -> None:
    hit = indexed.search("¿Cuántos días de vacaciones tienen los empleados?")[0]
    assert hit.matched == ("vacaciones", "días", "empleados")
    assert 0 < hit.dense < 1
    assert 0 < hit.lexical <= 1
    assert hit.score == pytest.approx(0.4 * hit.dense + 0.6 * hit.lexical, abs=0.1)


@pytest.mark.parametrize("question", [
    "¿Cuántos días de vacaciones hay?", "When do I pay the rent?", "When were the tomatoes planted?",
    "¿Qué lleva el gazpacho?", "What does the pump need?",
])
def test_what_the_documents_answer_is_relevant(indexed: Collection, question: str) -> None:
    assert indexed.search(question)[0].relevance > 0.5


@pytest.mark.parametrize("question", [
    "Who won the Super Bowl in 2015?", "¿Quién pintó las Meninas?", "What is the capital of France?",
    "¿Cuál es la fórmula del ácido sulfúrico?", "Wie hoch ist die Zugspitze?",
])
def test_what_no_document_answers_is_not(indexed: Collection, question: str) -> None:
    assert max(hit.relevance for hit in indexed.search(question)) < 0.3
