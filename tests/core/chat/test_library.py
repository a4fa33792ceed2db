"""The collection as a chat sees it: whole documents by page, or pages from all over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.chat.library import CollectionLibrary
from core.documents.chunking import split_pages
from core.documents.collection import Collection
from core.documents.library import guide_names
from core.settings import Settings

PAGES = ["  First page. \n", "", *(f"Page {number} says {number * 7}." for number in range(3, 41))]


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    """One document of forty pages, the second of them blank, and one without text."""
    with Collection(replace(Settings(), docs_dir=tmp_path / "docs", data_dir=tmp_path / "data")) as collection:
        for source, pages in (("long.txt", PAGES), ("scan.pdf", [""])):
            chunks = split_pages(pages, 20, 10)
            collection.store.queue(source, source, 1, 1)
            collection.store.add_content(source, pages, chunks, ["en"] * len(chunks), "m",
                                         np.zeros((len(chunks), 4), np.float32))
            collection.store.show_content(source, source)
        yield collection


@pytest.fixture
def library(collection: Collection) -> CollectionLibrary:
    return CollectionLibrary(collection)


def test_a_whole_document_is_its_pages_without_overlaps(library: CollectionLibrary) -> None:
    hits = library.whole("long.txt", 10_000)
    assert hits is not None and len(hits) == 39
    assert [hit.rank for hit in hits] == list(range(1, 40))
    assert [hit.page for hit in hits] == [1, *range(3, 41)]
    assert all(PAGES[hit.page - 1][hit.start : hit.end] == hit.text == PAGES[hit.page - 1].strip() for hit in hits)


def test_what_is_too_long_or_not_there_is_none(library: CollectionLibrary) -> None:
    length = sum(len(page.strip()) for page in PAGES)
    assert library.whole("long.txt", length) is not None
    assert library.whole("long.txt", length - 1) is None
    assert library.whole("scan.pdf", 10_000) is None and library.whole("gone.txt", 10_000) is None


def test_pages_are_spread_from_the_first_to_the_last(library: CollectionLibrary) -> None:
    hits = library.spread("long.txt", 120)
    assert (hits[0].page, hits[-1].page) == (1, 40) and 4 <= len(hits) <= 9
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert sum(len(hit.text) for hit in hits) <= 120
    assert library.spread("gone.txt", 100) == []


def test_documents_that_say_nothing_are_not_listed(library: CollectionLibrary) -> None:
    assert library.sources() == ["long.txt"] and library.languages() == {"en": 1}
    assert library.languages(["scan.pdf"]) == {}


def test_a_document_counts_for_the_language_of_most_of_its_passages_and_the_guides_for_none(
    library: CollectionLibrary, collection: Collection
) -> None:
    guide = next(iter(guide_names()))
    for source, languages in (("es.txt", ["es", "en", "es"]), ("more.txt", ["es"]), (guide, ["fr"])):
        chunks = split_pages(["x" * 15] * len(languages), 20, 10)
        collection.store.queue(source, source, 1, 1)
        collection.store.add_content(source, ["x" * 15] * len(languages), chunks, languages, "m",
                                     np.zeros((len(chunks), 4), np.float32))
        collection.store.show_content(source, source)
    assert library.languages() == {"en": 1, "es": 2}
    assert library.languages(["es.txt"]) == {"es": 1} and library.languages([guide]) == {"fr": 1}
