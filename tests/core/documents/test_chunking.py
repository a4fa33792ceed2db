"""Chunks: LangChain's pieces, at the places where they really stand."""

from __future__ import annotations

import itertools
import random

import pytest
from langchain_text_splitters import RecursiveCharacterTextSplitter

from core.documents import chunking
from core.documents.chunking import Chunk, split_pages

REPEATED = {
    "one letter": "x" * 5000,
    "words of seven letters": "palabra " * 700,
    "lines of a table": "0  0  0.00\n" * 600,
    "the same paragraph": ("Este párrafo se repite sin cambio alguno. " * 8 + "\n\n") * 12,
    "blank lines between": "a\n\n\n\n\n" * 900,
}


def random_text(dice: random.Random) -> str:
    words = ["a", "año", "perro", "de", "x" * 30, "𝒳", "¡no!", "1", "y" * dice.randint(1, 300)]
    blanks = [" ", " ", " ", "\n", "\n\n", "  ", "\t", "\n \n", "\xa0", ""]
    return "".join(dice.choice(words) + dice.choice(blanks) for _ in range(dice.randint(0, 400)))


def assert_covered(text: str, chunks: list[Chunk]) -> None:
    """Each chunk is the text at its place, later than the one before, and only blanks are in no chunk."""
    end = 0
    last_start = -1
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.start >= last_start
        assert not text[end : chunk.start].strip(), "text is lost between two chunks"
        last_start, end = chunk.start, chunk.end
    assert not text[end:].strip(), "the end of the text is lost"


@pytest.mark.parametrize("text", REPEATED.values(), ids=REPEATED.keys())
def test_text_that_repeats_itself_is_covered_whole(text: str) -> None:
    chunks = split_pages([text], 1000, 200)
    assert_covered(text, chunks)
    assert max(len(chunk.text) for chunk in chunks) <= 1000


def test_random_texts_are_cut_as_langchain_cuts_them_at_exact_offsets() -> None:
    dice = random.Random(7)
    for _ in range(150):
        text = random_text(dice)
        size = dice.choice([40, 100, 350, 1000])
        overlap = dice.choice([0, size // 5])
        chunks = split_pages([text], size, overlap)
        assert_covered(text, chunks)
        plain = RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=overlap)
        assert [chunk.text for chunk in chunks] == plain.split_text(text)


def test_chunks_overlap_by_at_most_the_overlap() -> None:
    text = " ".join(f"palabra{number}" for number in range(1000))
    chunks = split_pages([text], 1000, 200)
    overlaps = [before.end - after.start for before, after in itertools.pairwise(chunks)]
    assert all(100 < overlap <= 200 for overlap in overlaps)


def test_pages_count_from_one_and_empty_ones_have_no_chunk() -> None:
    chunks = split_pages(["uno", "", "  \n\n ", "cuatro"], 1000, 200)
    assert [(chunk.page, chunk.start, chunk.end, chunk.text) for chunk in chunks] == [
        (1, 0, 3, "uno"), (4, 0, 6, "cuatro")]


def test_places_stay_exact_beyond_the_letters_that_number_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunking, "_LETTERS", 2048)  # as if a million characters were two thousand
    text = "palabra " * 900 + "\n" * 9000 + "fin " * 900
    assert_covered(text, split_pages([text], 1000, 200))
