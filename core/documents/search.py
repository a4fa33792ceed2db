"""A question finds its passages: by meaning (vectors) and by words (BM25), their scores fused.

Scores are fused rather than ranks: the vectors of an English model know little of other languages, and ranks would
give a bad list the weight of a good one.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from core.documents.embeddings import Embedder
from core.documents.lexical import LexicalIndex
from core.documents.parsers import clean_text
from core.documents.store import Store
from core.documents.vectors import VectorIndex

# Candidates taken from each side; more changed no result on 1,224 questions over 240 articles' chunks.
_CANDIDATES = 50
_DENSE_WEIGHT = 0.5


@dataclass(frozen=True)
class Hit:
    """A passage found. `start` and `end` are character offsets in the text of page `page` (from 1); `score` is
    the fused score, at most 1."""

    rank: int
    chunk_id: int
    source: str
    sha256: str
    page: int
    start: int
    end: int
    score: float
    text: str
    dense: float = 0.0
    lexical: float = 0.0
    relevance: float = 0.0
    matched: tuple[str, ...] = ()


class Searcher:
    """Search over what a store shows. `sync` brings the indexes up to the store."""

    def __init__(self, store: Store, embedder: Embedder, lexical: LexicalIndex) -> None:
        self._store = store
        self._embedder = embedder
        self._vectors = VectorIndex()
        self._syncing = threading.Lock()
        self._lexical = lexical

    def sync(self) -> None:
        """Bring the indexes up to the store. Safe for several threads."""
        with self._syncing:
            self._sync()

    def _sync(self) -> None:
        shown = self._store.shown_contents(self._embedder.model)
        self._vectors.sync(self._store, shown)
        self._lexical.sync(shown)

    def search(self, question: str, top_k: int, sources: Sequence[str] | None = None) -> list[Hit]:
        """The `top_k` best passages, best first, of these documents alone where `sources` names them: found among
        their own, however few they are of all. Raises DocumentError `embedder_failed`."""
        question = clean_text(question)
        if not question.strip() or not len(self._vectors):
            return []
        among = None if sources is None else self._store.contents_of(sources)
        vector = self._embedder.embed([question], urgent=True)[0]
        lexical = self._lexical.search(question, _CANDIDATES, among)
        dense = self._vectors.search(vector, _CANDIDATES, among)
        dense |= self._vectors.scores(vector, [chunk_id for chunk_id in lexical if chunk_id not in dense])
        fused = fuse(dense, lexical)
        best = sorted(fused, key=lambda chunk_id: -fused[chunk_id])
        found = self._store.first_chunks(best, top_k, sources)
        return [
            Hit(rank, chunk.id, chunk.source, chunk.sha256, chunk.page, chunk.start, chunk.end,
                round(fused[chunk.id], 4), chunk.text)
            for rank, chunk in enumerate(found, start=1)
        ]


def fuse(dense: dict[int, float], lexical: dict[int, float]) -> dict[int, float]:
    """One score from 0 to 1 for each chunk of `dense`, from its cosine and its BM25 score (0 where absent): the
    mean of both, each spread over 0 to 1 among the candidates."""
    if not dense:
        return {}
    lowest, highest = min(dense.values()), max(dense.values())
    spread = highest - lowest or 1.0
    most = max(lexical.values(), default=0.0) or 1.0
    return {
        chunk_id: _DENSE_WEIGHT * (cosine - lowest) / spread
        + (1 - _DENSE_WEIGHT) * lexical.get(chunk_id, 0.0) / most
        for chunk_id, cosine in dense.items()
    }
