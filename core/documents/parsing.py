"""The page texts of a file, read in a child process. Knows nothing of formats (see `parsers`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from core.documents.parsers import READERS
from core.documents.parsers.pages import MAX_FILE_CHARS, MAX_PAGES
from core.documents.reader_child import ReaderChild
from core.errors import DocumentError
from core.settings import Settings


class Parser:
    """Reads one file at a time. `expected_pages`: how many it will have, once its first page came; None where only
    the end will tell."""

    def __init__(self, settings: Settings) -> None:
        self._child = ReaderChild(settings, niceness=5)  # the page goes first, and whoever looks at it
        self.expected_pages: int | None = None

    def pages(self, path: Path, wanted: Callable[[], bool] | None = None, password: str | None = None,
              ) -> Iterator[str]:
        """The page texts of a file, as they are read, while they are `wanted`.

        Raises DocumentError: what `parsers` raises, `too_much_text`, `too_many_pages`, and what `ReaderChild.ask`
        raises. A reader that crashes before its first page gives way to the format's next reader.
        """
        attempts = len(READERS.get(path.suffix.lower(), ())) or 1
        for attempt in range(attempts):
            self.expected_pages = None
            request: dict[str, object] = {"path": str(path.resolve()), "attempt": attempt, "password": password}
            pages = 0
            try:
                for text in self._bounded(request, wanted):
                    pages += 1
                    yield text
                return
            except DocumentError as error:
                if error.code != "parser_crashed" or pages or attempt + 1 == attempts:
                    raise

    def _bounded(self, request: dict[str, object], wanted: Callable[[], bool] | None) -> Iterator[str]:
        """The child's pages, as far as they are a document's and no bomb's."""
        chars = pages = 0
        for answer in self._child.ask(request, wanted):
            if "pages" in answer:
                self.expected_pages = answer["pages"]
                continue
            chars += len(answer["page"])
            pages += 1
            if chars > MAX_FILE_CHARS:
                raise DocumentError("too_much_text")
            if pages > MAX_PAGES:
                raise DocumentError("too_many_pages", pages=MAX_PAGES)
            yield answer["page"]

    def close(self) -> None:
        self._child.close()
