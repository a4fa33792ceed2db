"""Text files, and the encodings that text comes in."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from core.documents.language import identify
from core.documents.parsers.pages import CONTROL, MAX_FILE_CHARS, clean_text, cut_pages
from core.errors import DocumentError

_MAX_BYTES_A_CHAR = 4
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


def read_text(path: Path) -> Iterator[str]:
    """A text or Markdown file: one page, or several where it is very long. Raises DocumentError `not_text`,
    `too_much_text`."""
    yield from cut_pages(decode(read_bytes(path)))


def read_bytes(path: Path) -> bytes:
    """All of a text file. Raises DocumentError `too_much_text` for one that no encoding makes short enough."""
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES_A_CHAR * MAX_FILE_CHARS + 1)
    if len(data) > _MAX_BYTES_A_CHAR * MAX_FILE_CHARS:
        raise DocumentError("too_much_text")
    return data


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
    return checked(text)


def checked(text: str) -> str:
    """Decoded text, cleaned. Raises DocumentError `not_text` where the characters say that it is none."""
    controls = sum(1 for _ in CONTROL.finditer(text))
    if controls > len(text) // 100:
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
    if _NOT_WESTERN.search(text) or CONTROL.search(text):
        return None
    return None if identify(text[:_LANGUAGE_SAMPLE_CHARS]) in _OTHER_CODE_PAGES else text


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    guess = from_bytes(data).best()
    if guess is None or b"\x00" in data:
        raise DocumentError("not_text")
    return str(guess)
