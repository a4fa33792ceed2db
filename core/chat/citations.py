"""`[n]` in an answer is the hit it names, or nothing. Knows nothing of models or HTML.

Code stays as it is: `row[0]` between backticks or in a fenced block cites nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from core.documents.search import Hit

# A fenced block, to its closing fence or the end of the text.
_FENCED = r"^[ \t]*(?P<fence>`{3,}|~{3,})[^`\n]*\n(?:[^\n]*\n)*?(?:[ \t]*(?P=fence)[`~]*[ \t]*$|[^\n]*\Z)"
# Code between backticks, as many before as after, within one paragraph.
_INLINE = r"(?<![\\`])(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=ticks)(?!`)"
# [1], [1, 2], [1-3], [1][2], and what some models prefer: [[1]], [^1], [Passage 1], 【1】, 【1†source】. Not a link's
# text, [1](address).
_NUMBERS = r"\d{1,3}(?:[ \t]*(?:[,;–-]|\by\b|\band\b)[ \t]*\d{1,3})*"
_CITATION = (r"(?<!\\)(?P<twice>\[)?\[(?:\^|(?i:passages?|pasajes?|sources?|fuentes?)[ ])?"
             rf"(?P<numbers>{_NUMBERS})\](?(twice)\])(?!\()|【(?P<number>\d{{1,3}})(?!\d)[^】\n]{{0,40}}】")
_PART = re.compile(f"(?:{_FENCED})|(?s:{_INLINE})|{_CITATION}", re.MULTILINE)
CODE = re.compile(f"(?:{_FENCED})|(?s:{_INLINE})", re.MULTILINE)
_RANGE = re.compile(r"(\d+)(?:[ \t]*[–-][ \t]*(\d+))?")
_MOST_IN_RANGE = 20

# Where a citation was left out; of the private use area: in no text. The blanks before it go, too, unless another
# citation comes next: "not so [7]." is "not so."
_LEFT_OUT = "\ue0d8"
_GAP = re.compile(rf"(?:(?<![ \t])[ \t]+)?{_LEFT_OUT}++(?!\[)|{_LEFT_OUT}++")

# The end of a text that may still become a citation, or a link, when the next token arrives.
_UNFINISHED = re.compile(r"(?:\[\[?\^?[a-zA-Z]{0,8}[\d \t,;–yand-]*\]{0,2}|【(?:\d[^】\n]{0,43})?)\Z")
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
    return resolve(_before_open_code(_UNFINISHED.sub("", answer)).rstrip(" \t"), hits)


class GrowingAnswer:
    """`resolve_streaming` of an answer that comes in pieces, each of which costs what its paragraph takes, however long
    the answer is."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._hits = hits
        self._settled = ""  # resolved: paragraphs that nothing to come can change
        self._rest = ""

    def add(self, text: str) -> str:
        """All there is to show once `text` has come, too."""
        self._rest += text
        if "\n" in text and (end := _settled_end(self._rest)):
            self._settled += resolve(self._rest[:end], self._hits)
            self._rest = self._rest[end:]
        return self._settled + resolve_streaming(self._rest, self._hits)


def _settled_end(text: str) -> int:
    """Where the last paragraph begins that may still change; 0 when it is the first."""
    code = [match.span() for match in CODE.finditer(text)]
    ends = [match.end() for match in _PARAGRAPH_END.finditer(text)
            if not any(start < match.end() <= end for start, end in code)]
    return max(ends, default=0)


def _before_open_code(text: str) -> str:
    """`text` up to the first bracket behind a backtick of the last paragraph that may still begin code."""
    begin = max((match.end() for match in CODE.finditer(text)), default=0)
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
    """The answer with each cited number replaced; a number given twice in one citation counts once. One replaced by
    nothing takes the blank before it along."""
    def replaced(match: re.Match[str]) -> str:
        given = match["numbers"] or match["number"]
        if given is None:  # code
            return match[0]
        return "".join(map(replacement, dict.fromkeys(_numbers(given)))) or _LEFT_OUT

    return _GAP.sub("", _PART.sub(replaced, answer))


def without_citations(answer: str) -> str:
    return replace_citations(answer, lambda number: "")


def _numbers(given: str) -> Iterator[int]:
    for first, last in _RANGE.findall(given):
        yield int(first)
        if last:
            yield from range(int(first) + 1, min(int(last), int(first) + _MOST_IN_RANGE) + 1)
