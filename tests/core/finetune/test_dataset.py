"""Datasets: good rows, hostile lines, files of another kind, the samples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import TrainingError
from core.finetune import dataset
from core.finetune.dataset import Example, read_dataset, to_rows, write_dataset
from ui import i18n

GOOD = b'{"instruction": "a", "output": "b"}'
SAMPLES = Path(dataset.__file__).parent / "samples"


def write(folder: Path, content: bytes) -> Path:
    path = folder / "examples.jsonl"
    path.write_bytes(content)
    return path


def test_byte_order_mark_crlf_blank_lines_and_a_missing_last_newline_are_fine(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbf" + GOOD + b"\r\n\r\n   \n" + GOOD)
    read = read_dataset(path)
    assert read.examples == (Example("a", "b"), Example("a", "b"))
    assert (read.problems, read.bad_lines) == ((), 0)


def test_an_input_follows_the_instruction_after_a_blank_line(tmp_path: Path) -> None:
    rows = [{"instruction": "Resume", "input": "Un texto", "output": "x"},
            {"instruction": "Hola", "input": None, "output": "y"},
            {"instruction": "Hola", "input": "", "output": "z"}]
    path = write(tmp_path, "\n".join(json.dumps(row) for row in rows).encode())
    assert [example.instruction for example in read_dataset(path).examples] == [
        "Resume\n\nUn texto", "Hola", "Hola"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{instruction: a}", "dataset_line_not_json"),
        (b'{"instruction": "a", "output": "b"', "dataset_line_not_json"),
        (b"[" * 100_000, "dataset_line_not_json"),
        (b"9" * 5000, "dataset_line_not_json"),
        (b'["a", "b"]', "dataset_line_not_object"),
        (b"null", "dataset_line_not_object"),
        (b'{"instruction": "a"}', "dataset_line_missing_field"),
        (b'{"instruction": "a", "output": 3}', "dataset_line_wrong_type"),
        (b'{"instruction": null, "output": "b"}', "dataset_line_wrong_type"),
        (b'{"instruction": "a", "output": "b", "input": {}}', "dataset_line_wrong_type"),
        (b'{"instruction": " \\n", "output": "b"}', "dataset_line_empty_text"),
        (b'{"instruction": "a\x00", "output": "b"}', "dataset_line_nul"),
        (b'{"instruction": "a\\u0000", "output": "b"}', "dataset_line_nul"),
        (b'{"instruction": "a\\ud800", "output": "b"}', "dataset_line_not_utf8"),
        (b'{"instruction": "ma\xf1ana", "output": "b"}', "dataset_line_not_utf8"),
    ],
)
def test_a_bad_line_is_told_by_its_number_and_the_others_stay(
    tmp_path: Path, line: bytes, code: str
) -> None:
    read = read_dataset(write(tmp_path, GOOD + b"\n\n" + line + b"\n" + GOOD + b"\n"))
    assert len(read.examples) == 2
    assert [(problem.line, problem.code) for problem in read.problems] == [(3, code)]
    for language in i18n.LANGUAGES:
        sentence = i18n.translate(language, f"error.{code}", **read.problems[0].values)
        assert "3" in sentence


def test_a_line_too_long_is_left_out_and_the_next_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "MAX_LINE_BYTES", 100)
    long = b'{"instruction": "' + b"x" * 1000 + b'", "output": "b"}'
    read = read_dataset(write(tmp_path, GOOD + b"\n" + long + b"\n" + GOOD + b"\n" + long))
    assert len(read.examples) == 2
    assert [(problem.line, problem.code) for problem in read.problems] == [
        (2, "dataset_line_too_long"), (4, "dataset_line_too_long")]


def test_the_line_limit_itself_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "MAX_LINE_BYTES", len(GOOD) + 1)
    assert len(read_dataset(write(tmp_path, (GOOD + b"\n") * 3)).examples) == 3


def test_problems_kept_are_bounded_and_all_are_counted(tmp_path: Path) -> None:
    read = read_dataset(write(tmp_path, GOOD + b"\n" + b"{}\n" * 1500))
    assert (len(read.problems), read.bad_lines) == (dataset.MAX_PROBLEMS_KEPT, 1500)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "dataset_empty"),
        (b"\n \r\n\n", "dataset_empty"),
        (b"\xef\xbb\xbf", "dataset_empty"),
        (b"instruction,output\na,b\n", "dataset_not_jsonl"),
        (b'[\n{"instruction": "a", "output": "b"},\n]', "dataset_not_jsonl"),
        (b"%PDF-1.7\n\x00\x01\x02" * 50, "dataset_not_jsonl"),
        (b'{"prompt": "a", "completion": "b"}\n' * 3, "dataset_no_good_rows"),
        (GOOD.decode().encode("utf-16"), "dataset_wrong_encoding"),
    ],
)
def test_a_file_without_a_single_example_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    with pytest.raises(TrainingError) as refused:
        read_dataset(write(tmp_path, content))
    assert refused.value.code == code
    for language in i18n.LANGUAGES:
        assert "examples.jsonl" in i18n.explain(language, refused.value)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="dataset_missing"):
        read_dataset(tmp_path / "none.jsonl")
    with pytest.raises(TrainingError, match="dataset_unreadable"):
        read_dataset(tmp_path)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    examples = (Example("¿Qué?\n\nUna línea\u2028otra", "Sí \"claro\" 👍"), Example("a", "b"))
    write_dataset(tmp_path / "copy.jsonl", examples)
    assert read_dataset(tmp_path / "copy.jsonl").examples == examples


def test_a_row_keeps_prompt_and_completion_apart() -> None:
    assert to_rows(Example("a", "b")) == {
        "prompt": [{"role": "user", "content": "a"}],
        "completion": [{"role": "assistant", "content": "b"}],
    }


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_the_sample_of_each_language_is_whole(language: str) -> None:
    read = read_dataset(SAMPLES / f"taller_{language}.jsonl")
    assert len(read.examples) >= 24
    assert read.bad_lines == 0
    assert len(set(read.examples)) == len(read.examples)
