"""Search: the closest passage first, in two languages, and nothing that is not there any more."""

from __future__ import annotations

import pytest

from core.documents.collection import Collection
from core.documents.search import fuse


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


def test_fused_scores_are_the_mean_of_both_sides() -> None:
    fused = fuse({1: 0.9, 2: 0.5, 3: 0.1}, {2: 8.0, 3: 4.0})
    assert fused == pytest.approx({1: 0.5, 2: 0.75, 3: 0.25})


def test_one_candidate_or_none_can_be_fused() -> None:
    assert fuse({1: 0.9}, {}) == {1: 0.0}
    assert fuse({1: 0.9}, {1: 3.0}) == {1: 0.5}
    assert fuse({}, {}) == {}
    assert fuse({}, {1: 3.0}) == {}
