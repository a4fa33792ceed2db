"""A library of which some documents may not be seen. Knows nothing of who looks, nor of why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from core.chat.library import Library
from core.documents.search import Hit
from core.documents.store import Vectors


class SharedLibrary:
    """A Library over another one that shows the documents that `allowed` names, asked anew each time, and no other:
    neither their passages nor their names, nor that there are any."""

    def __init__(self, whole_library: Library, allowed: Callable[[str], bool]) -> None:
        self._library, self._allowed = whole_library, allowed

    def search(self, question: str, top_k: int, sources: Sequence[str] = ()) -> list[Hit]:
        names = self._among(sources)
        return self._library.search(question, top_k, names) if names else []

    def sources(self) -> list[str]:
        return [source for source in self._library.sources() if self._allowed(source)]

    def whole(self, source: str, limit: int) -> list[Hit] | None:
        return self._library.whole(source, limit) if self._allowed(source) else None

    def spread(self, source: str, limit: int) -> list[Hit]:
        return self._library.spread(source, limit) if self._allowed(source) else []

    def languages(self, sources: Sequence[str] = ()) -> Mapping[str, int]:
        names = self._among(sources)
        return self._library.languages(names) if names else {}

    def embed(self, texts: list[str]) -> Vectors:
        return self._library.embed(texts)

    def _among(self, sources: Sequence[str]) -> list[str]:
        # Never empty where something is asked for: to the library that would mean all.
        return [source for source in sources or self._library.sources() if self._allowed(source)]
