"""A search among chosen documents is exact among them, however few they are of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from core.documents.collection import Collection
from core.documents.embeddings import Embedded, Embedder
from tests.core.documents.conftest import settings_in, write_files

DOCUMENTS = 400


class LetterEmbedder(Embedder):
    """Vectors without a model: near are texts of the same letters."""

    def embed_windows(self, texts: Sequence[str], *, urgent: bool = False) -> Embedded:
        counts = np.array([[text.lower().count(letter) + 0.01 for letter in "abcdefghijklmnop"] for text in texts])
        vectors = (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)
        return Embedded(vectors, [1] * len(texts), [1] * len(texts))


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """Hundreds of documents about gaskets, of which one says least about them, and one content under two names."""
    settings = settings_in(tmp_path_factory.mktemp("many"))
    texts = {f"{number:03}.txt": f"gasket gasket gasket number {number}" for number in range(DOCUMENTS)}
    texts |= {"far.txt": "A meadow of poppies; there was one gasket in it. " + "Poppies and hemp. " * 20,
              "other/twin.txt": texts["007.txt"]}
    write_files(settings.docs_dir, texts)
    with Collection(settings) as made:
        made.embedder = made._indexer._embedder = made.searcher._embedder = LetterEmbedder(settings)
        assert all(event for event in made.library.run())
        made.searcher.sync()
        yield made


def found(collection: Collection, question: str, *sources: str) -> list[str]:
    return [hit.source for hit in collection.search(question, 5, sources=sources or None)]


def test_a_document_that_would_never_be_among_the_best_is_found_when_it_is_chosen(collection: Collection) -> None:
    assert "far.txt" not in found(collection, "gasket")
    assert set(found(collection, "gasket", "far.txt")) == {"far.txt"}
    assert {*found(collection, "gasket", "far.txt", "300.txt")} == {"far.txt", "300.txt"}


def test_meaning_alone_is_exact_among_the_chosen(collection: Collection) -> None:
    """No word of the question stands anywhere, so only vectors tell."""
    assert set(found(collection, "zzgask zzet", "far.txt", "123.txt", "321.txt")) == {"far.txt", "123.txt", "321.txt"}


def test_a_content_is_shown_under_the_name_that_was_chosen(collection: Collection) -> None:
    assert found(collection, "gasket", "other/twin.txt") == ["other/twin.txt"]
    assert found(collection, "gasket", "007.txt") == ["007.txt"]


def test_documents_that_are_not_there_hold_nothing(collection: Collection) -> None:
    assert found(collection, "gasket", "nowhere.txt") == []
    assert collection.search("gasket", 5, sources=[]) == []


def test_choosing_all_is_choosing_none(collection: Collection) -> None:
    everything = [document.source for document in collection.store.documents()]
    chosen = collection.search("gasket number 42", 5, sources=everything)
    assert [hit.chunk_id for hit in chosen] == [hit.chunk_id for hit in collection.search("gasket number 42", 5)]
    assert Path(chosen[0].source).name == "042.txt"
