"""`[n]` in an answer is the hit it names, or nothing. Knows nothing of models or HTML.

Code stays as it is: `row[0]` between backticks or in a fenced block cites nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from core.documents.search import Hit

# A fenced block, to its closing fence or the end of the text.
_FENCED = r"^[ \t]*(?P<fence>`{3,}|~{3,})[^`\n]*\n(?:[^\n]*\n)*?(?:[ \t]*(?P=fence)[`~]*[ \t]*$|[^\n]*\Z)"
# Code between backticks, as many before as after, within one paragraph.
_INLINE = r"(?<![\\`])(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=ticks)(?!`)"
# [1], [1, 2], [1][2] and the brackets some models prefer: 【1】, 【1†source】. Not a link's text, [1](address).
_CITATION = (r"(?<!\\)\[(?P<numbers>\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\](?!\()"
             r"|【(?P<number>\d{1,3})(?!\d)[^】\n]{0,40}】")
_PART = re.compile(f"(?:{_FENCED})|(?s:{_INLINE})|{_CITATION}", re.MULTILINE)
_CODE = re.compile(f"(?:{_FENCED})|(?s:{_INLINE})", re.MULTILINE)

# The end of a text that may still become a citation, or a link, when the next token arrives.
_UNFINISHED = re.compile(r"(?:\[[\d\s,;]*\]?|【(?:\d[^】\n]{0,43})?)\Z")
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
_BACKTICK = re.compile(r"(?<!\\)`")
_BRACKET = re.compile(r"[\[【]")


def resolve(answer: str, hits: Sequence[Hit]) -> str:
    """The answer with every citation as `[n]` and numbers that name no hit left out."""
    known = {hit.rank for hit in hits}
    return replace_citations(answer, lambda number: f"[{number}]" if number in known else "")


def resolve_streaming(answer: str, hits: Sequence[Hit]) -> str:
    """`resolve` for an answer that still grows: a citation appears when it is whole, so an invalid one is never
    shown, and what was shown stays as it was."""
    return resolve(_before_open_code(_UNFINISHED.sub("", answer)), hits)


def _before_open_code(text: str) -> str:
    """`text` up to the first bracket behind a backtick of the last paragraph that may still begin code."""
    begin = max((match.end() for match in _CODE.finditer(text)), default=0)
    begin = max((match.end() for match in _PARAGRAPH_END.finditer(text, begin)), default=begin)
    tick = _BACKTICK.search(text, begin)
    bracket = _BRACKET.search(text, tick.end()) if tick else None
    return text[: bracket.start()] if bracket else text


def cited(answer: str, hits: Sequence[Hit]) -> list[Hit]:
    """The hits a resolved answer cites, in the order of their first citation."""
    by_rank = {hit.rank: hit for hit in hits}
    order: dict[int, None] = {}

    def note(number: int) -> str:
        order.setdefault(number)
        return ""

    replace_citations(answer, note)
    return [by_rank[number] for number in order if number in by_rank]


def replace_citations(answer: str, replacement: Callable[[int], str]) -> str:
    """The answer with each cited number replaced; a number given twice in one citation counts once."""
    def replaced(match: re.Match[str]) -> str:
        given = match["numbers"] or match["number"]
        if given is None:  # code
            return match[0]
        numbers = dict.fromkeys(map(int, re.findall(r"\d+", given)))
        return "".join(replacement(number) for number in numbers)

    return _PART.sub(replaced, answer)
