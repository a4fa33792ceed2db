"""Indexing behind the page: it goes on by itself, says what is wrong, and ends when it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from core.documents.background import BackgroundIndexing
from core.documents.collection import Collection
from core.errors import AppError, DocumentError
from core.settings import Settings
from tests.core.documents.conftest import write_files, write_slow_pdf
from tests.core.documents.shelf import without_model


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "did not happen in time"
        time.sleep(0.02)


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


# The folder is watched.


def test_a_file_put_into_the_folder_is_indexed_and_one_taken_out_forgotten_unasked(
    collection: Collection, background: BackgroundIndexing
) -> None:
    write_files(collection.settings.docs_dir, {"a.txt": "uno", "b.txt": "dos"})
    background.start()
    background.sync_folder()
    wait_until(lambda: len(collection.search("uno")) == 2)
    write_files(collection.settings.docs_dir, {"sub/c.txt": "el pingüino"})
    wait_until(lambda: len(collection.search("pingüino")) == 3)
    (collection.settings.docs_dir / "a.txt").unlink()
    wait_until(lambda: [document.source for document in collection.store.documents()] == ["b.txt", "sub/c.txt"])


def test_the_folder_is_left_alone_until_it_is_asked_for(
    collection: Collection, background: BackgroundIndexing
) -> None:
    """At the first start the guide goes in before the folder is compared."""
    write_files(collection.settings.docs_dir, {"a.txt": "uno"})
    background.start()
    wait_until(background.ready.is_set)
    time.sleep(0.3)
    assert collection.store.documents() == []


def test_a_question_about_missing_files_goes_away_when_they_are_back(
    collection: Collection, background: BackgroundIndexing
) -> None:
    write_files(collection.settings.docs_dir, {"a.txt": "uno", "b.txt": "dos"})
    background.start()
    background.sync_folder()
    wait_until(lambda: len(collection.search("uno")) == 2)
    away = collection.settings.docs_dir.rename(collection.settings.docs_dir.with_name("away"))
    wait_until(lambda: background.missing == ("a.txt", "b.txt"))
    away.rename(collection.settings.docs_dir)
    wait_until(lambda: background.missing == ())


# What is ready, and what is wrong.


def test_it_is_warm_when_the_folder_was_compared_and_a_first_document_can_be_found(
    collection: Collection, background: BackgroundIndexing
) -> None:
    background.start()
    wait_until(background.ready.is_set)
    time.sleep(0.2)
    assert not background.warm.is_set()
    write_files(collection.settings.docs_dir, {"a.txt": "el pingüino"})
    background.sync_folder()
    assert background.warm.wait(20)
    assert collection.search("pingüino")


def test_an_empty_folder_is_soon_warm(background: BackgroundIndexing) -> None:
    background.start()
    background.sync_folder()
    assert background.warm.wait(20)


@pytest.mark.parametrize(("raised", "code"), [(DocumentError("disk_full"), "disk_full"),
                                              (ZeroDivisionError(), "unexpected")])
def test_a_search_that_cannot_start_says_so_instead_of_letting_questions_wait(
    collection: Collection, background: BackgroundIndexing, monkeypatch: pytest.MonkeyPatch, raised: Exception,
    code: str,
) -> None:
    def fail() -> None:
        raise raised

    monkeypatch.setattr(collection.searcher, "sync", fail)
    background.start()
    with pytest.raises(AppError) as caught:
        background.wait_until_ready()
    assert caught.value.code == code
    assert background.error is not None and background.error.code == code
    assert not background.ready.is_set()


def test_cancelling_all_ends_the_work_soon_and_for_good(
    collection: Collection, background: BackgroundIndexing
) -> None:
    collection.settings.docs_dir.mkdir(parents=True)
    write_slow_pdf(collection.settings.docs_dir / "slow.pdf", 3_000_000)
    write_files(collection.settings.docs_dir, {"z.txt": "zeta"})
    background.start()
    background.sync_folder()
    wait_until(lambda: any(document.state == "parsing" for document in collection.store.documents()))
    assert collection.library.cancel() == 2
    background.wake()
    write_files(collection.settings.docs_dir, {"new.txt": "nuevo"})
    wait_until(lambda: bool(collection.search("nuevo")), seconds=8)  # reading the slow one would take longer
    states = {document.source: document.state for document in collection.store.documents()}
    assert states == {"new.txt": "indexed", "slow.pdf": "cancelled", "z.txt": "cancelled"}


def test_a_document_that_changed_while_it_was_read_is_taken_up_again_unasked(
    collection: Collection, background: BackgroundIndexing
) -> None:
    write_files(collection.settings.docs_dir, {"a.txt": "viejo"})
    list(collection.library.sync())
    write_files(collection.settings.docs_dir, {"a.txt": "nuevo y largo"})
    background.start()
    wait_until(lambda: [hit.text for hit in collection.search("nuevo")] == ["nuevo y largo"])
