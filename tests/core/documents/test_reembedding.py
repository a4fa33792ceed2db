"""What is ready stays ready: with another embedder, after a failure, while new vectors are made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from core.documents.embeddings import Embedded
from core.documents.events import Embedding, Failed, Indexed
from core.errors import DocumentError
from core.settings import Settings
from tests.core.documents.conftest import write_files, write_pdf
from tests.core.documents.shelf import CountingEmbedder, Shelf


class OtherEmbedder(CountingEmbedder):
    """Another model: longer vectors. Fails after so many texts, where it is told to."""

    model = "other"

    def __init__(self, settings: Settings, fails_after: int | None) -> None:
        super().__init__(settings)
        self._fails_after = fails_after

    def embed_windows(self, texts: Sequence[str], *, urgent: bool = False) -> Embedded:
        self.texts += len(texts)
        if self._fails_after is not None and self.texts > self._fails_after:
            raise DocumentError("embedder_failed", detail="no memory")
        return Embedded(np.full((2 * len(texts), 6), 0.4, np.float32), [2] * len(texts), [500] * len(texts))


def with_other_embedder(shelf: Shelf, fails_after: int | None = None) -> Shelf:
    return Shelf(shelf.settings, OtherEmbedder(shelf.settings, fails_after))


def test_another_embedder_embeds_the_stored_text_and_asks_no_file(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno", "twin.txt": "uno", "long.md": "palabra " * 3000})
    shelf.run()
    passages = sum(document.chunks for document in shelf.store.documents())
    (shelf.docs / "a.txt").unlink()
    (shelf.docs / "long.md").write_bytes(b"\xff\xfe")
    other = with_other_embedder(shelf)
    assert {type(event) for event in other.library.index_pending()} == {Embedding, Indexed}
    assert set(other.states().values()) == {"indexed"}
    assert other.embedder.texts == passages - 1  # the twins are one content
    assert other.store.shown_contents() == other.store.shown_contents("other")
    assert {other.store.vectors(content)[1].shape[1] for content in other.store.shown_contents()} == {6}
    assert [passage.windows for passage in other.store.passages("a.txt", 0, 9)] == [2]


def test_vectors_of_the_old_embedder_stay_until_all_new_ones_are_there(shelf: Shelf) -> None:
    write_files(shelf.docs, {"long.md": "palabra " * 5000})
    shelf.run()
    shown = shelf.store.shown_contents(shelf.embedder.model)
    other = with_other_embedder(shelf, fails_after=20)
    with pytest.raises(DocumentError, match="embedder_failed"):
        list(other.library.index_pending())
    assert shelf.store.shown_contents(shelf.embedder.model) == shown
    again = with_other_embedder(shelf)
    assert [type(event) for event in again.library.index_pending()][-1] is Indexed
    assert not shelf.store.shown_contents(shelf.embedder.model)


def test_going_back_to_the_first_embedder_before_the_end_costs_nothing(shelf: Shelf) -> None:
    write_files(shelf.docs, {"long.md": "palabra " * 5000})
    shelf.run()
    embedded = shelf.embedder.texts
    with pytest.raises(DocumentError, match="embedder_failed"):
        list(with_other_embedder(shelf, fails_after=20).library.index_pending())
    assert [type(event) for event in shelf.library.index_pending()] == [Indexed]
    assert shelf.embedder.texts == embedded


def test_a_ready_document_that_cannot_be_read_again_keeps_its_passages(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "locked.pdf", ["El faro mide 69 metros."], password="ábrete")
    shelf.run()
    shelf.library.unlock("locked.pdf", "ábrete")
    list(shelf.library.index_pending())
    before = shelf.store.passages("locked.pdf", 0, 9)
    assert before
    assert shelf.library.reindex("locked.pdf")
    assert [type(event) for event in shelf.library.index_pending()][-1] is Failed
    assert shelf.states() == {"locked.pdf": "failed"}
    assert shelf.store.passages("locked.pdf", 0, 9) == before
    assert len(shelf.store.shown_contents()) == 1
    shelf.library.unlock("locked.pdf", "ábrete")
    assert [type(event) for event in shelf.library.index_pending()][-1] is Indexed


def test_a_file_replaced_by_a_broken_one_keeps_what_it_showed(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "a.pdf", ["El faro mide 69 metros."])
    shelf.run()
    (shelf.docs / "a.pdf").write_bytes(b"%PDF-1.4 broken")
    assert shelf.outcomes() == {"a.pdf": Failed}
    assert [passage.text for passage in shelf.store.passages("a.pdf", 0, 9)] == ["El faro mide 69 metros."]
    shelf.library.remove("a.pdf")
    assert not shelf.store.shown_contents()


def test_what_a_failed_or_cancelled_document_shows_is_embedded_by_another_embedder_too(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "failed.pdf", ["El faro mide 69 metros."])
    write_files(shelf.docs, {"cancelled.txt": "La torre mide 70 metros."})
    shelf.run()
    (shelf.docs / "failed.pdf").write_bytes(b"%PDF-1.4 broken")
    shelf.run()
    shelf.library.reindex("cancelled.txt")
    shelf.library.cancel("cancelled.txt")
    states = {"cancelled.txt": "cancelled", "failed.pdf": "failed"}
    other = with_other_embedder(shelf)
    other.run()
    assert other.states() == states
    assert len(other.store.shown_contents("other")) == 2
    assert [passage.windows for passage in other.store.passages("failed.pdf", 0, 9)] == [2]
    embedded = other.embedder.texts
    other.run()
    assert other.embedder.texts == embedded
