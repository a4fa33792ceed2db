"""The queue is worked through: cancelled, tried again, broken off, and told how far it has come."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence

from core.documents.embeddings import Embedded
from core.documents.events import Embedding, Failed, Indexed, Parsing, Skipped
from tests.core.documents.conftest import write_files, write_pdf, write_slow_pdf
from tests.core.documents.shelf import CountingEmbedder, Shelf


def test_a_cancelled_document_stays_cancelled_until_it_is_retried(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno", "b.txt": "dos"})
    shelf.run()
    write_files(shelf.docs, {"a.txt": "uno y más"})
    list(shelf.library.sync())
    assert shelf.library.cancel("a.txt") == 1
    assert shelf.library.cancel("b.txt") == 0
    again = Shelf(shelf.settings)
    assert again.outcomes() == {"a.txt": Skipped, "b.txt": Skipped}
    assert again.states() == {"a.txt": "cancelled", "b.txt": "indexed"}
    assert [passage.text for passage in again.store.passages("a.txt", 0, 9)] == ["uno"]  # what it showed before
    assert again.library.reindex("a.txt")
    assert [type(event) for event in again.library.index_pending()][-1] is Indexed
    assert [passage.text for passage in again.store.passages("a.txt", 0, 9)] == ["uno y más"]
    again.indexer.close()


def test_a_document_that_is_cancelled_while_it_is_read_is_let_go_within_a_second(shelf: Shelf) -> None:
    shelf.docs.mkdir(parents=True)
    write_slow_pdf(shelf.docs / "slow.pdf", 3_000_000)
    list(shelf.library.sync())
    events = shelf.library.index_pending()
    next(events)
    timer = threading.Timer(0.3, shelf.library.cancel)
    timer.start()
    started = time.monotonic()
    assert list(events) == []
    assert time.monotonic() - started < 2
    assert shelf.states() == {"slow.pdf": "cancelled"}


def test_a_document_that_is_cancelled_while_it_is_embedded_is_let_go(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "\n\n".join(f"párrafo {number} " + "x " * 400 for number in range(100))})
    list(shelf.library.sync())
    events = shelf.library.index_pending()
    while not isinstance(next(events), Embedding):
        pass
    shelf.library.cancel()
    assert list(events) == []
    assert shelf.embedder.texts < 50
    assert shelf.states() == {"a.txt": "cancelled"}


def test_a_ready_document_can_be_read_and_embedded_anew(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno"})
    shelf.run()
    embedded = shelf.embedder.texts
    assert shelf.library.reindex("a.txt")
    assert not shelf.library.reindex("a.txt")  # it is being worked on
    assert not shelf.library.reindex("nowhere.txt")
    assert [type(event) for event in shelf.library.index_pending()][-1] is Indexed
    assert shelf.embedder.texts == 2 * embedded


def test_retrying_a_failed_document_takes_the_file_as_it_is_now(shelf: Shelf) -> None:
    write_files(shelf.docs, {"bad.pdf": "no pdf"})
    shelf.run()
    write_pdf(shelf.docs / "bad.pdf", ["Ahora sí."])
    assert shelf.library.reindex("bad.pdf")
    assert [type(event) for event in shelf.library.index_pending()][-1] is Indexed


def test_a_bug_that_one_document_brings_to_light_fails_that_one_alone(shelf: Shelf) -> None:
    class Fragile(CountingEmbedder):
        def embed_windows(self, texts: Sequence[str], *, urgent: bool = False) -> Embedded:
            if "uno" in texts:
                raise ZeroDivisionError
            return super().embed_windows(texts, urgent=urgent)

    write_files(shelf.docs, {"a.txt": "uno", "b.txt": "dos"})
    fragile = Shelf(shelf.settings, Fragile(shelf.settings))
    assert fragile.outcomes() == {"a.txt": Failed, "b.txt": Indexed}
    assert fragile.states() == {"a.txt": "failed", "b.txt": "indexed"}
    fragile.indexer.close()


def test_passages_of_a_document_come_in_its_order_a_page_at_a_time(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "a.pdf", [f"Página {number}" for number in range(1, 8)])
    shelf.run()
    assert [passage.page for passage in shelf.store.passages("a.pdf", 2, 3)] == [3, 4, 5]
    assert [passage.text for passage in shelf.store.passages("a.pdf", 6, 3)] == ["Página 7"]
    assert shelf.store.passages("nowhere.pdf", 0, 3) == []


def test_a_run_that_breaks_off_goes_on_where_it_was(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno", "b.txt": "dos"})
    events = shelf.library.run()
    while not isinstance(next(events), Indexed):
        pass
    events.close()  # type: ignore[attr-defined]
    assert shelf.states() == {"a.txt": "indexed", "b.txt": "queued"}
    again = Shelf(shelf.settings)
    assert again.outcomes() == {"a.txt": Skipped, "b.txt": Indexed}
    again.indexer.close()


def test_a_file_replaced_while_it_is_read_is_indexed_as_it_is_now(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "viejo"})
    list(shelf.library.sync())
    events = shelf.indexer.index("a.txt")
    next(events)  # it is being read
    write_files(shelf.docs, {"a.txt": "nuevo"})
    os.utime(shelf.docs / "a.txt", (5, 5))
    assert not any(isinstance(event, Indexed) for event in events)
    assert shelf.states() == {"a.txt": "queued"}
    list(shelf.library.index_pending())
    (document,) = shelf.store.documents()
    assert document.sha256 is not None
    assert shelf.store.page_text(document.sha256, 1) == "nuevo"


def test_closing_while_a_file_is_read_leaves_it_queued(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "uno"})
    list(shelf.library.sync())
    events = shelf.indexer.index("a.txt")
    next(events)
    shelf.indexer.close()
    assert list(events) == []
    assert shelf.store.pending() == ["a.txt"]


# How far the work has come.


def progress(shelf: Shelf) -> list[Embedding]:
    return [event for event in shelf.library.run() if isinstance(event, Embedding)]


def test_the_total_of_a_long_pdf_is_judged_by_its_pages_until_it_is_read(shelf: Shelf) -> None:
    page = "\n".join(["El faro mide sesenta y nueve metros y se ve desde muy lejos en noches claras."] * 30)
    write_pdf(shelf.docs / "long.pdf", [page] * 150)
    events = progress(shelf)
    exact = events[-1].total
    estimates = [event for event in events if event.about]
    assert estimates and not events[-1].about
    assert {event.total for event in estimates} == {exact}  # its pages are all alike
    assert [event.done for event in events] == sorted(event.done for event in events)
    assert shelf.store.documents()[0].chunks == exact


def test_pages_are_counted_before_they_are_read(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "scan.pdf", [""] * 45)
    read = [(event.pages, event.total) for event in shelf.library.run() if isinstance(event, Parsing)]
    assert {(20, 45), (40, 45)} <= set(read)


def test_no_total_is_promised_of_a_file_whose_end_nobody_knows(shelf: Shelf) -> None:
    rows = "".join(f"{number},{'palabra ' * 20}\n" for number in range(3000))
    write_files(shelf.docs, {"table.csv": f"número,texto\n{rows}", "long.md": "palabra " * 30_000})
    events = progress(shelf)
    table = [event for event in events if event.source == "table.csv"]
    assert table[0].total == 0 and table[0].about
    assert table[-1].total == shelf.store.documents()[1].chunks and not table[-1].about
    one_page = {(event.total, event.about) for event in events if event.source == "long.md"}
    assert one_page == {(shelf.store.documents()[0].chunks, False)}


def test_the_table_sees_the_same_progress_as_the_terminal(shelf: Shelf) -> None:
    page = "\n".join(["El faro mide sesenta y nueve metros y se ve desde muy lejos en noches claras."] * 30)
    write_pdf(shelf.docs / "long.pdf", [page] * 150)
    for event in shelf.library.run():
        if isinstance(event, Embedding):
            document = shelf.store.documents()[0]
            assert (document.state, document.done, document.total, document.about) == (
                "embedding", event.done, event.total, event.about)


def test_small_files_come_before_large_ones(shelf: Shelf) -> None:
    write_files(shelf.docs, {"a.txt": "palabra " * 3000, "b.txt": "una foca", "c.txt": "foca"})
    assert [event.source for event in shelf.run() if isinstance(event, Indexed)] == ["c.txt", "b.txt", "a.txt"]
