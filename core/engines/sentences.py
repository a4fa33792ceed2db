"""Text from a document → its sentences, in Spanish and English. Knows nothing of questions."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Lower case, without the last dot. A dot after these ends no sentence: what follows is a name …
TITLES = """
sr sra srta sres dr dra dres d dña ud uds prof profa lic ing arq gral av avda sta sto fco ej ee ff rr vd
mr mrs ms st jr hon rev capt lt sgt mt vs e.g i.e u.s u.k
"""
# … and after these when a number follows: «mar. 3» is a date, «al mar. Después» is the sea.
COUNTERS = """
p pp pág págs art arts núm núms nº n.º no nos vol vols cap caps fig figs ed aprox máx mín tel ap apdo ch sec
approx ca est ene abr ago dic jan feb mar apr may jun jul aug sep sept oct nov dec
"""
BEFORE_NAMES = frozenset(TITLES.split())
BEFORE_NUMBERS = frozenset(COUNTERS.split())
END = re.compile(r"(?<![.!?…])[.!?…]++[\"'»”’)\]]*\s+")
START = re.compile(r"[\"'«“‘(\[¿¡—–-]*[\wÀ-ÿ]")
BULLET = re.compile(r"\A(?:[-*•·▪◦‣–—]|#{1,6}|>+)\s+")
LIST_MARK = re.compile(r"(?:[-*•·▪◦‣–—]|#{1,6})\s|\||>")
LIST_NUMBER = re.compile(r"\d{1,2}[.)]\s")
SHORT_LINE = 0.6  # of the longest line: one that ends so early was ended on purpose, not by the page's edge


def split_sentences(text: str) -> Iterator[str]:
    """The sentences of `text` in order, each on one line, without the marks of lists and headings."""
    for block in _blocks(text.replace("\ufeff", "")):
        start = 0
        for end in END.finditer(block):
            if _ends_a_sentence(block[start : end.end()], START.match(block, end.end())):
                yield block[start : end.end()].strip()
                start = end.end()
        if rest := block[start:].strip():
            yield rest


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs, headings and list items, their hard line breaks joined as a PDF's must be."""
    for paragraph in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\f", "\n\n")):
        lines = [line.strip() for line in paragraph.split("\n") if line.strip()]
        width = max(map(len, lines), default=0)
        block = previous = ""
        for line in lines:
            if block and _starts_anew(line, previous, width):
                yield block
                block = ""
            block = _joined(block, line)
            previous = line
        if block:
            yield block


def _starts_anew(line: str, previous: str, width: int) -> bool:
    if LIST_MARK.match(line + " ") or previous.startswith(("#", "|")):
        return True
    ended_early = len(previous) < SHORT_LINE * width and not previous.endswith((",", "-", "\u00ad"))
    if LIST_NUMBER.match(line):  # or only the end of «… Interstate / 9. Later …»
        return ended_early or previous.endswith((".", ":", ";", "!", "?"))
    return ended_early and not line[0].islower()


def _joined(block: str, line: str) -> str:
    line = " ".join(line.split())
    if not block:
        return BULLET.sub("", line)
    if block.endswith("\u00ad"):  # a soft hyphen is always the page's
        return block[:-1] + line
    if re.search(r"[^\W\d_]-$", block) and line[0].islower():
        return block[:-1] + line
    return f"{block} {line}"


def _ends_a_sentence(sentence: str, first: re.Match[str] | None) -> bool:
    """Whether `sentence`, which ends in . ! ? or …, does so; `first` is the beginning of what follows."""
    if first is None or first.group()[-1].islower():
        return False
    words = sentence.split()
    last = words[-1].rstrip("\"'»”’)]")
    if not last.endswith(".") or last.endswith(".."):
        return True
    word = last[:-1].lstrip("\"'«“‘([¿¡").lower()
    if first.group()[-1].isdigit():
        return word not in BEFORE_NUMBERS
    is_initial = len(word) == 1 and word.isalpha()
    is_list_number = len(words) == 1 and word.isdigit()
    return not (word in BEFORE_NAMES or is_initial or is_list_number)
