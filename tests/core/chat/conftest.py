"""Hits without an index."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.documents.search import Hit

MakeHits = Callable[..., list[Hit]]


@pytest.fixture
def make_hits() -> MakeHits:
    """Hits of these texts, ranked from 1."""
    def make(*texts: str) -> list[Hit]:
        return [Hit(rank, rank, f"doc{rank}.txt", "hash", 1, 0, len(text), 0.5, text)
                for rank, text in enumerate(texts, start=1)]

    return make
