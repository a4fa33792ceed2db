"""Nearest chunks by vector: FAISS in memory, filled from the store. There is no index file to corrupt.

An exact scan over float16, which needs no training, forgets on request and answers in milliseconds for hundreds
of thousands of chunks. Knows nothing of texts.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from core.documents.store import Store, Vectors

# FAISS knows a vector as chunk id × this + number of the window: no chunk has so many windows.
_MAX_WINDOWS = 4096


class VectorIndex:
    """FAISS over the contents a store shows; a chunk may have several vectors, and its best one counts. Safe for
    several threads."""

    def __init__(self) -> None:
        self._index: Any = None  # faiss.IndexIDMap2, made when the first vectors tell the dimension
        self._rows: dict[int, npt.NDArray[np.int64]] = {}  # FAISS's ids by content
        self._windows: dict[int, int] = {}  # of the chunks that have more than one
        self._lock = threading.Lock()
        self._syncing = threading.Lock()

    def __len__(self) -> int:
        """Vectors held."""
        return sum(len(rows) for rows in self._rows.values())

    def sync(self, store: Store, shown: set[int]) -> None:
        """Hold exactly the contents `shown`, of one embedder."""
        with self._syncing:
            for content_id in self._rows.keys() - shown:
                self._remove(content_id)
            for content_id in shown - self._rows.keys():
                ids, vectors = store.vectors(content_id)
                if len(ids):
                    self._add(content_id, ids, vectors.astype(np.float32))

    def search(self, vector: Vectors, count: int, among: Collection[int] | None = None) -> dict[int, float]:
        """The `count` nearest chunks, exactly, of the contents `among` where they are given: id → cosine. `vector`:
        float32, (dim,), unit length."""
        with self._lock:
            if self._index is None or self._index.ntotal == 0:
                return {}
            params = None if among is None else self._only(among)
            wanted = 2 * count if self._windows else count  # neighbours may be windows of one chunk
            scores, rows = self._index.search(vector[np.newaxis], min(wanted, self._index.ntotal), params=params)
        best: dict[int, float] = {}
        for row, score in zip(rows[0], scores[0], strict=True):
            if row >= 0 and len(best) < count:
                best.setdefault(int(row) // _MAX_WINDOWS, float(score))  # the first is the best: they come sorted
        return best

    def _only(self, contents: Collection[int]) -> Any:
        """What tells FAISS to look at these contents alone."""
        import faiss

        rows = [self._rows[content] for content in contents if content in self._rows]
        selector = faiss.IDSelectorBatch(np.concatenate(rows) if rows else np.empty(0, np.int64))
        return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]

    def scores(self, vector: Vectors, ids: list[int]) -> dict[int, float]:
        """The cosine of each of these chunks; those that are not held are left out."""
        found = {}
        with self._lock:
            for chunk_id in ids:
                rows = [chunk_id * _MAX_WINDOWS + window for window in range(self._windows.get(chunk_id, 1))]
                try:
                    found[chunk_id] = max(float(self._index.reconstruct(row) @ vector) for row in rows)
                except (RuntimeError, AttributeError):  # removed meanwhile, or nothing is held
                    continue
        return found

    def _add(self, content_id: int, ids: npt.NDArray[np.int64], vectors: Vectors) -> None:
        """`ids`: the chunk of each vector, ascending."""
        import faiss

        windows = np.arange(len(ids)) - np.searchsorted(ids, ids)
        rows = ids * _MAX_WINDOWS + windows
        with self._lock:
            if self._index is None:
                # One question keeps one core busy reading memory; a second thread gains nothing (10.6 against 9.7 ms at
                # 100,000 vectors) and waits for the embedder when that works too.
                faiss.omp_set_num_threads(1)
                flat = faiss.IndexScalarQuantizer(
                    vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
                self._index = faiss.IndexIDMap2(flat)
            self._index.add_with_ids(vectors, rows)
            self._rows[content_id] = rows
            self._windows.update((int(chunk), int(window) + 1) for chunk, window in zip(ids, windows, strict=True)
                                 if window)

    def _remove(self, content_id: int) -> None:
        with self._lock:
            rows = self._rows.pop(content_id)
            self._index.remove_ids(rows)
            for chunk_id in set((rows // _MAX_WINDOWS).tolist()):
                self._windows.pop(chunk_id, None)
