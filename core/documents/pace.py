"""How fast passages are embedded, and how long the rest will take, measured from what happened in the last seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression, mean

from core.documents.events import DocumentEvent, Embedding, Indexed
from core.documents.records import WORKING, StoredDocument

_WINDOW_SECONDS = 15.0
_LEAST_SECONDS = 1.0  # of measuring, before a figure is worth telling


class Pace:
    """Fed with every event, in order, by one thread; may be read by others."""

    def __init__(self) -> None:
        self._done: dict[str, int] = {}  # passages of the documents at work
        self._steps: deque[tuple[float, int]] = deque()  # when, and how many passages had been embedded since before

    def note(self, event: DocumentEvent) -> None:
        if isinstance(event, Embedding):
            self._step(event.done - self._done.get(event.source, 0))
            self._done[event.source] = event.done
        elif isinstance(event, Indexed) and event.source in self._done:
            self._step(event.chunks - self._done.pop(event.source))

    def _step(self, passages: int) -> None:
        now = time.monotonic()
        self._steps.append((now, max(0, passages)))
        while self._steps and self._steps[0][0] < now - _WINDOW_SECONDS:
            self._steps.popleft()

    @property
    def passages_per_second(self) -> float | None:
        """Over the last seconds, reading included; None when too little happened to tell."""
        steps = [step for step in tuple(self._steps) if step[0] > time.monotonic() - _WINDOW_SECONDS]
        if not steps or time.monotonic() - steps[0][0] < _LEAST_SECONDS:
            return None
        passages = sum(count for _, count in steps[1:])  # the first tells of a time before the window
        return passages / (time.monotonic() - steps[0][0]) or None


def passages_left(documents: Sequence[StoredDocument]) -> int | None:
    """About how many passages are still to be embedded; None when nothing tells.

    A document that was never read is judged by its size and by those of its type where there are any, for a PDF holds
    far less text a byte than a text file.
    """
    lines = _lines(documents)
    left = 0.0
    for document in documents:
        if document.state in WORKING:
            expected = _expected(document, lines)
            if expected is None:
                return None
            left += max(0.0, expected - (document.done if document.state == "embedding" else 0))
    return round(left)


def _expected(document: StoredDocument, lines: dict[str, _Line]) -> float | None:
    """About how many passages a document at work will have."""
    if document.state == "embedding" and document.total:
        return document.total
    if document.chunks:  # those it shows meanwhile
        return document.chunks
    line = lines.get(_kind(document)) or lines.get("")
    return line.at(document.size_bytes) if line is not None else None


@dataclass(frozen=True)
class _Line:
    """Passages by size. Each document brings some however small it is: the smallest are read first, and by their
    passages a byte alone the large ones would seem to hold many times what they do."""

    per_document: float
    per_byte: float

    def at(self, size_bytes: int) -> float:
        return self.per_document + self.per_byte * size_bytes


def _lines(documents: Sequence[StoredDocument]) -> dict[str, _Line]:
    """What the documents that were read tell, by type, and of all types under the empty name."""
    read: dict[str, list[StoredDocument]] = {}
    for document in documents:
        if document.chunks or document.state == "no_text":
            for kind in (_kind(document), ""):
                read.setdefault(kind, []).append(document)
    return {kind: _fit(of_kind) for kind, of_kind in read.items()}


def _fit(documents: Sequence[StoredDocument]) -> _Line:
    """The line nearest to these documents, by least squares, without a falling or a negative part."""
    sizes = [document.size_bytes for document in documents]
    chunks = [document.chunks for document in documents]
    if len(set(sizes)) > 1:
        per_byte, per_document = linear_regression(sizes, chunks)
        if per_byte < 0:
            return _Line(mean(chunks), 0.0)
        if per_document > 0:
            return _Line(per_document, per_byte)
    return _Line(0.0, sum(chunks) / max(1, sum(sizes)))


def _kind(document: StoredDocument) -> str:
    return document.source.rpartition(".")[2].lower()
