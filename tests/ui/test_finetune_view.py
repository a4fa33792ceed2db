"""A dataset and a run as HTML: every state and outcome in both languages, and text from outside that stays text."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from core.finetune.config import TrainConfig
from core.finetune.dataset import read_dataset
from core.finetune.run import Run, State
from ui.finetune_view import curve, dataset_summary, run_status
from ui.i18n import LANGUAGES, plural, translate

HOSTILE = "<script>alert(1)</script>"
both_languages = pytest.mark.parametrize("language", LANGUAGES)


def run(state: State = "training", **values: Any) -> Run:
    fields: dict[str, Any] = {"name": "2026-01-01-1200-m", "folder": Path("runs/2026-01-01-1200-m"),
                              "config": TrainConfig(), "created": datetime(2026, 1, 1, 12), "plan": {}, "steps": (),
                              "error": None, "stop_asked": False, "seconds": 0.0}
    return Run(state=state, **{**fields, **values})


def steps(count: int, total: int) -> tuple[dict[str, Any], ...]:
    return tuple({"event": "step", "step": number, "total": total, "loss": 3.0 / number, "seconds": 2.0 * number,
                  "tokens_per_second": 151.4, "memory_bytes": 1_500_000_000} for number in range(1, count + 1))


@both_languages
@pytest.mark.parametrize("state", get_args(State))
def test_every_state_has_its_word_and_its_badge(language: str, state: State) -> None:
    html = run_status(language, run(state))
    assert f'<span class="badge {state}">{translate(language, f"finetune.state_{state}")}</span>' in html


@both_languages
def test_before_the_first_step_it_says_what_takes_so_long(language: str) -> None:
    assert translate(language, "finetune.loading_hint") in run_status(language, run("loading"))
    assert translate(language, "finetune.loading_hint") not in run_status(language, run("failed"))


def test_progress_figures_follow_the_language() -> None:
    html = run_status("es", run(steps=steps(4, 10)))
    assert '<progress max="10" value="4">' in html
    for fact in (translate("es", "finetune.step", step=4, total=10), "0,750", "151", "1,5 GB",
                 translate("es", "finetune.time_left", time="0:12")):
        assert fact in html
    assert "0.750" in run_status("en", run(steps=steps(4, 10)))


def test_a_step_without_a_loss_breaks_nothing() -> None:
    torn = ({"event": "step", "step": 1, "total": 4, "loss": None},)
    assert translate("en", "finetune.step", step=1, total=4) in run_status("en", run(steps=torn))
    assert len(curve(torn)) == 0


def test_what_was_loaded_and_what_was_left_out_is_said() -> None:
    plan = {"device": "cpu", "precision": "bf16", "dropped_rows": 1, "shortened_rows": 2}
    html = run_status("en", run(plan=plan, steps=steps(1, 2)))
    assert plural("en", "finetune.dropped_rows", 1) in html and plural("en", "finetune.shortened_rows", 2) in html
    assert translate("en", "finetune.device", device="cpu", precision="bf16") in html


@both_languages
def test_a_failed_run_says_why_and_an_interrupted_one_where_to_look(language: str) -> None:
    failed = run("failed", error=("train_crashed", {"reason": HOSTILE}))
    html = run_status(language, failed)
    assert "&lt;script&gt;" in html and "<script" not in html
    hint = translate(language, "finetune.interrupted_hint", log="log.txt")
    assert hint in run_status(language, run("interrupted"))


@both_languages
def test_a_finished_or_stopped_run_says_where_its_adapter_is(language: str, tmp_path: Path) -> None:
    folder = tmp_path / "gpt_oss_fine_tuned" / "run-1"
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter" / "adapter_config.json").write_text("{}", encoding="utf-8")
    for state in ("finished", "stopped"):
        html = run_status(language, run(state, name="run-1", folder=folder))
        assert translate(language, "finetune.saved", folder="gpt_oss_fine_tuned/run-1/adapter") in html


@pytest.mark.parametrize("count", [0, 1, 299, 300, 301, 5000, 100_000])
def test_the_curve_is_thinned_and_keeps_its_end(count: int) -> None:
    points = curve(steps(count, count))
    assert len(points) <= 300
    assert list(points.columns) == ["step", "loss"]
    if count:
        assert points["step"].iloc[-1] == count
        assert points["step"].is_monotonic_increasing


@both_languages
def test_a_dataset_tells_its_good_rows_and_names_the_bad_lines(language: str, tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text('{"instruction": "' + "long " * 100 + '", "output": "b"}\nnot json\n{"instruction": "a"}\n',
                    encoding="utf-8")
    html = dataset_summary(language, read_dataset(path), path.name)
    assert plural(language, "finetune.rows", 1) in html and plural(language, "finetune.bad_lines", 2) in html
    assert translate(language, "error.dataset_line_not_json", line=2) in html
    assert translate(language, "error.dataset_line_missing_field", line=3, field="output") in html
    assert "…" in html


def test_many_bad_lines_are_counted_rather_than_listed(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text('{"instruction": "a", "output": "b"}\n' + "bad\n" * 1500, encoding="utf-8")
    html = dataset_summary("en", read_dataset(path), path.name)
    assert html.count("<li>") == 9 and plural("en", "finetune.more_problems", 1492) in html


def test_hostile_rows_and_names_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text(f'{{"instruction": "{HOSTILE}", "output": "{HOSTILE}"}}\n', encoding="utf-8")
    html = dataset_summary("en", read_dataset(path), HOSTILE)
    assert "<script" not in html and html.count("&lt;script&gt;") == 3
    assert "<script" not in run_status("en", run(name=HOSTILE))
