"""Citations: a number that names no hit is never shown, and code is left as it is."""

from __future__ import annotations

import time

import pytest

from core.chat.citations import GrowingAnswer, cited, replace_citations, resolve, resolve_streaming
from tests.core.chat.conftest import MakeHits

ANSWERS = {
    "plain": ("The rent is due [1]. Not so [7], nor [0].", "The rent is due [1]. Not so, nor."),
    "lists": ("Both [1, 2] and [2;9] and [1][3].", "Both [1][2] and [2] and [1]."),
    "a list with blanks and many numbers": ("[ 1 ] [1, 2, 3, 4, 5, 6, 7, 8]!", "[ 1 ] [1][2]!"),
    "other brackets": ("Yes 【1†source】 and 【9】 and 【2】, 【注】.", "Yes [1] and and [2], 【注】."),
    "ranges": ("All [1-2] and [1–9], [3-1] [7-9].", "All [1][2] and [1][2],."),
    "words between numbers": ("Both [1 y 2], [2 and 1], [1 or 2].", "Both [1][2], [2][1], [1 or 2]."),
    "what other models write": ("a [[1]] b [Passage 2] c [pasaje 9]. [^1] [[9]] [Sources 1, 2]",
                                "a [1] b [2] c. [1] [1][2]"),
    "a number in brackets that is none": ("[[a]] [[1] [Passage] [pass 1]", "[[a]] [[1] [Passage] [pass 1]"),
    "left out before one that stays": ("So [7][1]. So [7] [1]. So [8][9][2] [8][9]!", "So [1]. So [1]. So [2]!"),
    "left out at the beginning": ("[7] So\n- [9] it\n  [8]is\n", " So\n- it\nis\n"),
    "a table": ("| a | b |\n|---|---|\n| 5 [1] | 6 [9] |\n| `x[9]` | [1, 2] |\n",
                "| a | b |\n|---|---|\n| 5 [1] | 6 |\n| `x[9]` | [1][2] |\n"),
    "paragraphs around code": ("Sí [9].\n\n```\na[9]\n\nb[9]\n```\n\nNo `a[9]` [1].\n\n~~~\nc[9]\n\n[9] [1]",
                               "Sí.\n\n```\na[9]\n\nb[9]\n```\n\nNo `a[9]` [1].\n\n~~~\nc[9]\n\n[9] [1]"),
    "links": ("See [1](http://a.b) and [9](#x) and [2].", "See [1](http://a.b) and [9](#x) and [2]."),
    "inline code": ("Use `row[0]` and ``a`[9]`` [1].", "Use `row[0]` and ``a`[9]`` [1]."),
    "a fenced block": ("So [9]:\n```python\nx = row[0]  # [9]\n```\nas in [2][9].",
                       "So:\n```python\nx = row[0]  # [9]\n```\nas in [2]."),
    "a fence of tildes in a list": ("1. do\n   ~~~\n   a[9]\n   ~~~\n[1]", "1. do\n   ~~~\n   a[9]\n   ~~~\n[1]"),
    "a fence that is never closed": ("```\na[9]\n[8] [1]", "```\na[9]\n[8] [1]"),
    "a lone backtick": ("It's 5` long [9].\n\nNext [1] `x", "It's 5` long.\n\nNext [1] `x"),
    "a quote with escaped marks": (r"> «\[9\] and \`x[9\]» [1]", r"> «\[9\] and \`x[9\]» [1]"),
    "brackets around words": ("[sic] [a1] [1a] [2024] [-1] []", "[sic] [a1] [1a] [2024] [-1] []"),
    "nothing": ("", ""),
}
every_answer = pytest.mark.parametrize(("answer", "resolved"), ANSWERS.values(), ids=ANSWERS.keys())


@every_answer
def test_an_answer_keeps_the_citations_that_name_a_hit(make_hits: MakeHits, answer: str, resolved: str) -> None:
    hits = make_hits("one", "two")
    assert resolve(answer, hits) == resolved
    assert resolve(resolved, hits) == resolved


@every_answer
def test_while_it_grows_nothing_is_shown_that_does_not_stay(
    make_hits: MakeHits, answer: str, resolved: str
) -> None:
    """However the tokens are cut: what is shown at any length is a beginning of the whole."""
    hits = make_hits("one", "two")
    for size in (1, 2, 3, 7):
        shown, growing = "", GrowingAnswer(hits)
        for start in range(0, len(answer), size):
            now = growing.add(answer[start : start + size])
            assert now == resolve_streaming(answer[: start + size], hits)
            assert now.startswith(shown), f"{shown!r} became {now!r}"
            assert resolved.startswith(now), f"{now!r} is no beginning of {resolved!r}"
            shown = now


def test_a_citation_is_shown_as_soon_as_the_next_character_is_there(make_hits: MakeHits) -> None:
    hits = make_hits("one")
    assert resolve_streaming("Yes [1]", hits) == "Yes"
    assert resolve_streaming("Yes [1].", hits) == "Yes [1]."
    assert resolve_streaming("`a` is [1].", hits) == "`a` is [1]."


def test_cited_hits_come_in_the_order_of_the_answer(make_hits: MakeHits) -> None:
    hits = make_hits("one", "two", "three")
    assert [hit.rank for hit in cited("a [3] b [1] c [3]", hits)] == [3, 1]
    assert cited("`[1]` [2](url)\n```\n[3]\n```", hits) == []


def test_citations_can_be_made_anything(make_hits: MakeHits) -> None:
    assert replace_citations("a [1][2] `b[1]`", lambda number: f"<{number}>") == "a <1><2> `b[1]`"


def test_a_long_answer_full_of_backticks_is_resolved_quickly(make_hits: MakeHits) -> None:
    for answer in (" " * 40_000, "[7] " * 10_000, "a" + " " * 20_000 + "[7]", "[[" * 20_000,
                   "` " * 20_000, "`" * 20_000, "[1, " * 20_000, "``` a\n" * 5_000, "【1" * 10_000):
        resolve_streaming(answer, make_hits("one"))


def test_each_piece_of_a_very_long_answer_is_quick(make_hits: MakeHits) -> None:
    """As long as its paragraph takes; the whole of it again for each piece would take minutes."""
    growing, text = GrowingAnswer(make_hits("one")), ""
    begun = time.process_time()
    for number in range(4_000):
        text = growing.add("\n\n" if number % 40 == 39 else f" word{number} [1]")
    assert time.process_time() - begun < 20 and text.count("[1]") > 3_800
