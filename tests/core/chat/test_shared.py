"""A shared library shows what is allowed at the moment, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.chat.shared import SharedLibrary
from core.documents.search import Hit
from core.documents.store import Vectors

NAMES = ["a.txt", "b.txt", "c.txt"]


class Books:
    """A library of three documents with a passage each; without names a search is one of all."""

    def search(self, question: str, top_k: int, sources: Sequence[str] = ()) -> list[Hit]:
        hits = [Hit(rank, rank, name, "00", 1, 0, 4, 1.0, "text") for rank, name in enumerate(sources or NAMES, 1)]
        return hits[:top_k]

    def sources(self) -> list[str]:
        return NAMES

    def whole(self, source: str, limit: int) -> list[Hit] | None:
        return self.search("", 1, [source])

    def spread(self, source: str, limit: int) -> list[Hit]:
        return self.search("", 1, [source])

    def languages(self, sources: Sequence[str] = ()) -> Mapping[str, int]:
        return {"es": len(sources or NAMES)}

    def embed(self, texts: list[str]) -> Vectors:
        return np.zeros((len(texts), 2), np.float32)


def found(library: SharedLibrary, *sources: str) -> list[str]:
    return [hit.source for hit in library.search("?", 5, sources)]


def test_what_is_not_allowed_is_neither_found_nor_named_nor_read() -> None:
    library = SharedLibrary(Books(), lambda source: source != "b.txt")
    assert found(library) == library.sources() == ["a.txt", "c.txt"]
    assert found(library, "b.txt") == [] and found(library, "b.txt", "c.txt") == ["c.txt"]
    assert library.whole("b.txt", 9) is None and library.spread("b.txt", 9) == []
    assert library.languages() == {"es": 2} and library.languages(["b.txt"]) == {}
    assert library.whole("a.txt", 9) and library.spread("a.txt", 9)


def test_where_nothing_is_allowed_nothing_is_found() -> None:
    library = SharedLibrary(Books(), lambda source: False)
    assert (found(library), library.sources(), dict(library.languages())) == ([], [], {})


def test_a_document_forbidden_later_is_gone_at_once() -> None:
    forbidden: set[str] = set()
    library = SharedLibrary(Books(), lambda source: source not in forbidden)
    assert found(library) == NAMES
    forbidden.add("a.txt")
    assert found(library) == ["b.txt", "c.txt"]
