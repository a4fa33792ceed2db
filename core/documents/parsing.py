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
    """Reads one file at a time."""

    def __init__(self, settings: Settings) -> None:
        self._child = ReaderChild(settings)

    def pages(self, path: Path, wanted: Callable[[], bool] | None = None, password: str | None = None,
              ) -> Iterator[str]:
        """The page texts of a file, as they are read, while they are `wanted`.

        Raises DocumentError: what `parsers` raises, `too_much_text`, `too_many_pages`, and what `ReaderChild.ask`
        raises. A reader that crashes before its first page gives way to the format's next reader.
        """
        attempts = len(READERS.get(path.suffix.lower(), ())) or 1
        for attempt in range(attempts):
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
        chars = 0
        for number, answer in enumerate(self._child.ask(request, wanted), start=1):
            chars += len(answer["page"])
            if chars > MAX_FILE_CHARS:
                raise DocumentError("too_much_text")
            if number > MAX_PAGES:
                raise DocumentError("too_many_pages", pages=MAX_PAGES)
            yield answer["page"]

    def close(self) -> None:
        self._child.close()
