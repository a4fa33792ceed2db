"""Datasets: good rows, hostile lines, files of another kind, the samples."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from pathlib import Path

import pytest

from core.errors import TrainingError
from core.finetune import dataset, formats
from core.finetune.dataset import (
    ColumnMapping,
    Example,
    Turn,
    check_dataset,
    read_dataset,
    stored_examples,
    to_rows,
    write_dataset,
)
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
    monkeypatch.setattr(formats, "MAX_LINE_BYTES", 100)
    long = b'{"instruction": "' + b"x" * 1000 + b'", "output": "b"}'
    read = read_dataset(write(tmp_path, GOOD + b"\n" + long + b"\n" + GOOD + b"\n" + long))
    assert len(read.examples) == 2
    assert [(problem.line, problem.code) for problem in read.problems] == [
        (2, "dataset_line_too_long"), (4, "dataset_line_too_long")]


def test_the_line_limit_itself_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_LINE_BYTES", len(GOOD) + 1)
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
        (b"a;b\nc;d\n", "dataset_not_jsonl"),
        (b'[\n"a",\n"b"]', "dataset_not_jsonl"),
        (b'[{"instruction": "a", "out', "dataset_no_good_rows"),
        (b"%PDF-1.7\n\x00\x01\x02" * 50, "dataset_not_jsonl"),
        (b'{"foo": "a", "bar": "b"}\n' * 3, "dataset_columns_unknown"),
        (b'{"prompt": "a", "completion": 1}\n' * 3, "dataset_no_good_rows"),
        (b"PAR1 and nothing that fits", "dataset_parquet_broken"),
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
    chat = Example("Y en Perú?", "Lima", (Turn("system", "Sé breve"), Turn("user", "a"), Turn("assistant", "b")), 7)
    write_dataset(tmp_path / "copy.jsonl", [chat])
    (again,) = stored_examples(tmp_path / "copy.jsonl")
    assert (again, again.line) == (chat, 7)
    assert read_dataset(tmp_path / "copy.jsonl").examples == (chat,)
    assert check_dataset(tmp_path / "copy.jsonl").unused_columns == ()


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


# Conversations.

CHAT = [{"role": "system", "content": "Sé breve"}, {"role": "user", "content": "¿Capital de Chile?"},
        {"role": "assistant", "content": "Santiago"}, {"role": "user", "content": "¿Y de Perú?"},
        {"role": "assistant", "content": "Lima"}]


def chat_line(turns: object) -> bytes:
    return json.dumps({"messages": turns}).encode()


def test_every_answer_of_a_conversation_is_an_example_with_what_came_before(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + b"\n" + chat_line(CHAT))
    _, first, second = read_dataset(path).examples
    assert (first.instruction, first.output, first.history) == (
        "¿Capital de Chile?", "Santiago", (Turn("system", "Sé breve"),))
    assert to_rows(second) == {"prompt": CHAT[:4], "completion": CHAT[4:]}
    assert first.line == second.line == 2
    report = check_dataset(path, turns="last")
    assert (report.rows, report.examples, report.preview[-1].output) == (2, 2, "Lima")


def test_other_ways_to_write_a_conversation_are_understood(tmp_path: Path) -> None:
    sharegpt = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    parts = [{"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role": "assistant", "content": "b"}]
    lines = [json.dumps({"conversations": sharegpt}), json.dumps({"messages": parts})]
    assert read_dataset(write(tmp_path, "\n".join(lines).encode())).examples == (Example("a", "b"),) * 2


def test_a_system_text_and_earlier_turns_may_stand_in_columns(tmp_path: Path) -> None:
    row = {"system": "Sé breve", "history": [["a", "b"]], "instruction": "c", "output": "d"}
    read = read_dataset(write(tmp_path, json.dumps(row).encode() + b"\n" + json.dumps({**row, "history": 7}).encode()))
    before = (Turn("system", "Sé breve"), Turn("user", "a"), Turn("assistant", "b"))
    assert read.examples == (Example("c", "d", before),)
    assert [problem.code for problem in read.problems] == ["dataset_line_chat_not_list"]


@pytest.mark.parametrize(
    ("turns", "code"),
    [
        ("hola", "dataset_line_chat_not_list"),
        ({"role": "user"}, "dataset_line_chat_not_list"),
        (CHAT[:4], "dataset_line_chat_no_answer"),
        ([CHAT[0]], "dataset_line_chat_no_answer"),
        (CHAT[2:], "dataset_line_chat_order"),
        ([CHAT[1], CHAT[0], CHAT[2]], "dataset_line_chat_order"),
        ([CHAT[1], CHAT[1], CHAT[2]], "dataset_line_chat_order"),
        ([CHAT[1], {"role": "tool", "content": "x"}, CHAT[2]], "dataset_line_chat_role"),
        ([CHAT[1], {"role": "assistant", "content": None}], "dataset_line_chat_turn"),
        ([CHAT[1], "Santiago"], "dataset_line_chat_turn"),
        ([CHAT[1], {"role": "assistant", "content": " "}], "dataset_line_chat_empty"),
        ([CHAT[1], {"role": "assistant", "content": "a\0"}], "dataset_line_nul"),
        ([CHAT[1], {"role": "assistant", "content": "a\ud800"}], "dataset_line_not_utf8"),
        ([CHAT[1], {"role": "assistant", "content": [{"type": "image"}]}], "dataset_line_chat_turn"),
    ],
)
def test_a_conversation_no_template_takes_is_told_by_line_and_turn(tmp_path: Path, turns: object, code: str) -> None:
    read = read_dataset(write(tmp_path, GOOD + b"\n" + chat_line(turns)))
    assert [(problem.line, problem.code) for problem in read.problems] == [(2, code)]
    for language in i18n.LANGUAGES:
        assert "2" in i18n.translate(language, f"error.{code}", **read.problems[0].values)


# Columns.


@pytest.mark.parametrize(
    ("names", "mapping"),
    [
        (["output", "input", "instruction"], ColumnMapping("instruction", "input", "output")),
        (["Pregunta", " Respuesta "], ColumnMapping("Pregunta", "", " Respuesta ")),
        (["instrucción", "contexto", "salida", "id"], ColumnMapping("instrucción", "contexto", "salida")),
        (["prompt", "completion"], ColumnMapping("prompt", "", "completion")),
        (["input", "output"], ColumnMapping("input", "", "output")),
        (["messages", "source"], ColumnMapping(messages="messages")),
        (["a", "b"], ColumnMapping()),
    ],
)
def test_usual_names_tell_the_columns(names: list[str], mapping: ColumnMapping) -> None:
    assert dataset.guess_mapping(names) == mapping


def test_the_caller_may_say_which_columns_to_use_and_unused_ones_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, b'{"frase": "a", "traduccion": "b", "output": "c"}\n{"frase": "d"}')
    report = check_dataset(path, mapping=ColumnMapping("frase", "", "traduccion"))
    assert (report.preview, report.bad_rows, report.unused_columns) == ((Example("a", "b"),), 1, ("output",))
    assert report.problems[0].values == {"line": 2, "field": "traduccion"}


# The report.


def test_a_report_counts_repeats_and_names_their_lines(tmp_path: Path) -> None:
    other = b'{"instruction": "a", "output": "c"}'
    report = check_dataset(write(tmp_path, b"\n".join([GOOD, other, GOOD, b"rubbish", other, GOOD])))
    assert (report.rows, report.examples, report.bad_rows) == (6, 5, 1)
    assert (report.duplicates, report.repeated_lines) == (3, ((3, 1), (5, 2), (6, 1)))


def test_rows_to_show_are_the_first_and_some_from_everywhere(tmp_path: Path) -> None:
    lines = [json.dumps({"instruction": str(number), "output": "b"}) for number in range(1000)]
    path = write(tmp_path, "\n".join(lines).encode())
    shown = [int(example.instruction) for example in check_dataset(path).preview]
    assert len(shown) == dataset.PREVIEW_ROWS and shown == sorted(shown)
    assert shown[0] == 0 and shown[-1] > 100
    assert [int(example.instruction) for example in check_dataset(path).preview] == shown


def test_good_rows_are_written_as_they_are_read_and_nothing_stays_of_a_failed_check(tmp_path: Path) -> None:
    target = tmp_path / "run" / "dataset.jsonl"
    target.parent.mkdir()
    report = check_dataset(write(tmp_path, GOOD + b"\nrubbish\n" + chat_line(CHAT)), write_to=target)
    written = list(stored_examples(target))
    assert len(written) == report.examples == 3
    assert [example.line for example in written] == [1, 3, 3]
    target.unlink()
    with pytest.raises(TrainingError):
        check_dataset(write(tmp_path, b"rubbish"), write_to=target)

    def give_up(rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_dataset(write(tmp_path, (GOOD + b"\n") * 6000), write_to=target, on_progress=give_up)
    assert list(target.parent.iterdir()) == []


def test_rows_with_names_of_megabytes_or_without_number_fill_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    with (tmp_path / "a.jsonl").open("w") as file:
        file.write(GOOD.decode() + "\n")
        for number in range(40):
            file.write(json.dumps({str(number) + "x" * 1_000_000: 1, "instruction": "a", "output": "b"}) + "\n")
        file.write(json.dumps({str(number): 1 for number in range(200_000)}) + "\n")
    tracemalloc.start()
    report = check_dataset(tmp_path / "a.jsonl")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (report.examples, report.bad_rows) == (41, 1)
    assert len(report.columns) <= 2 * dataset.MAX_COLUMNS_KEPT and max(map(len, report.columns)) <= 100
    assert kept < 10_000_000


def test_a_page_answers_while_a_large_file_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    row = json.dumps({"instruction": "pregunta " * 15, "output": "respuesta " * 15}) + "\n"
    path.write_text(row * 50_000, encoding="utf-8")

    async def lags() -> list[float]:
        """How late an event loop comes, in seconds, while a thread beside it checks the file."""
        checking = asyncio.create_task(asyncio.to_thread(check_dataset, path, write_to=tmp_path / "good.jsonl"))
        found = []
        while not checking.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            found.append(time.monotonic() - before - 0.01)
        assert (await checking).examples == 50_000
        return found

    found = asyncio.run(lags())
    assert len(found) > 10
    assert statistics.median(found) < 0.1
