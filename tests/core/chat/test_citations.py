"""Citations: a number that names no hit is never shown, and code is left as it is."""

from __future__ import annotations

import pytest

from core.chat.citations import cited, replace_citations, resolve, resolve_streaming
from tests.core.chat.conftest import MakeHits

ANSWERS = {
    "plain": ("The rent is due [1]. Not so [7], nor [0].", "The rent is due [1]. Not so , nor ."),
    "lists": ("Both [1, 2] and [2;9] and [1][3].", "Both [1][2] and [2] and [1]."),
    "a list with blanks and many numbers": ("[ 1 ] [1, 2, 3, 4, 5, 6, 7, 8]!", "[ 1 ] [1][2]!"),
    "other brackets": ("Yes 【1†source】 and 【9】 and 【2】, 【注】.", "Yes [1] and  and [2], 【注】."),
    "links": ("See [1](http://a.b) and [9](#x) and [2].", "See [1](http://a.b) and [9](#x) and [2]."),
    "inline code": ("Use `row[0]` and ``a`[9]`` [1].", "Use `row[0]` and ``a`[9]`` [1]."),
    "a fenced block": ("So [9]:\n```python\nx = row[0]  # [9]\n```\nas in [2][9].",
                       "So :\n```python\nx = row[0]  # [9]\n```\nas in [2]."),
    "a fence of tildes in a list": ("1. do\n   ~~~\n   a[9]\n   ~~~\n[1]", "1. do\n   ~~~\n   a[9]\n   ~~~\n[1]"),
    "a fence that is never closed": ("```\na[9]\n[8] [1]", "```\na[9]\n[8] [1]"),
    "a lone backtick": ("It's 5` long [9].\n\nNext [1] `x", "It's 5` long .\n\nNext [1] `x"),
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
    shown = ""
    for length in range(len(answer) + 1):
        now = resolve_streaming(answer[:length], hits)
        assert now.startswith(shown), f"{shown!r} became {now!r}"
        assert resolved.startswith(now), f"{now!r} is no beginning of {resolved!r}"
        shown = now


def test_a_citation_is_shown_as_soon_as_the_next_character_is_there(make_hits: MakeHits) -> None:
    hits = make_hits("one")
    assert resolve_streaming("Yes [1]", hits) == "Yes "
    assert resolve_streaming("Yes [1].", hits) == "Yes [1]."
    assert resolve_streaming("`a` is [1].", hits) == "`a` is [1]."


def test_cited_hits_come_in_the_order_of_the_answer(make_hits: MakeHits) -> None:
    hits = make_hits("one", "two", "three")
    assert [hit.rank for hit in cited("a [3] b [1] c [3]", hits)] == [3, 1]
    assert cited("`[1]` [2](url)\n```\n[3]\n```", hits) == []


def test_citations_can_be_made_anything(make_hits: MakeHits) -> None:
    assert replace_citations("a [1][2] `b[1]`", lambda number: f"<{number}>") == "a <1><2> `b[1]`"


def test_a_long_answer_full_of_backticks_is_resolved_quickly(make_hits: MakeHits) -> None:
    for answer in ("` " * 20_000, "`" * 20_000, "[1, " * 20_000, "``` a\n" * 5_000, "【1" * 10_000):
        resolve_streaming(answer, make_hits("one"))
