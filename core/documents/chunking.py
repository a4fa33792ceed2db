"""Pages become chunks with exact character offsets. Knows nothing of files or embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from langchain_text_splitters import RecursiveCharacterTextSplitter


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
    chunks = []
    for number, text in enumerate(pages, start=1):
        position = 0
        for piece in _splitter(chunk_size, chunk_overlap).split_text(text):
            # A piece begins after the one before it, and at most the overlap before that one's end: the next
            # occurrence from there on is its place, also where a page repeats itself.
            start = text.index(piece, position)
            end = start + len(piece)
            chunks.append(Chunk(page=number, start=start, end=end, text=piece))
            position = max(start + 1, end - chunk_overlap)
    return chunks


@lru_cache(maxsize=4)
def _splitter(chunk_size: int, chunk_overlap: int) -> RecursiveCharacterTextSplitter:
    return RecursiveCharacterTextSplitter(chunk_size=chunk_size, chunk_overlap=chunk_overlap)
