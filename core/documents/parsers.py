"""A file becomes the texts of its pages. Runs in a child process: a reader may crash, hang or eat memory.

Adding a format is one function here, one line in `READERS` and its test. Knows nothing of limits (see
`parsing`) and nothing of what becomes of the text.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.documents.language import identify
from core.errors import DocumentError

PageReader = Callable[[Path], Iterator[str]]

# A form feed, tab and newlines belong to text; the other control characters say "not a text".
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UTF16_SAMPLE_BYTES = 4096
_LANGUAGE_SAMPLE_CHARS = 4096
# UTF-32 first: its little-endian mark begins with UTF-16's.
_MARKS = ((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"),
          (b"\xfe\xff", "utf-16"))
# Read as Windows-1252: three accented letters in a row, or signs that stand in no Western word or sentence.
_NOT_WESTERN = re.compile("[À-ÖØ-öø-ÿ]{3}|[‚ƒ„†‡ˆ‰‹¤¦¬¯¸×÷]")
# Languages of the Latin alphabet that are written in Windows-1250, -1254 or -1257.
_OTHER_CODE_PAGES = frozenset(
    ("az", "bs", "cs", "et", "hr", "hu", "ku", "lt", "lv", "pl", "ro", "sk", "sl", "sq", "tr"))


def read_pdf(path: Path) -> Iterator[str]:
    """Pages of a PDF by pdfium, the faster and more forgiving reader.

    Raises DocumentError `pdf_encrypted`, or `pdf_broken` when pdfium cannot open the file.
    """
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(path)
        page_count = len(document)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            raise DocumentError("pdf_encrypted") from error
        raise DocumentError("pdf_broken") from error
    with document:
        for number in range(page_count):
            yield _pdfium_page_text(document, number)


def _pdfium_page_text(document: Any, number: int) -> str:
    """The text of one page; a page that cannot be loaded is an empty page, not the end of the others."""
    import pypdfium2 as pdfium

    try:
        with contextlib.closing(document[number]) as page, contextlib.closing(page.get_textpage()) as text_page:
            return clean_pdf_text(text_page.get_text_range())
    except pdfium.PdfiumError:
        return ""


def read_pdf_again(path: Path) -> Iterator[str]:
    """Pages of a PDF by pypdf, through LangChain's loader: the second reader for what pdfium refuses.

    Raises DocumentError `pdf_encrypted` or `pdf_broken`.
    """
    from langchain_community.document_loaders import PyPDFLoader
    from pypdf.errors import DependencyError, FileNotDecryptedError

    logging.getLogger("pypdf").setLevel(logging.ERROR)
    try:
        for document in PyPDFLoader(str(path)).lazy_load():
            yield clean_pdf_text(document.page_content)
    except (DependencyError, FileNotDecryptedError) as error:
        raise DocumentError("pdf_encrypted") from error
    except MemoryError:
        raise
    except Exception as error:  # a broken file surfaces as any of a dozen types inside pypdf
        raise DocumentError("pdf_broken") from error


def read_text(path: Path) -> Iterator[str]:
    """A text or Markdown file: one page. Raises DocumentError `not_text`."""
    yield decode(path.read_bytes())


def decode(data: bytes) -> str:
    """Bytes of a text file in whatever encoding they come, with newlines as `\\n` and without a BOM.

    BOMs and UTF-8 are certain; UTF-16 without a BOM shows by its zero bytes; Windows-1252 is what the languages of
    the West are written in otherwise; the rest is guessed. Raises DocumentError `not_text`.
    """
    if data.startswith(b"%PDF-"):
        raise DocumentError("not_text")
    text = _decode_utf(data)
    if text is None:
        text = _decode_western(data) or _guess(data)
    if len(_CONTROL.findall(text)) > len(text) // 100:
        raise DocumentError("not_text")
    return clean_text(text.removeprefix("\ufeff"))


def _decode_utf(data: bytes) -> str | None:
    """Text in one of the UTFs, which leave no doubt, else None."""
    encodings = [encoding for mark, encoding in _MARKS if data.startswith(mark)]
    sample = data[:_UTF16_SAMPLE_BYTES]
    # In UTF-16 Latin text every other byte is zero: nearly all on one side, nearly none on the other.
    zeros_even, zeros_odd = sample[0::2].count(0), sample[1::2].count(0)
    half = max(1, len(sample) // 2)
    if max(zeros_even, zeros_odd) > 0.7 * half and min(zeros_even, zeros_odd) < 0.05 * half:
        encodings.append("utf-16-be" if zeros_even > zeros_odd else "utf-16-le")
    for encoding in (*encodings, "utf-8"):
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode(encoding)
    # A byte or two that went wrong, as in a file cut in the middle of a letter, do not make it another encoding.
    text = data.decode("utf-8", errors="replace")
    letters = sum(character > "\x7f" for character in text)
    return text if text.count("\ufffd") * 20 < letters else None


def _decode_western(data: bytes) -> str | None:
    """Text in Windows-1252, of which Latin-1 is a part, else None.

    A guesser by frequency takes a short Spanish text for Polish: ñ and ń are the same byte. Here accented letters
    must stand alone or in pairs among plain ones, unlike Cyrillic or Greek, and the language must not be one that
    needs another of the 8-bit encodings.
    """
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    if _NOT_WESTERN.search(text) or _CONTROL.search(text):
        return None
    return None if identify(text[:_LANGUAGE_SAMPLE_CHARS]) in _OTHER_CODE_PAGES else text


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    guess = from_bytes(data).best()
    if guess is None or b"\x00" in data:
        raise DocumentError("not_text")
    return str(guess)


def clean_text(text: str) -> str:
    """Newlines as `\\n`; control characters and lone surrogates, which no store accepts, become spaces."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub(" ", _CONTROL.sub(" ", text))


def clean_pdf_text(text: str) -> str:
    """`clean_text` with a word divided at a line's end put together: pdfium marks the hyphen as U+FFFE
    (older builds U+0002)."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return clean_text(re.sub("[\ufffe\x02]\n?", "", text))


READERS: dict[str, tuple[PageReader, ...]] = {
    ".pdf": (read_pdf, read_pdf_again),
    ".txt": (read_text,),
    ".md": (read_text,),
}
SUFFIXES = tuple(READERS)


def read_pages(path: Path, attempt: int = 0) -> Iterator[str]:
    """The page texts of a file, by its type's reader number `attempt`, or by a later one where that fails
    before the first page. Raises DocumentError, `unsupported_type` for a type without a reader."""
    readers = READERS.get(path.suffix.lower())
    if readers is None:
        raise DocumentError("unsupported_type", suffixes=", ".join(SUFFIXES))
    for reader in readers[attempt:-1]:
        started = False
        try:
            for text in reader(path):
                started = True
                yield text
            return
        except DocumentError as error:
            if started or error.code == "pdf_encrypted":
                raise
    yield from readers[-1](path)
