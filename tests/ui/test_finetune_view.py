"""A run as HTML: every state and outcome in both languages, and text from outside that stays text."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from core.finetune.run import State
from tests.ui.made_runs import HOSTILE, run, steps
from ui.finetune_runs_view import RUNS_SHOWN, runs_table
from ui.finetune_view import empty, run_card
from ui.i18n import LANGUAGES, plural, translate

both_languages = pytest.mark.parametrize("language", LANGUAGES)


@both_languages
@pytest.mark.parametrize("state", get_args(State))
def test_every_state_has_its_word_and_its_badge(language: str, state: State) -> None:
    word = translate(language, f"finetune.state_{state}")
    assert f'<span class="badge {state}" role="status">{word}</span>' in run_card(language, run(state))


@both_languages
def test_before_the_first_run_three_steps_are_told(language: str) -> None:
    assert empty(language).count("<li>") == 3


@both_languages
def test_a_run_that_was_asked_to_stop_says_so(language: str) -> None:
    assert translate(language, "finetune.state_stopping") in run_card(language, run(stop_asked=True))


@both_languages
def test_before_the_first_step_it_says_what_takes_so_long(language: str) -> None:
    assert translate(language, "finetune.loading_hint") in run_card(language, run("loading"))
    assert translate(language, "finetune.loading_hint") not in run_card(language, run("failed"))


def test_progress_figures_follow_the_language() -> None:
    html = run_card("es", run(steps=steps(4, 10)))
    assert '<progress max="10" value="4"' in html
    for fact in ("4 / 10", "0,750", "151", "1,5 GB", translate("es", "finetune.left_column"), "0:12"):
        assert fact in html
    assert "0.750" in run_card("en", run(steps=steps(4, 10)))


@both_languages
def test_while_it_measures_it_says_that_all_is_saved(language: str) -> None:
    hint = translate(language, "finetune.evaluating_hint")
    assert hint in run_card(language, run("evaluating", steps=steps(3, 3)))
    assert hint not in run_card(language, run("training", steps=steps(3, 3)))


def test_what_was_loaded_and_what_was_left_out_is_said() -> None:
    plan = {"device": "cpu", "precision": "bf16", "dropped_rows": 1, "shortened_rows": 2, "bytes_4bit": 3_000_000,
            "bytes_other": 1_000_000, "matched_modules": 8, "target_modules": ["q_proj"], "packing": "leaks",
            "missing_modules": ["k_proj"]}
    html = run_card("en", run(plan=plan, steps=steps(1, 2)))
    assert plural("en", "finetune.dropped_rows", 1) in html and plural("en", "finetune.shortened_rows", 2) in html
    for text in ("3.0 MB", "1.0 MB", "8 layers", "q_proj", "k_proj", translate("en", "finetune.packing_leaks")):
        assert text in html


@both_languages
def test_a_failed_or_interrupted_run_says_why(language: str) -> None:
    html = run_card(language, run("failed", error=("train_crashed", {"reason": HOSTILE})))
    assert "&lt;script&gt;" in html and "<script" not in html
    cut = run_card(language, run("interrupted", error=("train_interrupted_memory", {})))
    assert translate(language, "error.train_interrupted_memory") in cut and 'role="alert"' in cut


@both_languages
def test_a_finished_or_stopped_run_says_where_its_adapter_is(language: str, tmp_path: Path) -> None:
    folder = tmp_path / "gpt_oss_fine_tuned" / "run-1"
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter" / "adapter_config.json").write_text("{}", encoding="utf-8")
    for state, key in (("finished", "saved"), ("stopped", "stopped_kept")):
        html = run_card(language, run(state, name="run-1", folder=folder))  # type: ignore[arg-type]
        assert translate(language, f"finetune.{key}", folder="gpt_oss_fine_tuned/run-1/adapter") in html


@both_languages
def test_the_list_tells_each_run_and_offers_what_can_be_done(language: str) -> None:
    one, other = run("finished", steps=steps(2, 2), title="Mi modelo"), run("training", name="b")
    html = runs_table(language, [one, other], one.name)
    assert "Mi modelo" in html and 'aria-current=true' in html and html.count("<tr data-name") == 2
    assert html.count('data-act="delete"') == 1  # not of the one that goes
    assert html.count('data-act="compare"') == 1  # not with itself


def test_a_deleted_run_can_be_brought_back_from_the_list_even_when_it_is_empty() -> None:
    assert 'data-act="undo" data-name="run-1"' in runs_table("en", [], "", undo="run-1")


def test_a_very_long_list_is_cut_and_says_so() -> None:
    html = runs_table("en", [run("finished", name=f"r{number}") for number in range(RUNS_SHOWN + 7)], "")
    assert html.count("<tr data-name") == RUNS_SHOWN and translate("en", "finetune.list_cut", count=7) in html


def test_hostile_names_stay_text() -> None:
    hostile = run(name=HOSTILE, title=HOSTILE, dataset={"name": HOSTILE})
    assert "<script" not in run_card("en", hostile) + runs_table("en", [hostile, run()], "", undo=HOSTILE)
