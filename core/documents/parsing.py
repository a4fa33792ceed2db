"""The page texts of a file, read in a child process. Knows nothing of formats (see `parsers`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from core.documents.parsers import READERS
from core.documents.reader_child import ReaderChild
from core.errors import DocumentError
from core.settings import Settings

# Text of one file: hundreds of thick books. More is a bomb, not a document.
_MAX_FILE_CHARS = 200_000_000


class Parser:
    """Reads one file at a time."""

    def __init__(self, settings: Settings) -> None:
        self._child = ReaderChild(settings)

    def pages(self, path: Path, wanted: Callable[[], bool] | None = None) -> Iterator[str]:
        """The page texts of a file, as they are read, while they are `wanted`.

        Raises DocumentError: what `parsers` raises, `too_much_text`, and what `ReaderChild.ask` raises. A reader
        that crashes before its first page gives way to the format's next reader.
        """
        attempts = len(READERS.get(path.suffix.lower(), ())) or 1
        for attempt in range(attempts):
            chars = 0
            try:
                for answer in self._child.ask({"path": str(path.resolve()), "attempt": attempt}, wanted):
                    chars += len(answer["page"])
                    if chars > _MAX_FILE_CHARS:
                        raise DocumentError("too_much_text")
                    yield answer["page"]
                return
            except DocumentError as error:
                if error.code != "parser_crashed" or chars or attempt + 1 == attempts:
                    raise

    def close(self) -> None:
        self._child.close()
