"""A file of rows → its rows one after the other, each with its line: JSONL, JSON, CSV, Parquet.

The content tells the format, the name only where the content leaves it open. Everything streams: no more than one
row of MAX_LINE_BYTES and a small buffer is in memory. Knows nothing of what a row should hold.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal, TextIO

from core.errors import TrainingError
from core.finetune.examples import LineError, Row, guess_mapping
from core.finetune.json_stream import json_rows

Format = Literal["jsonl", "json", "csv", "parquet"]
# A row, or why there is none, with its line in the file from 1 (in Parquet: its row).
Record = tuple[int, Row | LineError]

MAX_LINE_BYTES = 10 * 1024 * 1024
HEAD_BYTES = 64 * 1024
ENCODING_BYTES = 8 * 1024 * 1024  # enough of a table to tell UTF-8 from Windows' letters
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
DELIMITERS = ",;\t|"
NAMED_DELIMITER = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # Excel's own first line
PARQUET_BATCH_ROWS = 256


@dataclass(frozen=True)
class Source:
    """A file whose format is known. `columns` are the names a table gives beforehand; JSON has none."""

    path: Path
    format: Format
    columns: tuple[str, ...] = ()
    encoding: str = "utf-8"

    def records(self, columns: Sequence[str] = ()) -> Iterator[Record]:
        """Every row that is not blank. Of Parquet only `columns`, when given. Raises TrainingError, OSError."""
        if self.format == "parquet":
            yield from parquet_rows(self.path, columns)
        elif self.format == "csv":
            with open_table(self.path, self.encoding) as file:
                yield from csv_rows(file)
        elif self.format == "json":
            with self.path.open(encoding="utf-8-sig", errors="surrogateescape") as text:
                yield from json_rows(text, MAX_LINE_BYTES)
        else:
            with self.path.open("rb") as raw:
                yield from jsonl_rows(raw)


def open_source(path: Path) -> Source:
    """Tell a file's format. Raises TrainingError: dataset_missing, dataset_unreadable, dataset_wrong_encoding,
    dataset_parquet_broken."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        form = format_of(path.suffix.lower(), head)
        if form == "parquet":
            return Source(path, form, parquet_columns(path))
        if form == "csv":
            encoding = table_encoding(path)
            with open_table(path, encoding) as table:
                header, _ = csv_header(table)
            return Source(path, form, tuple(header), encoding)
    except FileNotFoundError as error:
        raise TrainingError("dataset_missing", name=path.name) from error
    except OSError as error:
        raise TrainingError("dataset_unreadable", name=path.name, reason=error.strerror or "") from error
    if head.startswith(UTF16):
        raise TrainingError("dataset_wrong_encoding", name=path.name)
    return Source(path, form)


def format_of(suffix: str, head: bytes) -> Format:
    """What the first bytes are the beginning of."""
    if head.startswith(b"PAR1") or suffix == ".parquet":
        return "parquet"
    if suffix in (".csv", ".tsv"):
        return "csv"
    text = head.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="replace").lstrip()
    if re.match(r"\[\s*\{", text) or (suffix == ".json" and text.startswith("[")):
        return "json"
    if suffix == ".json" and text.startswith("{") and not is_row(text):
        return "json"
    if not text.startswith(("{", "[")) and guess_mapping(header_of(text)).complete:
        return "csv"
    return "jsonl"


def is_row(text: str) -> bool:
    """Whether a text begins with a whole JSON object that is a row itself rather than one that holds them."""
    try:
        first, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and guess_mapping(first).complete


# JSONL.


def jsonl_rows(file: IO[bytes]) -> Iterator[Record]:
    for line, raw in numbered_lines(file):
        try:
            yield line, parse_line(raw)
        except LineError as error:
            yield line, error


def numbered_lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, numbered from 1, each at most MAX_LINE_BYTES + 1 bytes."""
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        rest = raw
        while rest and not rest.endswith(b"\n") and len(raw) > MAX_LINE_BYTES:
            rest = file.readline(MAX_LINE_BYTES)
        if raw.strip():
            yield number, raw


def parse_line(raw: bytes) -> Row:
    """One line as an object. Raises LineError."""
    if len(raw) > MAX_LINE_BYTES:
        raise LineError("dataset_line_too_long", limit_mb=MAX_LINE_BYTES // 2**20)
    if b"\0" in raw:
        raise LineError("dataset_line_nul")
    try:
        row = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise LineError("dataset_line_not_utf8") from error
    except (ValueError, RecursionError) as error:  # RecursionError: thousands of nested brackets
        raise LineError("dataset_line_not_json") from error
    if not isinstance(row, dict):
        raise LineError("dataset_line_not_object")
    return row


# CSV.


def table_encoding(path: Path) -> str:
    """UTF-8 or UTF-16 where the file says so or fits; else what Windows writes in the west. A file that is UTF-8
    but for some bytes stays UTF-8, so that its broken rows can be named."""
    with path.open("rb") as file:
        head = file.read(ENCODING_BYTES)
    if head.startswith(UTF16):
        return "utf-16"
    text = head.decode("utf-8", errors="surrogateescape")
    broken = len(re.findall("[\udc80-\udcff]", text))
    whole = len(re.findall("[\u0080-\ud7ff\ue000-\uffff]", text))
    cut = 3  # the last letter of the head may be half of one
    return "cp1252" if broken > cut * (len(head) == ENCODING_BYTES) and not whole else "utf-8-sig"


def open_table(path: Path, encoding: str) -> TextIO:
    """Bytes that are no letters come as half letters, by which a row is known as broken (see `bounded_lines`)."""
    errors = "replace" if encoding == "utf-16" else "surrogateescape"
    return path.open(encoding=encoding, errors=errors, newline="")


def csv_rows(file: TextIO) -> Iterator[Record]:
    """The rows below the header. What follows a quotation mark that never ends is one bad row."""
    _, delimiter = csv_header(file)
    # Of the whole process, but only ever raised: nothing else of ours reads tables in it.
    csv.field_size_limit(max(MAX_LINE_BYTES, csv.field_size_limit()))
    file.seek(0)
    too_long: list[int] = []
    reader = csv.reader(bounded_lines(file, too_long), delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            unclosed = "unexpected end" in str(error) or "field limit" in str(error)
            yield line, LineError("dataset_line_csv_open_quote" if unclosed else "dataset_line_csv_quotes")
            continue
        if too_long:
            too_long.clear()
            yield line, LineError("dataset_line_too_long", limit_mb=MAX_LINE_BYTES // 2**20)
        elif not any(cells):
            continue
        elif not header:
            if not NAMED_DELIMITER.fullmatch(delimiter.join(cells)):
                header = [name.strip() for name in cells]
        elif len(cells) > len(header):
            yield line, LineError("dataset_line_csv_cells", cells=len(cells), columns=len(header))
        else:
            yield line, dict(zip(header, cells, strict=False))


def csv_header(file: TextIO) -> tuple[list[str], str]:
    """The column names and what stands between them."""
    lines = (line for line in iter(lambda: file.readline(HEAD_BYTES), "") if line.strip())
    first = next(lines, "").removeprefix("\ufeff")
    named = NAMED_DELIMITER.fullmatch(first)
    if named:
        first = next(lines, "")
    delimiters = named[1] if named else sorted(DELIMITERS, key=first.count, reverse=True)
    names = {delimiter: split_header(first, delimiter) for delimiter in delimiters}
    best = next((each for each in delimiters if guess_mapping(names[each]).complete), delimiters[0])
    return names[best], best


def header_of(text: str) -> list[str]:
    """The names in the first line of a text that may be a table."""
    line = text.split("\n", 1)[0]
    return split_header(line, max(DELIMITERS, key=line.count))


def split_header(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def bounded_lines(file: TextIO, too_long: list[int]) -> Iterator[str]:
    """Lines cut at MAX_LINE_BYTES characters; each that was cut is noted. UTF-16 cannot tell its broken letters as
    half ones, so they are made so here."""
    replaced = file.errors == "replace"
    while line := file.readline(MAX_LINE_BYTES):
        rest = line
        while len(rest) == MAX_LINE_BYTES and not rest.endswith("\n"):
            rest = file.readline(MAX_LINE_BYTES)
            if not too_long:
                too_long.append(1)
        yield line.replace("\ufffd", "\udcff") if replaced else line


# Parquet.


def parquet_columns(path: Path) -> tuple[str, ...]:
    from pyarrow import parquet

    with parquet_errors(path), parquet.ParquetFile(path) as table:
        return tuple(table.schema_arrow.names)


def parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    from pyarrow import parquet

    wanted: list[str] | None = list(columns) or None
    with parquet_errors(path), parquet.ParquetFile(path, pre_buffer=False, buffer_size=2**20) as table:
        batches = table.iter_batches(batch_size=PARQUET_BATCH_ROWS, columns=wanted, use_threads=False)
        rows: Iterator[dict[str, Any]] = chain.from_iterable(batch.to_pylist() for batch in batches)
        yield from enumerate(rows, start=1)


@contextmanager
def parquet_errors(path: Path) -> Iterator[None]:
    """Whatever the library says of broken bytes becomes dataset_parquet_broken."""
    import pyarrow

    try:
        yield
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except (pyarrow.ArrowException, OSError, ValueError, LookupError, OverflowError, MemoryError) as error:
        raise TrainingError("dataset_parquet_broken", name=path.name) from error
