"""What a chat needs of the documents, and the collection seen that way. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from core.documents.collection import Collection
from core.documents.library import guide_names
from core.documents.search import Hit
from core.documents.store import Vectors


class Library(Protocol):
    """The documents one may ask. Every method may block: call them off the event loop. May raise DocumentError."""

    def search(self, question: str, top_k: int, sources: Sequence[str] = ()) -> list[Hit]:
        """The best passages, best first, of these documents alone where `sources` names some."""
        ...

    def sources(self) -> list[str]:
        """Names of the documents that can be found, sorted."""
        ...

    def whole(self, source: str, limit: int) -> list[Hit] | None:
        """Everything a document says, in its order, as passages that do not overlap, ranked from 1; None when it has
        more than `limit` characters or is not there."""
        ...

    def spread(self, source: str, limit: int) -> list[Hit]:
        """Pages from all over a document, at even distances, of at most `limit` characters together."""
        ...

    def languages(self, sources: Sequence[str] = ()) -> Mapping[str, int]:
        """How many documents are mostly in each language, by its code: of these alone where `sources` names some."""
        ...

    def embed(self, texts: list[str]) -> Vectors:
        """Unit vectors, float32, (len(texts), dim)."""
        ...


class CollectionLibrary:
    """A Library over a collection that is searchable."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def search(self, question: str, top_k: int, sources: Sequence[str] = ()) -> list[Hit]:
        return self._collection.search(question, top_k, sources or None)

    def sources(self) -> list[str]:
        return [document.source for document in self._collection.store.documents() if document.chunks]

    def whole(self, source: str, limit: int) -> list[Hit] | None:
        hits: list[Hit] = []
        length = 0
        for hit in self._pages(source):
            length += len(hit.text)
            if length > limit:
                return None
            hits.append(hit)
        return hits or None

    def spread(self, source: str, limit: int) -> list[Hit]:
        pages = list(self._pages(source))
        usual = sum(len(hit.text) for hit in pages) / max(len(pages), 1)
        count = min(len(pages), max(1, int(limit / max(usual, 1.0))))
        chosen = [pages[round(step * (len(pages) - 1) / max(count - 1, 1))] for step in range(count)]
        kept: list[Hit] = []
        for hit in chosen:
            limit -= len(hit.text)
            if limit < 0:
                break
            kept.append(replace(hit, rank=len(kept) + 1))
        return kept

    def _pages(self, source: str) -> Iterator[Hit]:
        """The pages with text, as passages."""
        store = self._collection.store
        document = store.document(source)
        if document is None or document.sha256 is None:
            return
        rank = 0
        for page in range(1, document.pages + 1):
            text = (store.page_text(document.sha256, page) or "").rstrip()
            start = len(text) - len(text.lstrip())
            if start < len(text):
                rank += 1
                yield Hit(rank, 0, source, document.sha256, page, start, len(text), 1.0, text[start:], relevance=1.0)

    def languages(self, sources: Sequence[str] = ()) -> Mapping[str, int]:
        # The guides say the same in two languages: beside a reader's own documents they are no reason to look further.
        names = sources or self.sources()
        return self._collection.store.documents_by_language(set(names) - guide_names() or names)

    def embed(self, texts: list[str]) -> Vectors:
        return self._collection.embedder.embed(texts, urgent=True)
