"""Speed is measured from what happened in the last seconds, and what is left is judged by what is known."""

from __future__ import annotations

from typing import Any

import pytest

from core.documents import pace as module
from core.documents.events import Embedding, Indexed, Parsing
from core.documents.pace import Pace, passages_left
from core.documents.store import State, StoredDocument


class Clock:
    """Time that a test moves on; the module asks it instead of the system."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def document(source: str, state: State, size_bytes: int = 1000, **values: Any) -> StoredDocument:
    fields: dict[str, Any] = {"sha256": "s", "file_sha256": "s", "modified_ns": 1, "reason": None, "done": 0,
                              "total": 0, "pages": 1, "chunks": 0}
    return StoredDocument(source=source, state=state, size_bytes=size_bytes, **{**fields, **values})


def test_the_pace_counts_passages_over_documents(clock: Clock) -> None:
    pace = Pace()
    assert pace.passages_per_second is None
    for event in (Parsing("a", 0), Embedding("a", 0, 32), Embedding("a", 16, 32), Indexed("a", 1, 32),
                  Embedding("b", 0, 16), Indexed("b", 1, 16)):
        pace.note(event)
        clock.now += 1
    assert pace.passages_per_second == pytest.approx(48 / 5)


def test_what_is_long_ago_does_not_count(clock: Clock) -> None:
    pace = Pace()
    for done in (0, 1000):
        pace.note(Embedding("a", done, 9000))
        clock.now += 1
    clock.now += 60
    assert pace.passages_per_second is None
    for done in (1000, 1010, 1020):
        pace.note(Embedding("a", done, 9000))
        clock.now += 1
    assert pace.passages_per_second == pytest.approx(20 / 3)


def test_a_content_that_was_known_already_was_not_embedded(clock: Clock) -> None:
    pace = Pace()
    pace.note(Embedding("a", 0, 10))
    clock.now += 2
    pace.note(Indexed("twin", 1, 5000))
    assert pace.passages_per_second is None


def test_what_is_left_is_judged_by_documents_of_the_same_type() -> None:
    ready = [document("a.txt", "indexed", 1000, chunks=10), document("b.pdf", "indexed", 100_000, chunks=10)]
    assert passages_left(ready) == 0
    assert passages_left([*ready, document("c.txt", "queued", 2000)]) == 20
    assert passages_left([*ready, document("c.PDF", "parsing", 200_000)]) == 20
    assert passages_left([*ready, document("c.txt", "embedding", 9, done=16, total=64)]) == 48
    assert passages_left([*ready, document("c.md", "queued", 2000)]) == 10


def test_large_documents_are_not_judged_by_small_ones_alone() -> None:
    """Every PDF here has a passage, and one more for each 100 kB; by passages a byte there would be 800 left."""
    ready = [document(f"{kilobytes}.pdf", "indexed", 1000 * kilobytes, chunks=1 + kilobytes // 100)
             for kilobytes in (1, 2, 100)]
    assert passages_left([*ready, document("large.pdf", "queued", 1_000_000)]) == 11


def test_documents_without_text_count_as_read() -> None:
    ready = [document("a.pdf", "indexed", 1000, chunks=4), document("scan.pdf", "no_text", 1000)]
    assert passages_left([*ready, document("b.pdf", "queued", 1000)]) == 2


def test_a_document_that_is_read_again_is_judged_by_itself() -> None:
    assert passages_left([document("a.pdf", "queued", 1000, chunks=7)]) == 7


def test_nothing_is_promised_where_nothing_is_known() -> None:
    assert passages_left([document("a.txt", "queued")]) is None
    assert passages_left([document("a.txt", "embedding", done=0, total=5)]) == 5


def test_what_is_left_of_a_thousand_documents_is_told_at_once() -> None:
    documents = [document(f"{number}.txt", "queued" if number else "indexed", chunks=1) for number in range(5000)]
    assert passages_left(documents) == 4999


def test_what_is_left_of_a_document_without_a_total_is_judged_by_its_size() -> None:
    ready = [document("a.csv", "indexed", 1000, chunks=10)]
    assert passages_left([*ready, document("b.csv", "embedding", 9000, done=20)]) == 70
    assert passages_left([*ready, document("b.csv", "embedding", 1000, done=20)]) == 0
    assert passages_left([document("b.csv", "embedding", 1000, done=20)]) is None
