"""The place a hit comes from, to be shown: a page's picture, or the text around it. Knows nothing of HTML."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from core.documents.reader_child import ReaderChild
from core.documents.search import Hit
from core.documents.store import Store
from core.errors import DocumentError
from core.settings import Settings

_CONTEXT_CHARS = 1500  # shown before and after the passage of a text file


@dataclass(frozen=True)
class PagePicture:
    data_uri: str


@dataclass(frozen=True)
class TextExcerpt:
    """The passage between what stands around it."""

    before: str
    passage: str
    after: str


class Previewer:
    """Shows where hits come from; opens documents in a child of its own, so that it never waits for indexing."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._child = ReaderChild(settings)
        self._lock = threading.Lock()

    def show(self, hit: Hit) -> PagePicture | TextExcerpt:
        """A picture for a PDF that can be drawn, the text otherwise."""
        if hit.source.lower().endswith(".pdf"):
            try:
                return self._picture(hit)
            except DocumentError:
                pass  # drawn by no reader, or the file is gone: its text is still in the store
        text = self._store.page_text(hit.sha256, hit.page) or hit.text
        return TextExcerpt(text[max(0, hit.start - _CONTEXT_CHARS) : hit.start], text[hit.start : hit.end],
                           text[hit.end : hit.end + _CONTEXT_CHARS])

    def close(self) -> None:
        self._child.close()

    def _picture(self, hit: Hit) -> PagePicture:
        path = (self._settings.docs_dir / hit.source).resolve()
        request: dict[str, object] = {"path": str(path), "render": hit.page, "start": hit.start, "end": hit.end}
        with self._lock:
            (answer,) = list(self._child.ask(request))
        return PagePicture(answer["picture"])
