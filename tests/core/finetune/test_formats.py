"""The same rows in every format; tables as people save them; files that are broken or made to break us."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from core.errors import TrainingError
from core.finetune import formats, json_stream
from core.finetune.dataset import Dataset, Example, check_dataset, read_dataset, stored_examples
from core.finetune.formats import open_source
from ui import i18n

ROWS = [{"instruction": f"¿Qué es {number}?\nDilo, «breve»", "input": "" if number % 2 else "x, \"y\"",
         "output": f"Es; {number}"} for number in range(20)]


def as_jsonl(path: Path) -> None:
    path.write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")


def as_json(path: Path) -> None:
    path.write_text(json.dumps(ROWS, ensure_ascii=False), encoding="utf-8")


def as_pretty_json(path: Path) -> None:
    path.write_text(json.dumps({"version": [1][0], "about": {"a": [1]}, "data": ROWS}, indent=2), encoding="utf-8-sig")


def as_csv(path: Path, delimiter: str = ",", encoding: str = "utf-8") -> None:
    import csv

    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, ["instruction", "input", "output"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(ROWS)


def as_excel_csv(path: Path) -> None:
    as_csv(path, ";", "cp1252")


def as_unicode_text(path: Path) -> None:
    as_csv(path, "\t", "utf-16")


def as_parquet(path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path, row_group_size=7)


FILES: list[tuple[str, Callable[[Path], None], str]] = [
    ("a.jsonl", as_jsonl, "jsonl"), ("a.json", as_jsonl, "jsonl"), ("a.txt", as_jsonl, "jsonl"),
    ("a.json", as_json, "json"), ("a.jsonl", as_json, "json"), ("a.json", as_pretty_json, "json"),
    ("a.csv", as_csv, "csv"), ("a.csv", as_excel_csv, "csv"), ("a.tsv", as_unicode_text, "csv"),
    ("a.txt", as_csv, "csv"), ("a.parquet", as_parquet, "parquet"), ("data", as_parquet, "parquet"),
]


@pytest.mark.parametrize(("name", "write", "form"), FILES)
def test_the_same_rows_in_every_format_give_the_same_examples(
    tmp_path: Path, name: str, write: Callable[[Path], None], form: str
) -> None:
    write(tmp_path / name)
    as_jsonl(tmp_path / "expected.jsonl")
    report = check_dataset(tmp_path / name, write_to=tmp_path / "copy.jsonl")
    assert (report.format, report.examples, report.bad_rows) == (form, 20, 0)
    assert tuple(stored_examples(tmp_path / "copy.jsonl")) == read_dataset(tmp_path / "expected.jsonl").examples


def read(folder: Path, name: str, content: bytes) -> Dataset:
    (folder / name).write_bytes(content)
    return read_dataset(folder / name)


def problems(dataset: Dataset) -> list[tuple[int, str]]:
    return [(problem.line, problem.code) for problem in dataset.problems]


def test_cells_that_do_not_fit_are_named_by_line(tmp_path: Path) -> None:
    table = (b"sep=;\r\npregunta;respuesta\r\na;b\r\n\r\n\"c\nd\";e\r\nf;g;h\r\n;i\r\nj\r\n"
             b"k;\"l\" m\r\nn;o\r\np;\"q\r\nr;s\r\n")
    read_table = read(tmp_path, "a.csv", table)
    assert read_table.examples == (Example("a", "b"), Example("c\nd", "e"), Example("n", "o"))
    assert problems(read_table) == [
        (7, "dataset_line_csv_cells"), (8, "dataset_line_empty_text"), (9, "dataset_line_missing_field"),
        (10, "dataset_line_csv_quotes"), (12, "dataset_line_csv_open_quote")]


def test_a_byte_that_is_no_utf8_spoils_its_own_row_alone(tmp_path: Path) -> None:
    good = "pregunta,respuesta\naño,sí\n".encode()
    assert problems(read(tmp_path, "a.csv", good + b"a\xf1o,b\n")) == [(3, "dataset_line_not_utf8")]
    utf16 = good.decode().encode("utf-16-le")
    broken = b"\xff\xfe" + utf16 + b"\x00\xd8a\x00,\x00b\x00\n\x00" + "c,d\n".encode("utf-16-le") + b"x"
    spoilt = [(3, "dataset_line_not_utf8"), (5, "dataset_line_not_utf8")]
    assert problems(read(tmp_path, "b.csv", broken)) == spoilt
    array = '[{"instruction": "año", "output": "b"},\n'.encode() + b'{"instruction": "a\xf1o", "output": "b"}]'
    assert problems(read(tmp_path, "a.json", array)) == [(2, "dataset_line_not_utf8")]


def test_a_table_without_known_columns_says_which_it_has(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as refused:
        read(tmp_path, "a.csv", b"frase,idioma\na,b\n")
    assert (refused.value.code, refused.value.values["found"]) == ("dataset_columns_unknown", "frase, idioma")
    with pytest.raises(TrainingError, match="dataset_column_missing"):
        check_dataset(tmp_path / "a.csv", mapping=formats.guess_mapping(["pregunta", "respuesta"]))


@pytest.mark.parametrize(
    ("array", "good", "line", "code"),
    [
        (b'[{"instruction": "a", "output": "b"},\n{"instruction": "a", "out', 1, 2, "dataset_line_json_broken"),
        (b'[{"instruction": "a", "output": "b"}\n{"instruction": "a", "output": "b"}]', 1, 2,
         "dataset_line_json_broken"),
        (b'[{"instruction": "a", "output": "b"},\n' + b"[" * 100_000, 1, 2, "dataset_line_json_broken"),
        (b'[{"instruction": "a", "output": "b"},\n7,\n{"instruction": "a", "output": "b"}]', 2, 2,
         "dataset_line_not_object"),
        (b'[{"instruction": "a", "output": "b"},\n{"instruction": "a", "output": NaN}]', 1, 2,
         "dataset_line_wrong_type"),
        (b'[{"instruction": "a", "output": "b"},\n{"instruction": "a", "output": "\n"}]', 1, 2,
         "dataset_line_json_broken"),
    ],
)
def test_of_a_broken_json_file_the_rows_before_stay(
    tmp_path: Path, array: bytes, good: int, line: int, code: str
) -> None:
    dataset = read(tmp_path, "a.json", array)
    assert (len(dataset.examples), problems(dataset)) == (good, [(line, code)])


def test_rows_longer_than_a_chunk_are_read_and_endless_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "CHUNK_CHARS", 50)
    as_pretty_json(tmp_path / "a.json")
    assert len(read_dataset(tmp_path / "a.json").examples) == 20
    monkeypatch.setattr(formats, "MAX_LINE_BYTES", 1000)
    endless = b'[{"instruction": "a", "output": "b"},{"instruction": "' + b"x" * 10_000
    assert problems(read(tmp_path, "b.json", endless)) == [(1, "dataset_line_too_long")]
    long_line = b"pregunta,respuesta\na,b\nc," + b"x" * 5000 + b"\nd,e\n"
    dataset = read(tmp_path, "a.csv", long_line)
    assert (len(dataset.examples), problems(dataset)) == (2, [(3, "dataset_line_too_long")])


def test_a_line_of_ten_megabytes_is_named_and_the_next_one_read(tmp_path: Path) -> None:
    good = b'{"instruction": "a", "output": "b"}\n'
    dataset = read(tmp_path, "a.jsonl", good + b'{"instruction": "' + b"x" * 11_000_000 + b'"}\n' + good)
    assert (len(dataset.examples), problems(dataset)) == (2, [(2, "dataset_line_too_long")])


def test_parquet_columns_of_other_types_and_broken_pages_are_told(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    chats = [[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], None]
    parquet.write_table(pyarrow.table({"messages": chats, "id": [1, 2]}), tmp_path / "a.parquet")
    dataset = read_dataset(tmp_path / "a.parquet")
    assert dataset.examples == (Example("a", "b"),)
    assert [problem.line for problem in dataset.problems] == [2]
    parquet.write_table(pyarrow.table({"prompt": ["a"], "answer": [1]}), tmp_path / "b.parquet")
    with pytest.raises(TrainingError, match="dataset_no_good_rows"):
        read_dataset(tmp_path / "b.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    for start in range(4, len(whole) - 8, 13):
        broken = tmp_path / "c.parquet"
        broken.write_bytes(whole[:start] + os.urandom(8) + whole[start + 8 :])
        try:
            read_dataset(broken)
        except TrainingError as error:
            assert i18n.explain("es", error)


# Files made to break us.

PIECES = [b'{"instruction": "a", "output": "b"}', b'{"instruction": "a\\ud800", "output": "b"}', b"\x00", b"[" * 3000,
          b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\n", b'"', b",", b";", b"instruction,output", b"NaN", b"{", b"}",
          b"[", b"]", b'{"messages": [{"role": "user", "content": {}}]}', "ñ".encode("latin-1"), "🙂".encode(),
          b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}', b"PAR1", b"\x1f"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=some.lists(some.one_of(some.sampled_from(PIECES), some.binary(max_size=8)), max_size=20),
       suffix=some.sampled_from([".jsonl", ".json", ".csv", ".tsv", ".parquet", ""]))
def test_whatever_a_file_holds_it_gives_examples_and_numbered_problems_or_one_sentence(
    tmp_path: Path, pieces: list[bytes], suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"".join(pieces))
    try:
        report = check_dataset(path, write_to=tmp_path / "copy.jsonl")
    except TrainingError as error:
        assert all(i18n.explain(language, error) for language in i18n.LANGUAGES)
        return
    assert report.rows >= report.bad_rows >= len(report.problems)
    assert len(list(stored_examples(tmp_path / "copy.jsonl"))) == report.examples > 0
    lines = path.read_bytes().count(b"\n") + path.read_bytes().count(b"\r") + 1
    for problem in report.problems:
        assert 1 <= problem.line <= lines
        assert i18n.translate("en", f"error.{problem.code}", **problem.values)


COLUMNS = ["instruction", "input", "output", "messages", "prompt", "history", "system"]
values: Any = some.recursive(
    some.one_of(some.none(), some.booleans(), some.floats(), some.text(max_size=5), some.integers()),
    lambda inner: some.one_of(some.lists(inner, max_size=3),
                              some.dictionaries(some.sampled_from(["role", "content", "from", "value", "x"]), inner)),
    max_leaves=8)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=some.dictionaries(some.sampled_from(COLUMNS), values))
def test_a_row_of_whatever_types_is_an_example_or_a_problem(tmp_path: Path, row: dict[str, Any]) -> None:
    good = {"instruction": "a", "output": "b"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps([good, row, good]), encoding="utf-8")
    report = check_dataset(path)
    assert report.rows == 3 and report.examples >= 2 and report.bad_rows <= 1
    assert open_source(path).format == "json"
