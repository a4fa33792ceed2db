"""A file of examples, one JSON object a line → examples, and what is wrong line by line.

Reads the file as a stream, so a line is never larger in memory than its limit. Knows nothing of models or
tokens: how many tokens a row has, and what is cut, is told by the run's `start` event.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from core.errors import TrainingError

MAX_LINE_BYTES = 10 * 1024 * 1024
# Enough for a person to see the pattern; a file of another kind would give one a line.
MAX_PROBLEMS_KEPT = 1000
FORM_PROBLEMS = frozenset(
    {"dataset_line_not_json", "dataset_line_not_object", "dataset_line_not_utf8", "dataset_line_nul",
     "dataset_line_too_long"}
)


@dataclass(frozen=True)
class Example:
    """`instruction` already holds the optional input, after a blank line."""

    instruction: str
    output: str


@dataclass(frozen=True)
class Problem:
    """Why a line is left out; the sentence stands under `error.<code>`, its values include `line`."""

    line: int  # from 1
    code: str
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    examples: tuple[Example, ...]
    problems: tuple[Problem, ...]  # the first MAX_PROBLEMS_KEPT
    bad_lines: int  # all of them


class LineError(Exception):
    """A line that is no example: `code` and values of its Problem."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


def read_dataset(path: Path) -> Dataset:
    """The good rows of a JSONL file and the problems of the others.

    Raises TrainingError: dataset_missing, dataset_unreadable, dataset_wrong_encoding, dataset_empty,
    dataset_not_jsonl, dataset_no_good_rows.
    """
    examples: list[Example] = []
    problems: list[Problem] = []
    bad_lines = 0
    only_form_problems = True
    try:
        with path.open("rb") as file:
            for line, raw in numbered_lines(file, path.name):
                try:
                    examples.append(parse_line(raw))
                except LineError as error:
                    bad_lines += 1
                    only_form_problems &= error.code in FORM_PROBLEMS
                    if len(problems) < MAX_PROBLEMS_KEPT:
                        problems.append(Problem(line, error.code, {"line": line, **error.values}))
    except FileNotFoundError as error:
        raise TrainingError("dataset_missing", name=path.name) from error
    except OSError as error:
        raise TrainingError("dataset_unreadable", name=path.name, reason=error.strerror or "") from error
    if not examples:
        if not bad_lines:
            raise TrainingError("dataset_empty", name=path.name)
        code = "dataset_not_jsonl" if only_form_problems else "dataset_no_good_rows"
        raise TrainingError(code, name=path.name, count=bad_lines, line=problems[0].line)
    return Dataset(tuple(examples), tuple(problems), bad_lines)


def numbered_lines(file: IO[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, numbered from 1, each at most MAX_LINE_BYTES + 1 bytes."""
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise TrainingError("dataset_wrong_encoding", name=name)
            raw = raw.removeprefix(codecs.BOM_UTF8)
        rest = raw
        while rest and not rest.endswith(b"\n") and len(raw) > MAX_LINE_BYTES:
            rest = file.readline(MAX_LINE_BYTES)
        if raw.strip():
            yield number, raw


def parse_line(raw: bytes) -> Example:
    """One line as an example. Raises LineError."""
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
    instruction = text_of(row, "instruction")
    output = text_of(row, "output")
    extra = text_of(row, "input") if row.get("input") not in (None, "") else ""
    return Example(f"{instruction}\n\n{extra}" if extra else instruction, output)


def text_of(row: dict[str, Any], name: str) -> str:
    """A field's text, without the blanks around it. Raises LineError."""
    if name not in row:
        raise LineError("dataset_line_missing_field", field=name)
    value = row[name]
    if not isinstance(value, str):
        raise LineError("dataset_line_wrong_type", field=name)
    if "\0" in value:
        raise LineError("dataset_line_nul")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:  # half of a surrogate pair, written as an escape
        raise LineError("dataset_line_not_utf8") from error
    if not value.strip() and name != "input":
        raise LineError("dataset_line_empty_text", field=name)
    return value.strip()


def to_rows(example: Example) -> dict[str, list[dict[str, str]]]:
    """A row as TRL takes it: with prompt and completion apart, the loss falls on the completion only."""
    return {
        "prompt": [{"role": "user", "content": example.instruction}],
        "completion": [{"role": "assistant", "content": example.output}],
    }


def write_dataset(path: Path, examples: Iterable[Example]) -> None:
    """Examples as JSONL that `read_dataset` gives back unchanged."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for example in examples:
            row = {"instruction": example.instruction, "output": example.output}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
