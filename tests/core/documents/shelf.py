"""Documents without a model: nothing is embedded, and what would be is counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.documents.collection import Collection
from core.documents.embeddings import Embedded, Embedder
from core.documents.events import DocumentEvent, Missing, Summary, Unreadable
from core.documents.indexing import Indexer
from core.documents.library import Library
from core.documents.store import Store
from core.errors import DocumentError
from core.settings import Settings


class CountingEmbedder(Embedder):
    """Vectors without a model, and a count of the texts asked for."""

    texts = 0

    def embed_windows(self, texts: Sequence[str], *, urgent: bool = False) -> Embedded:
        self.texts += len(texts)
        return Embedded(np.full((len(texts), 4), 0.5, np.float32), [1] * len(texts), [1] * len(texts))


class Shelf:
    """A library over one folder. Whoever makes it closes its `indexer`."""

    def __init__(self, settings: Settings, embedder: CountingEmbedder | None = None) -> None:
        self.settings = settings
        self.docs = settings.docs_dir
        self.store = Store(settings.store_path)
        self.embedder = embedder or CountingEmbedder(settings)
        self.indexer = Indexer(settings, self.store, self.embedder)
        self.library = Library(settings, self.store, self.indexer)

    def run(self) -> list[DocumentEvent]:
        return list(self.library.run())

    def outcomes(self) -> dict[str, type[DocumentEvent]]:
        """The last event of each document in a run."""
        return {event.source: type(event) for event in self.run()
                if not isinstance(event, Summary | Missing | Unreadable)}

    def states(self) -> dict[str, str]:
        return {document.source: document.state for document in self.store.documents()}

    def code_of(self, path: Path, **options: str) -> str:
        with pytest.raises(DocumentError) as caught:
            self.library.add(path, **options)  # type: ignore[arg-type]
        return caught.value.code


def without_model(settings: Settings) -> Collection:
    """A collection whose every passage has the same vector: words alone tell them apart."""
    collection = Collection(settings)
    collection.embedder = collection._indexer._embedder = CountingEmbedder(settings)
    collection.searcher._embedder = collection.embedder
    return collection
