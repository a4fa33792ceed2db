"""Pages become chunks with exact character offsets. Knows nothing of files or embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

# Letters beyond the basic plane, none of them white space: enough to number any million neighbours.
_FIRST_LETTER = 0x10000
_LETTERS = 0x100000


@dataclass(frozen=True)
class Chunk:
    """`text` is exactly the page's text from `start` to `end` (characters); pages count from 1."""

    page: int
    start: int
    end: int
    text: str


def split_pages(pages: Sequence[str], chunk_size: int, chunk_overlap: int) -> list[Chunk]:
    """Chunks of at most `chunk_size` characters that overlap by up to `chunk_overlap`, page by page, cut at
    paragraphs, lines, words: LangChain's recursive splitter."""
    return [chunk for number, text in enumerate(pages, start=1)
            for chunk in split_page(text, number, chunk_size, chunk_overlap)]


def split_page(text: str, number: int, chunk_size: int, chunk_overlap: int) -> list[Chunk]:
    """The chunks of page `number`."""
    chunks = []
    start = 0
    for piece in _splitter(chunk_size, chunk_overlap).split_text(_numbered(text)):
        start += (ord(piece[0]) - _FIRST_LETTER - start) % _LETTERS
        while text[start].isspace():  # a gap of over a million blanks
            start += _LETTERS
        end = start + len(piece)
        chunks.append(Chunk(page=number, start=start, end=end, text=text[start:end]))
    return chunks


def _numbered(text: str) -> str:
    """`text` with each character replaced by one that tells its place; the splitter looks at white space alone.

    Searching for the pieces instead would find the wrong place where a page repeats itself.
    """
    return "".join(
        character if character.isspace() else chr(_FIRST_LETTER + place % _LETTERS)
        for place, character in enumerate(text)
    )


@lru_cache(maxsize=4)
def _splitter(chunk_size: int, chunk_overlap: int) -> RecursiveCharacterTextSplitter:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    return RecursiveCharacterTextSplitter(chunk_size=chunk_size, chunk_overlap=chunk_overlap)
