"""PDFs, by two readers: what one refuses, the other may read. Both take a password, and keep it nowhere."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from core.documents.parsers.pages import MAX_PAGE_CHARS, clean_text
from core.errors import DocumentError

if TYPE_CHECKING:
    import pypdfium2 as pdfium


def read_pdf(path: Path, password: str | None = None) -> Iterator[str]:
    """Pages of a PDF by pdfium, the faster and more forgiving reader.

    Raises DocumentError: `pdf_encrypted` without a password that it needs, `pdf_wrong_password`, `pdf_broken` when
    pdfium cannot open the file, `too_much_text` for a page that is none.
    """
    with open_pdf(path, password) as document:
        for number in range(len(document)):
            yield _pdfium_page_text(document, number)


def count_pdf_pages(path: Path, password: str | None = None) -> int:
    """How many pages pdfium counts, in some milliseconds: none is read. Raises DocumentError as `read_pdf` does."""
    with open_pdf(path, password) as document:
        return len(document)


def open_pdf(path: Path, password: str | None = None) -> pdfium.PdfDocument:
    """A document of pdfium, which the caller closes; the password is used where one is needed. Raises DocumentError as
    `read_pdf` does."""
    import pypdfium2 as pdfium

    if password is not None:
        with contextlib.suppress(DocumentError):
            return open_pdf(path)
    try:
        return pdfium.PdfDocument(path, password=password)
    except UnicodeEncodeError as error:  # half a character: no password that can be typed
        raise DocumentError("pdf_wrong_password") from error
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            raise password_error(password) from error
        raise DocumentError("pdf_broken") from error


def password_error(password: str | None) -> DocumentError:
    """What a protected file says to this password, or to none."""
    return DocumentError("pdf_encrypted" if password is None else "pdf_wrong_password")


def _pdfium_page_text(document: pdfium.PdfDocument, number: int) -> str:
    """The text of one page; a page that cannot be loaded is an empty page, not the end of the others."""
    import pypdfium2 as pdfium

    try:
        with contextlib.closing(document[number]) as page, contextlib.closing(page.get_textpage()) as text_page:
            if text_page.count_chars() > MAX_PAGE_CHARS:
                raise DocumentError("too_much_text")
            return clean_pdf_text(text_page.get_text_range())
    except pdfium.PdfiumError:
        return ""


def read_pdf_again(path: Path, password: str | None = None) -> Iterator[str]:
    """Pages of a PDF by pypdf, through LangChain's loader: the second reader for what pdfium refuses.

    Raises DocumentError as `read_pdf` does.
    """
    from langchain_community.document_loaders import PyPDFLoader
    from pypdf.errors import FileNotDecryptedError, WrongPasswordError

    logging.getLogger("pypdf").setLevel(logging.ERROR)
    try:
        for document in PyPDFLoader(str(path), password=password).lazy_load():
            if len(document.page_content) > MAX_PAGE_CHARS:
                raise DocumentError("too_much_text")
            yield clean_pdf_text(document.page_content)
    except (DocumentError, MemoryError):
        raise
    except (FileNotDecryptedError, WrongPasswordError) as error:
        raise password_error(password) from error
    except Exception as error:  # a broken file surfaces as any of a dozen types inside pypdf
        raise DocumentError("pdf_broken") from error


def clean_pdf_text(text: str) -> str:
    """`clean_text` with a word divided at a line's end put together: pdfium marks the hyphen as U+FFFE
    (older builds U+0002)."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return clean_text(re.sub("[\ufffe\x02]\n?", "", text))
