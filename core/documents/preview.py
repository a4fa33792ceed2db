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
    """`top`: where the passage begins, as a part of the page's height, 0 to 1."""

    data_uri: str
    top: float = 0.0


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

    def show(self, hit: Hit, page: int | None = None) -> PagePicture | TextExcerpt:
        """The hit's page, or another one of its document, without a passage then: a picture for a PDF that can be
        drawn, the text otherwise."""
        page = hit.page if page is None else page
        if hit.source.lower().endswith(".pdf"):
            try:
                return self._picture(hit, page)
            except DocumentError:
                pass  # drawn by no reader, or the file is gone: its text is still in the store
        if page != hit.page:
            return TextExcerpt(self._store.page_text(hit.sha256, page) or "", "", "")
        text = self._store.page_text(hit.sha256, hit.page) or hit.text
        return TextExcerpt(text[max(0, hit.start - _CONTEXT_CHARS) : hit.start], text[hit.start : hit.end],
                           text[hit.end : hit.end + _CONTEXT_CHARS])

    def pages(self, hit: Hit) -> int:
        """How many pages the hit's document has; as many as are known to be there when it is gone or has changed."""
        document = self._store.document(hit.source)
        return document.pages if document is not None and document.sha256 == hit.sha256 else hit.page

    def close(self) -> None:
        self._child.close()

    def _picture(self, hit: Hit, page: int) -> PagePicture:
        path = (self._settings.docs_dir / hit.source).resolve()
        start, end = (hit.start, hit.end) if page == hit.page else (0, 0)
        request: dict[str, object] = {"path": str(path), "render": page, "start": start, "end": end}
        with self._lock:
            (answer,) = list(self._child.ask(request))
        return PagePicture(answer["picture"], answer["top"])
