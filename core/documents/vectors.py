"""Nearest chunks by vector: FAISS in memory, filled from the store. There is no index file to corrupt.

Every vector is looked at, as one byte a number; the nearest by that are compared again exactly as the store has them.
That needs no training, forgets on request and answers in milliseconds for hundreds of thousands of chunks. Knows
nothing of texts.
"""

from __future__ import annotations

import threading
from bisect import bisect_right, insort
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.documents.store import Store, Vectors

# FAISS knows a vector as content id << this | its row in the content.
_ROW_BITS = 32
# Nearest by bytes that are compared exactly, for each one wanted. A byte's rounding moves a cosine by .001.
_COMPARED = 4
# The number a byte's end stands for, in standard deviations of a unit vector's numbers. MiniLM's reach 4.6.
_DEVIATIONS = 6


@dataclass(frozen=True)
class _Content:
    """The vectors of a content, float16, (n, dim), and the chunk of each, (n,), ascending."""

    chunks: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float16]


class VectorIndex:
    """FAISS over the contents a store shows; a chunk may have several vectors, and its best one counts. Safe for
    several threads."""

    def __init__(self) -> None:
        self._codes: Any = None  # faiss.IndexIDMap, made when the first vectors tell the dimension
        self._contents: dict[int, _Content] = {}
        self._first_chunks: list[tuple[int, int]] = []  # first chunk and content, sorted: a content's are consecutive
        self._lock = threading.Lock()
        self._syncing = threading.Lock()

    def __len__(self) -> int:
        """Vectors held."""
        with self._lock:
            return sum(len(content.chunks) for content in self._contents.values())

    def sync(self, store: Store, shown: set[int]) -> None:
        """Hold exactly the contents `shown`, of one embedder."""
        with self._syncing:
            if gone := self._contents.keys() - shown:
                self._remove(gone)
            for content_id in shown - self._contents.keys():
                chunks, vectors = store.vectors(content_id)
                if len(chunks):
                    self._add(content_id, _Content(chunks, vectors))

    def search(self, vector: Vectors, count: int, among: Collection[int] | None = None) -> dict[int, float]:
        """The `count` nearest chunks of the contents `among` where they are given, nearest first: id → cosine.
        `vector`: float32, (dim,), unit length."""
        with self._lock:
            if self._codes is None or self._codes.ntotal == 0:
                return {}
            params = None if among is None else self._only(among)
            compared = min(_COMPARED * count, self._codes.ntotal)
            rows = self._codes.search(as_codes(vector[np.newaxis]), compared, params=params)[1][0]
            places = [(self._contents[row >> _ROW_BITS], row & ((1 << _ROW_BITS) - 1))
                      for row in rows.tolist() if row >= 0]
        if not places:
            return {}
        cosines = np.stack([content.vectors[row] for content, row in places]).astype(np.float32) @ vector
        best: dict[int, float] = {}
        for nearest in np.argsort(-cosines):
            content, row = places[nearest]
            best.setdefault(int(content.chunks[row]), float(cosines[nearest]))
            if len(best) == count:
                break
        return best

    def scores(self, vector: Vectors, ids: Iterable[int]) -> dict[int, float]:
        """The cosine of each of these chunks; those that are not held are left out."""
        found = {}
        with self._lock:
            for chunk_id in ids:
                place = bisect_right(self._first_chunks, (chunk_id, 1 << _ROW_BITS)) - 1
                if place < 0:
                    continue
                content = self._contents[self._first_chunks[place][1]]
                first, end = np.searchsorted(content.chunks, (chunk_id, chunk_id + 1))
                if first < end:
                    found[chunk_id] = float((content.vectors[first:end].astype(np.float32) @ vector).max())
        return found

    def _only(self, contents: Iterable[int]) -> Any:
        """What tells FAISS to look at these contents alone."""
        import faiss

        return faiss.SearchParameters(sel=faiss.IDSelectorBatch(self._rows(contents)))  # type: ignore[call-arg]

    def _rows(self, contents: Iterable[int]) -> npt.NDArray[np.int64]:
        """FAISS's ids of these contents, as far as they are held."""
        rows = [(content_id << _ROW_BITS) + np.arange(len(self._contents[content_id].chunks))
                for content_id in contents if content_id in self._contents]
        return np.concatenate(rows) if rows else np.empty(0, np.int64)

    def _add(self, content_id: int, content: _Content) -> None:
        codes = as_codes(content.vectors)
        with self._lock:
            if self._codes is None:
                self._codes = _new_index(codes.shape[1])
            self._contents[content_id] = content
            insort(self._first_chunks, (int(content.chunks[0]), content_id))
            self._codes.add_with_ids(codes, self._rows([content_id]))

    def _remove(self, contents: Collection[int]) -> None:
        with self._lock:
            self._codes.remove_ids(self._rows(contents))
            self._first_chunks = [(first, content) for first, content in self._first_chunks if content not in contents]
            for content_id in contents:
                del self._contents[content_id]


def as_codes(vectors: npt.NDArray[np.float16 | np.float32]) -> Vectors:
    """The whole numbers from -127 to 127 that stand for the numbers of unit vectors; float32, as FAISS takes them.
    Questions as well: where the processor multiplies bytes, FAISS cuts what stands behind the point."""
    end = min(1.0, _DEVIATIONS / vectors.shape[1] ** 0.5)
    codes: Vectors = np.rint(vectors.astype(np.float32) * (127 / end)).clip(-127, 127)
    return codes


def _new_index(dimension: int) -> Any:
    import faiss

    # One question keeps one core busy reading memory; a second thread gains nothing and waits for the embedder when
    # that works too.
    faiss.omp_set_num_threads(1)
    return faiss.IndexIDMap(faiss.IndexScalarQuantizer(
        dimension, faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT))
