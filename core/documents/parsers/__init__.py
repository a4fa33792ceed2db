"""A file becomes the texts of its pages. Runs in a child process: a reader may crash, hang or eat memory.

Adding a format is one function in a module here, one line in `READERS` and its test. Knows nothing of limits on
time, memory and the whole file (see `parsing`) and nothing of what becomes of the text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from core.documents.parsers.csv import read_csv
from core.documents.parsers.docx import read_docx
from core.documents.parsers.html import read_html
from core.documents.parsers.pages import clean_text
from core.documents.parsers.pdf import count_pdf_pages, read_pdf, read_pdf_again
from core.documents.parsers.plain import read_text
from core.errors import DocumentError

__all__ = ["READERS", "SUFFIXES", "clean_text", "count_pages", "read_pages"]

PageReader = Callable[..., Iterator[str]]

READERS: dict[str, tuple[PageReader, ...]] = {
    ".pdf": (read_pdf, read_pdf_again),
    ".docx": (read_docx,),
    ".html": (read_html,),
    ".htm": (read_html,),
    ".csv": (read_csv,),
    ".tsv": (read_csv,),
    ".txt": (read_text,),
    ".md": (read_text,),
}
SUFFIXES = tuple(READERS)
# Formats that tell how many pages they have before these are read.
_COUNTERS: dict[str, Callable[..., int]] = {".pdf": count_pdf_pages}
# Their readers take a `password`; the other formats are read without.
_WITH_PASSWORD = frozenset({".pdf"})
# Another reader would say no more about these.
_FINAL = frozenset({"pdf_encrypted", "pdf_wrong_password", "too_much_text"})


def read_pages(path: Path, attempt: int = 0, password: str | None = None) -> Iterator[str]:
    """The page texts of a file, by its type's reader number `attempt`, or by a later one where that fails
    before the first page. Raises DocumentError, `unsupported_type` for a type without a reader."""
    suffix = path.suffix.lower()
    readers = READERS.get(suffix)
    if readers is None:
        raise DocumentError("unsupported_type", suffixes=", ".join(SUFFIXES))
    options = {"password": password} if suffix in _WITH_PASSWORD else {}
    for reader in readers[attempt:-1]:
        started = False
        try:
            for text in reader(path, **options):
                started = True
                yield text
            return
        except DocumentError as error:
            if started or error.code in _FINAL:
                raise
    yield from readers[-1](path, **options)


def count_pages(path: Path, password: str | None = None) -> int | None:
    """How many pages will be read, where the format tells before; None otherwise, and for a file that cannot be opened:
    reading it will say why."""
    suffix = path.suffix.lower()
    if suffix in _COUNTERS:
        with contextlib.suppress(DocumentError):
            return _COUNTERS[suffix](path, **({"password": password} if suffix in _WITH_PASSWORD else {}))
    return None
