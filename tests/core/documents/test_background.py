"""Indexing behind the page: it goes on by itself, says what is wrong, and ends when it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from core.documents.background import BackgroundIndexing
from core.documents.collection import Collection
from core.settings import Settings
from tests.core.documents.conftest import write_files, write_slow_pdf
from tests.core.documents.test_library import CountingEmbedder


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "did not happen in time"
        time.sleep(0.02)


def without_model(settings: Settings) -> Collection:
    collection = Collection(settings)
    collection.embedder = collection._indexer._embedder = CountingEmbedder(settings)
    collection.searcher._embedder = collection.embedder
    return collection


@pytest.fixture
def collection(settings: Settings) -> Iterator[Collection]:
    made = without_model(settings)
    yield made
    made.close()


@pytest.fixture
def background(collection: Collection) -> Iterator[BackgroundIndexing]:
    made = BackgroundIndexing(collection)
    yield made
    made.close()


def test_files_are_found_indexed_and_searchable_by_themselves(
    collection: Collection, background: BackgroundIndexing
) -> None:
    background.start()
    wait_until(background.ready.is_set)
    before = background.version
    write_files(collection.settings.docs_dir, {"a.txt": "el pingüino", "b.txt": "la foca"})
    background.sync_folder()
    wait_until(lambda: len(collection.search("pingüino")) == 2)
    wait_until(lambda: not background.busy)
    assert background.version > before
    assert collection.search("foca")[0].source == "b.txt"


def test_work_left_by_an_earlier_start_goes_on(collection: Collection, background: BackgroundIndexing) -> None:
    write_files(collection.settings.docs_dir, {"a.txt": "el pingüino"})
    list(collection.library.sync())
    background.start()
    wait_until(lambda: not background.busy)
    wait_until(lambda: bool(collection.search("pingüino")))


def test_a_removed_document_is_soon_unfindable(collection: Collection, background: BackgroundIndexing) -> None:
    write_files(collection.settings.docs_dir, {"a.txt": "el pingüino", "b.txt": "la foca"})
    background.start()
    background.sync_folder()
    wait_until(lambda: len(collection.search("pingüino")) == 2)
    collection.library.remove("a.txt")
    assert [hit.source for hit in collection.search("pingüino")] == ["b.txt"]
    background.wake()
    wait_until(lambda: len(collection.searcher._vectors) == 1)


def test_a_folder_that_lost_most_waits_for_the_user(collection: Collection, background: BackgroundIndexing) -> None:
    write_files(collection.settings.docs_dir, {"a.txt": "uno", "b.txt": "dos"})
    background.start()
    background.sync_folder()
    wait_until(lambda: len(collection.search("uno")) == 2)
    for path in collection.settings.docs_dir.iterdir():
        path.unlink()
    background.sync_folder()
    wait_until(lambda: background.missing == ("a.txt", "b.txt"))
    assert len(collection.search("uno")) == 2


def test_an_embedder_that_cannot_be_loaded_is_told_and_the_documents_stay_queued(settings: Settings) -> None:
    write_files(settings.docs_dir, {"a.txt": "uno"})
    with Collection(replace(settings, embedding_model="nobody/has-this-model")) as collection:
        background = BackgroundIndexing(collection)
        background.start()
        background.sync_folder()
        wait_until(lambda: background.error is not None)
        assert background.error is not None
        assert background.error.code == "embedder_failed"
        wait_until(lambda: collection.store.pending() == ["a.txt"])
        background.close()


def test_closing_ends_the_work_at_once_and_fails_no_document(
    collection: Collection, background: BackgroundIndexing
) -> None:
    collection.settings.docs_dir.mkdir(parents=True)
    write_slow_pdf(collection.settings.docs_dir / "slow.pdf", 3_000_000)
    background.start()
    background.sync_folder()
    wait_until(lambda: any(document.state == "parsing" for document in collection.store.documents()))
    started = time.monotonic()
    background.close()
    assert time.monotonic() - started < 4
    assert not any(thread.is_alive() for thread in background._threads)
    assert collection.store.pending() == ["slow.pdf"]


def test_closing_what_was_never_started_is_no_error(background: BackgroundIndexing) -> None:
    background.close()
