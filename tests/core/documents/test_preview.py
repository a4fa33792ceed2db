"""Where a hit comes from: a picture for a PDF, the text around it otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from core.documents.collection import Collection
from core.documents.preview import PagePicture, Previewer, TextExcerpt
from core.documents.search import Hit


@pytest.fixture
def previewer(indexed: Collection) -> Iterator[Previewer]:
    made = Previewer(indexed.settings, indexed.store)
    yield made
    made.close()


def hit_in(collection: Collection, source: str) -> Hit:
    return next(hit for hit in collection.search("gaskets tomato", 10) if hit.source == source)


def test_a_pdf_is_shown_as_a_picture(indexed: Collection, previewer: Previewer) -> None:
    shown = previewer.show(hit_in(indexed, "manual.pdf"))
    assert isinstance(shown, PagePicture)
    assert shown.data_uri.startswith("data:image/webp;base64,")


def test_a_text_is_shown_with_what_stands_around_the_passage(indexed: Collection, previewer: Previewer) -> None:
    hit = hit_in(indexed, "garden/tomatoes.txt")
    inner = replace(hit, start=14, end=26)
    assert previewer.show(inner) == TextExcerpt(hit.text[:14], "planted in M", hit.text[26:])


def test_a_pdf_that_cannot_be_drawn_is_shown_as_text(indexed: Collection, previewer: Previewer) -> None:
    hit = replace(hit_in(indexed, "manual.pdf"), source="gone.pdf")
    shown = previewer.show(hit)
    assert isinstance(shown, TextExcerpt)
    assert shown.passage == hit.text


def test_a_removed_document_still_shows_its_passage(indexed: Collection, previewer: Previewer) -> None:
    hit = replace(hit_in(indexed, "garden/tomatoes.txt"), sha256="removed")
    assert previewer.show(hit) == TextExcerpt("", hit.text, "")


def test_another_page_of_the_document_is_shown_without_a_passage(indexed: Collection, previewer: Previewer) -> None:
    hit = hit_in(indexed, "manual.pdf")
    pages = previewer.pages(hit)
    assert pages == indexed.store.document("manual.pdf").pages  # type: ignore[union-attr]
    other = next(page for page in range(1, pages + 1) if page != hit.page) if pages > 1 else None
    if other is not None:
        shown = previewer.show(hit, other)
        assert isinstance(shown, PagePicture) and shown != previewer.show(hit)
    text = previewer.show(replace(hit, source="gone.pdf", page=2 if hit.page == 1 else 1), hit.page)
    assert isinstance(text, TextExcerpt) and text.passage == "" and hit.text.strip() in text.before
    assert previewer.pages(replace(hit, sha256="older")) == hit.page
