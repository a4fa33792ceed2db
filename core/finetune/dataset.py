"""A user's file of examples, checked row by row → what is good in it, and what is wrong with the rest.

`check_dataset` streams: of a million rows it keeps counts, the first problems and a few rows to show, and writes the
good ones as it goes. Knows nothing of models or tokens: `inspection` counts those.
"""

from __future__ import annotations

import errno
import json
import random
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from core.errors import TrainingError
from core.finetune.examples import (
    ColumnMapping,
    Example,
    ExampleReader,
    LineError,
    Turn,
    Turns,
    guess_mapping,
    to_rows,
)
from core.finetune.formats import Format, Source, open_source

__all__ = [
    "ColumnMapping", "Dataset", "DatasetReport", "Example", "Problem", "Turn", "check_dataset", "read_dataset",
    "stored_examples", "to_rows", "write_dataset",
]

# Enough for a person to see the pattern; a file of another kind would give one a line.
MAX_PROBLEMS_KEPT = 1000
MAX_DUPLICATES_KEPT = 100
MAX_COLUMNS_KEPT = 50
PREVIEW_ROWS = 5
ROWS_BETWEEN_WORDS = 5000  # of progress
FORM_PROBLEMS = frozenset(
    {"dataset_line_not_json", "dataset_line_not_object", "dataset_line_not_utf8", "dataset_line_nul",
     "dataset_line_too_long"}
)


@dataclass(frozen=True)
class Problem:
    """Why a line is left out; the sentence stands under `error.<code>`, its values include `line`."""

    line: int  # from 1
    code: str
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetReport:
    """What a check found. Rows are those of the file; one that is a conversation may give several examples."""

    name: str
    format: Format
    mapping: ColumnMapping  # as it was given, or as the first good row tells it
    columns: tuple[str, ...]  # the names seen, at most MAX_COLUMNS_KEPT
    rows: int  # good and bad, without blank ones
    bad_rows: int
    examples: int
    problems: tuple[Problem, ...]  # the first MAX_PROBLEMS_KEPT
    duplicates: int  # examples that repeat an earlier one word for word; they stay in
    repeated_lines: tuple[tuple[int, int], ...]  # (line, the line it repeats): the first MAX_DUPLICATES_KEPT
    preview: tuple[Example, ...]  # the first example and PREVIEW_ROWS - 1 drawn from all, in the file's order
    encoding: str = "utf-8"

    @property
    def unused_columns(self) -> tuple[str, ...]:
        """Columns that hold something nobody will learn; ours begin with an underscore."""
        return tuple(name for name in self.columns if name not in self.mapping.columns and not name.startswith("_"))


@dataclass(frozen=True)
class Dataset:
    """A small dataset, all in memory."""

    examples: tuple[Example, ...]
    problems: tuple[Problem, ...]  # the first MAX_PROBLEMS_KEPT
    bad_lines: int  # all of them


def check_dataset(
    path: Path,
    *,
    mapping: ColumnMapping | None = None,
    turns: Turns = "all",
    write_to: Path | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> DatasetReport:
    """Read every row; with `write_to` the good ones are written there as JSONL, whole or not at all.

    `on_progress` is told the rows read so far, and ends the check by raising. Raises TrainingError: dataset_missing,
    dataset_unreadable, dataset_wrong_encoding, dataset_parquet_broken, dataset_empty, dataset_not_jsonl,
    dataset_columns_unknown, dataset_column_missing, dataset_no_good_rows, disk_full_writing.
    """
    check = Check(open_source(path), mapping, turns)
    if write_to is None:
        for _ in check.examples(on_progress):
            pass
    else:
        with written_whole(write_to) as file:
            for example in check.examples(on_progress):
                file.write(stored_line(example))
            check.refuse_if_empty()
    check.refuse_if_empty()
    return check.report()


def read_dataset(path: Path, mapping: ColumnMapping | None = None) -> Dataset:
    """All good examples of a file and the problems of its other lines. Raises what `check_dataset` raises."""
    check = Check(open_source(path), mapping, "all")
    examples = tuple(check.examples())
    check.refuse_if_empty()
    return Dataset(examples, tuple(check.problems), check.bad_rows)


class Check:
    """One reading of one file: what it has seen so far."""

    def __init__(self, source: Source, mapping: ColumnMapping | None, turns: Turns) -> None:
        self.source = source
        if source.columns:
            mapping = known_columns(source, mapping)
        self.reader = ExampleReader(mapping, turns)
        self.rows = self.bad_rows = self.count = 0
        self.problems: list[Problem] = []
        self.codes: set[str] = set()
        self.columns: dict[str, None] = dict.fromkeys(source.columns)
        self.preview: list[tuple[int, Example]] = []
        # For each example a hash and a line: 16 bytes, so that ten million still fit anywhere.
        self.hashes, self.lines = array("q"), array("q")
        self.random = random.Random(0)  # noqa: S311 (the same file shows the same rows)

    def examples(self, on_progress: Callable[[int], None] | None = None) -> Iterator[Example]:
        """The good examples, in order."""
        wanted = self.reader.given.columns if self.reader.given else ()
        try:
            for line, row in self.source.records(wanted):
                self.rows += 1
                if on_progress and self.rows % ROWS_BETWEEN_WORDS == 0:
                    on_progress(self.rows)
                try:
                    if isinstance(row, LineError):
                        raise row
                    self._see_columns(row)
                    found = self.reader.examples(line, row)
                except LineError as error:
                    self._note(line, error)
                    continue
                for example in found:
                    self._count(example)
                    yield example
        except OSError as error:
            raise TrainingError("dataset_unreadable", name=self.source.path.name,
                                reason=error.strerror or "") from error

    def refuse_if_empty(self) -> None:
        """Raises TrainingError when no row can be used."""
        name = self.source.path.name
        if self.count:
            return
        if not self.rows:
            raise TrainingError("dataset_empty", name=name)
        if self.source.format == "jsonl" and self.codes <= FORM_PROBLEMS:
            raise TrainingError("dataset_not_jsonl", name=name, count=self.bad_rows, line=self.problems[0].line)
        if self.codes == {"dataset_line_missing_field"} and self.columns and not self.reader.given:
            raise TrainingError("dataset_columns_unknown", name=name, found=", ".join(self.columns))
        raise TrainingError("dataset_no_good_rows", name=name, count=self.bad_rows, line=self.problems[0].line)

    def report(self) -> DatasetReport:
        duplicates, repeated = repeats(self.hashes, self.lines)
        return DatasetReport(
            name=self.source.path.name, format=self.source.format, mapping=self.reader.first or ColumnMapping(),
            columns=tuple(self.columns), rows=self.rows, bad_rows=self.bad_rows, examples=self.count,
            problems=tuple(self.problems), duplicates=duplicates, repeated_lines=repeated,
            preview=tuple(example for _, example in sorted(self.preview, key=lambda pair: pair[0])),
            encoding=self.source.encoding,
        )

    def _see_columns(self, row: Any) -> None:
        if not row.keys() <= self.columns.keys() and len(self.columns) < MAX_COLUMNS_KEPT:
            self.columns.update(dict.fromkeys(str(name)[:100] for name in list(row)[:MAX_COLUMNS_KEPT]))

    def _note(self, line: int, error: LineError) -> None:
        self.bad_rows += 1
        self.codes.add(error.code)
        if len(self.problems) < MAX_PROBLEMS_KEPT:
            self.problems.append(Problem(line, error.code, {"line": line, **error.values}))

    def _count(self, example: Example) -> None:
        self.hashes.append(hash((example.instruction, example.output, example.history)))
        self.lines.append(example.line)
        # Reservoir sampling: each example is among the PREVIEW_ROWS - 1 drawn with equal chance.
        if self.count < PREVIEW_ROWS:
            self.preview.append((self.count, example))
        elif (place := self.random.randrange(self.count)) < PREVIEW_ROWS - 1:
            self.preview[place + 1] = (self.count, example)
        self.count += 1


def known_columns(source: Source, mapping: ColumnMapping | None) -> ColumnMapping:
    """The mapping of a table, whose names are known beforehand. Raises TrainingError."""
    mapping = mapping or guess_mapping(source.columns)
    found = ", ".join(source.columns[:MAX_COLUMNS_KEPT])
    for column in mapping.columns:
        if column not in source.columns:
            raise TrainingError("dataset_column_missing", name=source.path.name, column=column, found=found)
    if not mapping.complete:
        raise TrainingError("dataset_columns_unknown", name=source.path.name, found=found)
    return mapping


def repeats(hashes: array[int], lines: array[int]) -> tuple[int, tuple[tuple[int, int], ...]]:
    """How many entries equal an earlier one, and the first of them as (line, line of the first)."""
    import numpy

    if not hashes:
        return 0, ()
    values = numpy.frombuffer(hashes, dtype=numpy.int64)
    order = numpy.argsort(values, kind="stable")
    same = values[order][1:] == values[order][:-1]
    # In sorted order, the first of each group of equals, for every place.
    starts = numpy.maximum.accumulate(numpy.where(numpy.concatenate(([True], ~same)), numpy.arange(len(order)), 0))
    later = numpy.flatnonzero(same) + 1
    pairs = sorted((int(order[place]), int(order[starts[place]])) for place in later[:10_000])
    shown = tuple((lines[again], lines[first]) for again, first in pairs[:MAX_DUPLICATES_KEPT])
    return int(same.sum()), shown


# The run's own copy.


def stored_line(example: Example) -> str:
    row: dict[str, Any] = {"instruction": example.instruction, "output": example.output}
    if example.history:
        row["history"] = [{"role": turn.role, "content": turn.content} for turn in example.history]
    if example.line:
        row["_line"] = example.line
    return json.dumps(row, ensure_ascii=False) + "\n"


def stored_examples(path: Path, only: Sequence[int] | None = None) -> Iterator[Example]:
    """The examples of a file that `check_dataset` or `write_dataset` wrote, one after the other; of a large file
    those at the places `only`, ascending from 0, are found without reading the others' JSON."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file if only is None else at_places(file, only):
            row = json.loads(line)
            history = tuple(Turn(**turn) for turn in row.get("history", ()))
            yield Example(row["instruction"], row["output"], history, row.get("_line", 0))


def at_places(lines: Iterable[str], places: Sequence[int]) -> Iterator[str]:
    wanted = iter(places)
    place = next(wanted, -1)
    for number, line in enumerate(lines):
        if number == place:
            yield line
            place = next(wanted, -1)
            if place < 0:
                return


def write_dataset(path: Path, examples: Iterable[Example]) -> None:
    """Examples as JSONL that `stored_examples` gives back unchanged, and `read_dataset` but for their lines."""
    with written_whole(path) as file:
        for example in examples:
            file.write(stored_line(example))


@contextmanager
def written_whole(path: Path) -> Iterator[IO[str]]:
    """A text file that appears under its name only when it is complete. Raises TrainingError disk_full_writing."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        if is_disk_full(error):
            raise TrainingError("disk_full_writing", folder=str(path.parent)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def is_disk_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)) or getattr(
        error, "winerror", None) in (39, 112)
