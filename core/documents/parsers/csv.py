"""Tables as text files: each row becomes its cells under their columns' names, so that a question finds it by them.

Delimiter and header are told from the first rows; the standard library's sniffer takes prose for tables.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from core.documents.parsers.pages import MAX_PAGE_CHARS, cut_pages, one_line
from core.documents.parsers.plain import decode, read_bytes
from core.errors import DocumentError

Row = list[str]

ROWS_A_PAGE = 100
_SAMPLE_ROWS = 50
_DELIMITERS = "\t;|,"  # of two that fit alike, the one that stands less in texts and numbers
_NAMED_DELIMITER = re.compile(r'"?sep=(.)"?\n', re.IGNORECASE)  # Excel's own first line
_NUMBER = re.compile(r"[-+(]?[$€£]?\s?\d[\d.,:/%\s-]*[€$£%)]?")  # also a date or an hour


def read_csv(path: Path) -> Iterator[str]:
    """A table as pages of rows, each row a paragraph of `column: value` lines.

    Raises DocumentError: `not_text`, `too_much_text`, `csv_broken` for a quotation mark that never ends.
    """
    text = decode(read_bytes(path))
    delimiter = "\t" if path.suffix.lower() == ".tsv" else None
    named = _NAMED_DELIMITER.match(text)
    if named:
        delimiter, text = named[1], text[named.end():]
    delimiter = delimiter or find_delimiter(text)
    if delimiter is None:
        yield from cut_pages(text)
        return
    yield from _pages(_rows(text, delimiter))


def find_delimiter(text: str) -> str | None:
    """The character that cuts most of the first rows into the same number of cells; None for a text of one column."""
    best, best_share = None, 0.5
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in _sample(text, delimiter) if row]
        width, count = Counter(widths).most_common(1)[0] if widths else (1, 0)
        if width > 1 and count / len(widths) > best_share:
            best, best_share = delimiter, count / len(widths)
    return best


def _sample(text: str, delimiter: str) -> list[Row]:
    try:
        return list(islice(csv.reader(_lines(text), delimiter=delimiter), _SAMPLE_ROWS))
    except csv.Error:
        return []


def _rows(text: str, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(MAX_PAGE_CHARS)
    reader = csv.reader(_lines(text), delimiter=delimiter)
    while True:
        first_line = reader.line_num + 1
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # seen a million characters on
            raise DocumentError("csv_broken", line=first_line) from error


def _lines(text: str) -> Iterator[str]:
    """Lines with their ends; `splitlines` would copy the whole text and cut at other characters too."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def _pages(rows: Iterator[Row]) -> Iterator[str]:
    """The rows as paragraphs, `ROWS_A_PAGE` a page. What stands above the header stays as it is."""
    first = list(islice(rows, _SAMPLE_ROWS))
    above, header = _find_header(first)
    title = "\n".join(filter(None, (one_line(" ".join(row)) for row in first[:above])))
    page, rows_on_page, chars = [title] if title else [], 0, len(title)
    for row in chain(first[above + bool(header):], rows):
        paragraph = _paragraph(header, row)
        if not paragraph:
            continue
        page.append(paragraph)
        rows_on_page, chars = rows_on_page + 1, chars + len(paragraph)
        if rows_on_page == ROWS_A_PAGE or chars > MAX_PAGE_CHARS // 2:
            yield from cut_pages("\n\n".join(page))
            page, rows_on_page, chars = [], 0, 0
    if page:
        yield from cut_pages("\n\n".join(page))


def _find_header(rows: Sequence[Row]) -> tuple[int, Row]:
    """How many rows stand above the table, and its column names; no names where its first row holds data."""
    width = Counter(len(row) for row in rows if row).most_common(1)[0][0] if any(rows) else 0
    above = next((number for number, row in enumerate(rows) if sum(map(bool, row)) > width // 2), 0)
    header = [one_line(name) for name in rows[above]] if rows else []
    named = [name for name in header if name]
    is_data = len(set(named)) < len(named) or any(_NUMBER.fullmatch(name) for name in named)
    return above, [] if is_data or len(rows) == above + 1 else header


def _paragraph(header: Row, row: Row) -> str:
    cells = [one_line(cell) for cell in row]
    if not header:
        return " | ".join(filter(None, cells))
    names = header + [""] * (len(cells) - len(header))
    return "\n".join(f"{name}: {cell}" if name else cell
                     for name, cell in zip(names, cells, strict=False) if cell)
