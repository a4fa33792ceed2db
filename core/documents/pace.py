"""How fast passages are embedded, and how long the rest will take, measured from what happened in the last seconds."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence

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

    A document that is not read yet is taken to have as many passages a byte as the others: those of its type where
    there are any, for a PDF holds far less text a byte than a text file.
    """
    densities = _densities(documents)
    left = 0.0
    for document in documents:
        if document.state in WORKING:
            expected = _expected(document, densities)
            if expected is None:
                return None
            left += max(0.0, expected - (document.done if document.state == "embedding" else 0))
    return round(left)


def _expected(document: StoredDocument, densities: dict[str, float]) -> float | None:
    """About how many passages a document at work will have."""
    if document.state == "embedding" and document.total:
        return document.total
    density = densities.get(_kind(document)) or densities.get("")
    return None if density is None else density * document.size_bytes


def _densities(documents: Sequence[StoredDocument]) -> dict[str, float]:
    """Passages a byte by type, and of all types under the empty name."""
    chunks: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for document in documents:
        if document.chunks:
            for kind in (_kind(document), ""):
                chunks[kind] += document.chunks
                sizes[kind] += document.size_bytes
    return {kind: chunks[kind] / size for kind, size in sizes.items() if size}


def _kind(document: StoredDocument) -> str:
    return document.source.rpartition(".")[2].lower()
