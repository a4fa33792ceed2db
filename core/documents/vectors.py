"""Nearest chunks by vector: FAISS in memory, filled from the store. There is no index file to corrupt.

An exact scan over float16, which needs no training, forgets on request and answers in milliseconds for hundreds
of thousands of chunks. Knows nothing of texts.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from core.documents.store import Store, Vectors


class VectorIndex:
    """FAISS over the contents a store shows. Safe for several threads."""

    def __init__(self) -> None:
        self._index: Any = None  # faiss.IndexIDMap2, made when the first vectors tell the dimension
        self._ids: dict[int, npt.NDArray[np.int64]] = {}  # chunk ids by content
        self._lock = threading.Lock()
        self._syncing = threading.Lock()

    def __len__(self) -> int:
        return sum(len(ids) for ids in self._ids.values())

    def sync(self, store: Store, shown: set[int]) -> None:
        """Hold exactly the contents `shown`, of one embedder."""
        with self._syncing:
            for content_id in self._ids.keys() - shown:
                self._remove(content_id)
            for content_id in shown - self._ids.keys():
                ids, vectors = store.vectors(content_id)
                if len(ids):
                    self._add(content_id, ids, vectors.astype(np.float32))

    def search(self, vector: Vectors, count: int) -> dict[int, float]:
        """The `count` nearest chunks: id → cosine. `vector`: float32, (dim,), unit length."""
        with self._lock:
            if self._index is None or self._index.ntotal == 0:
                return {}
            scores, ids = self._index.search(vector[np.newaxis], min(count, self._index.ntotal))
        return {int(i): float(score) for i, score in zip(ids[0], scores[0], strict=True) if i >= 0}

    def scores(self, vector: Vectors, ids: list[int]) -> dict[int, float]:
        """The cosine of each of these chunks; those that are not held are left out."""
        found = {}
        with self._lock:
            for chunk_id in ids:
                try:
                    found[chunk_id] = float(self._index.reconstruct(chunk_id) @ vector)
                except (RuntimeError, AttributeError):  # removed meanwhile, or nothing is held
                    continue
        return found

    def _add(self, content_id: int, ids: npt.NDArray[np.int64], vectors: Vectors) -> None:
        import faiss

        with self._lock:
            if self._index is None:
                flat = faiss.IndexScalarQuantizer(
                    vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
                self._index = faiss.IndexIDMap2(flat)
            self._index.add_with_ids(vectors, ids)
            self._ids[content_id] = ids

    def _remove(self, content_id: int) -> None:
        with self._lock:
            self._index.remove_ids(self._ids.pop(content_id))
