"""What every reader keeps to: text that a store accepts, on pages of bounded length. Knows no format."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A page passes through pipes and splitters whole: one of a million characters, three hundred printed pages, takes
# them at most some hundred megabytes.
MAX_PAGE_CHARS = 1_000_000
MAX_PAGES = 100_000
# Text of one file: a hundred thick books. More is a bomb or a database, not a document.
MAX_FILE_CHARS = 50_000_000

# A form feed, tab and newlines belong to text; the other control characters say "not a text".
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BORDERS = ("\n\n", "\n", " ")
_LEAST_SHARE = 0.5  # of a page, before which no border is looked for


def clean_text(text: str) -> str:
    """Newlines as `\\n`; control characters and lone surrogates, which no store accepts, become spaces."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub(" ", CONTROL.sub(" ", text))


def one_line(text: str) -> str:
    """Every stretch of white space as one blank, none at the ends."""
    return " ".join(text.split())


def cut_pages(text: str, max_chars: int = MAX_PAGE_CHARS) -> Iterator[str]:
    """A text without pages of its own as pages of at most `max_chars`, cut at a paragraph, line or word where the
    page's second half has one. Joined they are the text; an empty text is one empty page."""
    start = 0
    while len(text) - start > max_chars:
        end = _cut(text, start + int(max_chars * _LEAST_SHARE), start + max_chars)
        yield text[start:end]
        start = end
    yield text[start:]


def _cut(text: str, least: int, most: int) -> int:
    for border in _BORDERS:
        place = text.rfind(border, least, most)
        if place >= 0:
            return place + len(border)
    return most
