"""`[n]` in an answer is the hit it names, or nothing. Knows nothing of models or HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.documents.search import Hit

# [1], [1, 2], [1][2] and the brackets some models prefer: 【1】, 【1†source】.
_CITATION = re.compile(r"\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\](?!\()|【(\d{1,3})[^】\n]{0,40}】")
# What may still become a citation when the next token arrives.
_UNFINISHED = re.compile(r"(?:\[[\d\s,;]{0,12}|【[^】\n]{0,44})$")


def resolve(answer: str, hits: Sequence[Hit]) -> str:
    """The answer with every citation as `[n]` and numbers that name no hit left out."""
    known = {hit.rank for hit in hits}

    def numbers(match: re.Match[str]) -> str:
        given = re.findall(r"\d+", match[1] or match[2])
        return "".join(f"[{number}]" for number in dict.fromkeys(map(int, given)) if number in known)

    return _CITATION.sub(numbers, answer)


def resolve_streaming(answer: str, hits: Sequence[Hit]) -> str:
    """`resolve` for an answer that still grows: a citation appears when it is whole, so an invalid one is never
    shown."""
    return resolve(_UNFINISHED.sub("", answer), hits)


def cited(answer: str, hits: Sequence[Hit]) -> list[Hit]:
    """The hits a resolved answer cites, in the order of their first citation."""
    by_rank = {hit.rank: hit for hit in hits}
    order = dict.fromkeys(int(number) for number in re.findall(r"\[(\d{1,3})\](?!\()", answer))
    return [by_rank[number] for number in order if number in by_rank]
