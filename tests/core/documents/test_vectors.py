"""The vector index: what the store shows, nearest first, and nothing else."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from core.documents.chunking import Chunk
from core.documents.store import Store, Vectors
from core.documents.vectors import VectorIndex

DIM = 16


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.sqlite3")


def unit_vectors(count: int, seed: int) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((count, DIM), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def add(store: Store, source: str, vectors: Vectors) -> None:
    sha256 = f"hash of {source}"
    chunks = [Chunk(1, 0, 3, "uno")] * len(vectors)
    store.queue(source, sha256, 1, 1)
    store.add_content(sha256, ["uno"], chunks, ["es"] * len(chunks), "mini", vectors)
    store.show_content(source, sha256)


def sync(index: VectorIndex, store: Store) -> None:
    index.sync(store, store.shown_contents("mini"))


def ids_of(store: Store) -> list[int]:
    return sorted(int(i) for content in store.shown_contents("mini") for i in store.vectors(content)[0])


def test_the_scan_is_exact(store: Store) -> None:
    vectors = unit_vectors(300, 1)
    add(store, "a.txt", vectors)
    index = VectorIndex()
    sync(index, store)
    ids = np.array(ids_of(store))
    for question in unit_vectors(20, 2):
        cosines = vectors @ question
        nearest = np.argsort(-cosines)[:5]
        found = index.search(question, 5)
        assert set(found) == set(ids[nearest])
        assert max(found.values()) == pytest.approx(cosines.max(), abs=2e-3)


def test_an_empty_index_finds_nothing(store: Store) -> None:
    index = VectorIndex()
    sync(index, store)
    assert len(index) == 0
    assert index.search(unit_vectors(1, 1)[0], 5) == {}
    assert index.scores(unit_vectors(1, 1)[0], [1]) == {}


def test_it_follows_what_comes_goes_and_comes_back(store: Store) -> None:
    index = VectorIndex()
    add(store, "a.txt", unit_vectors(3, 1))
    add(store, "b.txt", unit_vectors(4, 2))
    sync(index, store)
    assert len(index) == 7
    store.remove("a.txt")
    sync(index, store)
    assert sorted(index.search(unit_vectors(1, 3)[0], 50)) == ids_of(store)
    store.remove("b.txt")
    add(store, "b.txt", unit_vectors(4, 2))  # between two syncs: same content, other ids
    sync(index, store)
    assert sorted(index.search(unit_vectors(1, 3)[0], 50)) == ids_of(store)
    store.remove("b.txt")
    sync(index, store)
    assert index.search(unit_vectors(1, 3)[0], 50) == {}


def test_scores_are_cosines_and_leave_out_what_is_not_held(store: Store) -> None:
    vectors = unit_vectors(3, 1)
    add(store, "a.txt", vectors)
    index = VectorIndex()
    sync(index, store)
    ids = ids_of(store)
    scores = index.scores(vectors[1], [*ids, 999])
    assert set(scores) == set(ids)
    assert scores[ids[1]] == pytest.approx(1, abs=2e-3)


def test_two_threads_that_sync_add_nothing_twice(store: Store) -> None:
    for number in range(30):
        add(store, f"{number}.txt", unit_vectors(5, number))
    index = VectorIndex()
    threads = [threading.Thread(target=sync, args=(index, store)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(index.search(unit_vectors(1, 3)[0], 1000)) == len(index) == 150
