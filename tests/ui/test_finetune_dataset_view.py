"""A dataset as HTML: counts, wrong rows by line, lengths and the rows as the model sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import TrainingError
from core.finetune.dataset import check_dataset
from core.finetune.inspection import Inspection, PreviewRow, Span
from tests.ui.made_runs import HOSTILE
from ui.finetune_dataset import columns_of
from ui.finetune_dataset_view import PROBLEMS_SHOWN, lengths, plain_preview, preview, summary, trouble
from ui.i18n import LANGUAGES, plural, translate

both_languages = pytest.mark.parametrize("language", LANGUAGES)
GOOD = '{"instruction": "a", "output": "b"}\n'


def inspection(**values: Any) -> Inspection:
    known: dict[str, Any] = {"model": "m", "examples": 4, "prompts": (5, 5, 60, 10), "totals": (10, 20, 90, 50),
                             "positions": 0, "preview": ()}
    return Inspection(**{**known, **values})


@both_languages
def test_a_dataset_tells_its_good_rows_and_names_the_bad_lines(language: str, tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text(GOOD + 'not json\n{"instruction": "a"}\n' + GOOD, encoding="utf-8")
    html = summary(language, check_dataset(path))
    assert plural(language, "finetune.rows", 2) in html and plural(language, "finetune.bad_lines", 2) in html
    assert translate(language, "error.dataset_line_not_json", line=2) in html
    assert translate(language, "error.dataset_line_missing_field", line=3, field="output") in html
    assert plural(language, "finetune.duplicates", 1) in html
    assert translate(language, "finetune.repeat", line=4, first=1) in html


def test_an_input_that_only_some_rows_have_is_no_unused_column(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text(GOOD + '{"instruction": "a", "input": "c", "output": "b", "topic": "x"}\n', encoding="utf-8")
    assert translate("en", "finetune.unused_columns", names="topic") in summary("en", check_dataset(path))


def test_many_bad_lines_are_counted_rather_than_listed(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text(GOOD + "bad\n" * 1500, encoding="utf-8")
    html = summary("en", check_dataset(path))
    assert html.count("<li>") == PROBLEMS_SHOWN + 1
    assert plural("en", "finetune.more_problems", 1500 - PROBLEMS_SHOWN) in html


@both_languages
def test_what_the_chosen_length_would_cut_or_leave_out_is_said(language: str) -> None:
    html = lengths(language, inspection(), 30)
    assert plural(language, "finetune.would_cut", 1, limit="30") in html
    assert plural(language, "finetune.would_drop", 1, limit="30") in html
    assert 'class="bar beyond"' in html and 'class="limit"' in html
    assert translate(language, "finetune.none_cut", limit="100") in lengths(language, inspection(), 100)


def test_rows_a_template_refuses_are_told_with_its_words() -> None:
    html = lengths("en", inspection(refused=2, refused_line=7, refusal=HOSTILE, totals=(), prompts=()), 30)
    assert "line 7" in html and "<script" not in html and "&lt;script&gt;" in html


def test_the_trained_part_and_what_is_cut_are_marked_and_stay_text() -> None:
    row = PreviewRow(3, (Span("<|user|>" + HOSTILE, False), Span("yes & no", True), Span("gone", False, True)), 4, 9)
    html = preview("en", [row, row], 3)
    assert '<span class="trained">yes &amp; no</span>' in html and '<span class="cut">gone</span>' in html
    assert "<script" not in html and translate("en", "finetune.row_of", place=2, rows=2) in html


def test_without_a_model_the_examples_show_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text(f'{{"instruction": "{HOSTILE}", "output": "{HOSTILE}"}}\n', encoding="utf-8")
    report = check_dataset(path)
    html = summary("en", report, HOSTILE) + plain_preview("en", report.preview, 0)
    assert "<script" not in html and html.count("&lt;script&gt;") == 3
    told = trouble("en", TrainingError("train_hub_unreachable", model="x/y"))
    assert translate("en", "finetune.not_counted") in told


def test_the_columns_of_any_file_can_be_offered(tmp_path: Path) -> None:
    table, lines = tmp_path / "a.csv", tmp_path / "a.jsonl"
    table.write_text("frase,traducción\nhola,hello\n", encoding="utf-8")
    lines.write_text('{"frase": "hola", "extra": 1}\nbad\n{"traducción": "hello"}\n', encoding="utf-8")
    assert columns_of(table) == ("frase", "traducción")
    assert columns_of(lines) == ("frase", "extra", "traducción")
    assert columns_of(tmp_path / "nothing.jsonl") == ()
