"""Ranking: what a passage holds of a question, alone and beside others."""

from __future__ import annotations

import time

import pytest

from core.documents.ranking import Candidate, coverage, rank, relevance, window_share, word_share

WEIGHTS = {"rent": 2.0, "month": 1.0, "day": 1.0}


def passage(number: int, text: str, *, dense: float = 0.3, language: str = "en", document: str = "") -> Candidate:
    return Candidate(number, document or f"document {number}", language, text, dense, WEIGHTS)


def order(content: str, *candidates: Candidate) -> list[int]:
    return [one.id for one in rank(content, "en", candidates)]


def test_a_window_holds_words_that_stand_close() -> None:
    apart = ["rent", *["and"] * 40, "month"]
    assert window_share(["the", "rent", "each", "month"], WEIGHTS) == pytest.approx(0.75)
    assert window_share(apart, WEIGHTS) == pytest.approx(0.5)
    assert window_share([*apart, "day", "rent"], WEIGHTS) == pytest.approx(1.0)
    assert window_share([], WEIGHTS) == window_share(["rent"], {}) == 0.0


def test_a_word_that_is_there_often_counts_more_but_never_twice() -> None:
    once, often = word_share(["rent", "due"], WEIGHTS, 2), word_share(["rent"] * 50, WEIGHTS, 50)
    assert 0 < once < often < 0.5  # rent is half of the weights


def test_coverage_is_the_share_of_the_weights_found() -> None:
    assert coverage({"rent", "house"}, WEIGHTS) == pytest.approx(0.5)
    assert coverage({"house"}, WEIGHTS) == coverage({"rent"}, {}) == 0.0


def test_the_passage_with_the_words_together_comes_first() -> None:
    together = passage(1, "The rent is due on the first day of the month.")
    apart = passage(2, "The rent. " + "Nothing else is said about it in here. " * 20 + "A day. A month.")
    assert order("rent month day", apart, together) == [1, 2]


def test_meaning_decides_where_words_do_not() -> None:
    assert order("pay", passage(1, "Nothing.", dense=0.2), passage(2, "Nobody.", dense=0.6)) == [2, 1]


def test_a_compound_is_seen_through_by_its_letters() -> None:
    policy = passage(2, "Die Haftpflichtversicherungen.")
    assert order("Versicherung", passage(1, "Der Hund schläft."), policy) == [2, 1]


def test_a_neighbour_that_answers_lifts_a_passage() -> None:
    answer = passage(10, "The rent of a month, each day.", document="lease")
    near, far = passage(11, "Nothing here.", document="lease"), passage(3, "Nothing here.", document="lease")
    assert order("rent month", far, near, answer) == [10, 11, 3]


def test_a_neighbour_is_one_of_the_same_document() -> None:
    answer = passage(10, "The rent of a month, each day.", document="lease")
    scores = {one.id: one.score for one in rank("rent month", "en", [
        answer, passage(11, "Nothing here.", document="other"), passage(30, "Nothing here.", document="lease")])}
    assert scores[11] == scores[30]


def test_of_two_equal_passages_the_one_in_the_questions_language_comes_first() -> None:
    assert order("rent", passage(1, "Rent", language="es"), passage(2, "Rent")) == [2, 1]


def test_scores_lie_between_nothing_and_one() -> None:
    perfect = passage(1, "rent month day " * 60, dense=1.0, document="d")
    opposite = passage(5, "", dense=-1.0, language="es")
    best, worst = rank("rent month day", "en", [perfect, opposite])
    assert 0.8 < best.score <= 1.0
    assert worst.score == 0.0
    assert rank("rent", "en", []) == []


def test_relevance_rises_with_meaning_and_with_words() -> None:
    assert relevance(0.0, 0.0) < 0.01
    assert relevance(0.1, 0.2) < 0.1 < relevance(0.4, 0.4) < relevance(0.4, 0.8) < relevance(0.7, 0.8) < 1
    assert relevance(0.7, 0.8) > 0.95


def test_ranking_thirty_passages_of_repeated_words_takes_milliseconds() -> None:
    candidates = [passage(number, "rent month day " * 330) for number in range(30)]
    started = time.process_time()  # what others take of a busy machine does not count
    rank("rent month day " * 300, "en", candidates)
    assert time.process_time() - started < 1
