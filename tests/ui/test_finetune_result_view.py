"""Whether it helped, in words with figures; verdicts before the start, and what they offer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.errors import TrainingError
from core.finetune.comparing import compare
from core.finetune.config import TrainConfig
from core.finetune.estimate import Estimate
from core.finetune.memory import Need
from tests.ui.made_runs import HOSTILE, run, steps
from ui.finetune_result_view import both_answers, differences, result
from ui.finetune_verdict_view import chips, offers_of, refusal, time_words, verdict
from ui.i18n import LANGUAGES, translate

both_languages = pytest.mark.parametrize("language", LANGUAGES)
SAMPLE = {"prompt": HOSTILE, "expected": HOSTILE, "base": HOSTILE, "tuned": HOSTILE}
NEED = Need(600_000_000, 1_000_000_000, 300_000_000, 90_000_000, 400_000_000, 50_000_000)


def told(kind: str, base: float | None = 2.0, tuned: float | None = 1.0) -> dict[str, Any]:
    return {"event": "result", "verdict": kind, "base_loss": base, "tuned_loss": tuned, "rows": 10, "held_out": True,
            "samples": [SAMPLE]}


@both_languages
@pytest.mark.parametrize("kind", ["helped", "no_change", "worse", "not_measured"])
def test_every_verdict_is_said_with_both_losses_and_the_answers(language: str, kind: str) -> None:
    html = result(language, run("finished", result=told(kind)))
    words = translate(language, f"finetune.verdict_{kind}", base="", tuned="", percent="50").split(":")[0].split(",")[0]
    assert words in html and html.count("&lt;script&gt;") == 4 and "<script" not in html
    assert ("2,000" if language == "es" else "2.000") in html


def test_a_result_from_another_version_or_without_losses_breaks_nothing() -> None:
    assert "—" not in result("en", run("finished", result=told("strange", None, None)))
    assert result("en", run("training", result=told("helped"))) == ""


def test_two_answers_stand_side_by_side_and_stay_text() -> None:
    html = both_answers("en", HOSTILE, HOSTILE, "", now="tuned")
    assert "<script" not in html and translate("en", "finetune.being_loaded") in html
    assert translate("en", "finetune.both_answered") in both_answers("en", "q", "a", "b")


def test_a_comparison_names_each_setting_that_differs() -> None:
    one = run("finished", steps=steps(2, 2), dataset={"name": HOSTILE})
    other = run("finished", name="b", config=replace(TrainConfig(), batch_size=1, packing=True), steps=steps(1, 1))
    html = differences("en", compare(one, other))
    assert "<script" not in html
    for text in ("Batch size", "<td>4</td><td>1</td>", "<td>no</td><td>yes</td>", "<td>1.500</td><td>3.000</td>"):
        assert text in html
    assert translate("en", "finetune.same_settings") in differences("en", compare(one, one))


def estimate(kind: str, **values: Any) -> Estimate:
    known: dict[str, Any] = {
        "verdict": kind, "config": TrainConfig(model="m"), "need": NEED, "free_bytes": 2_000_000_000, "on_gpu": False,
        "disk_bytes": 1_000_000, "disk_free_bytes": 9_000_000_000, "steps": 42, "seconds": 4000.0, "measured": False}
    return Estimate(**{**known, **values})


@both_languages
@pytest.mark.parametrize("kind", ["fits", "tight", "does_not_fit", "unknown"])
def test_every_verdict_before_the_start_has_its_numbers(language: str, kind: str) -> None:
    found = estimate(kind, need=None, seconds=None) if kind == "unknown" else estimate(kind)
    html = verdict(language, found, TrainConfig(model="m"), 60)
    assert "42" in html and "60" in html
    assert kind == "unknown" or ("2,4 GB" if language == "es" else "2.4 GB") in html


def test_offline_it_is_said_why_nothing_is_known() -> None:
    unknown = verdict("en", estimate("unknown", need=None), TrainConfig(model="m"), 60, offline=True)
    assert "without a connection" in unknown
    assert "without a connection" not in verdict("en", estimate("fits"), TrainConfig(model="m"), 60, offline=True)


def test_tight_offers_the_smaller_batch_and_too_large_another_model() -> None:
    smaller = replace(TrainConfig(model="m"), batch_size=1, gradient_accumulation=4)
    assert offers_of(estimate("tight", config=smaller), TrainConfig(model="m"))[0].settings == {
        "batch_size": "1", "gradient_accumulation": "4"}
    large = offers_of(estimate("does_not_fit"), TrainConfig(model="m"))
    assert [offer.key for offer in large] == ["shorter", "model"]
    assert 'data-act="offer"' in verdict("en", estimate("does_not_fit"), TrainConfig(model="m"), 60)
    assert offers_of(estimate("fits"), TrainConfig(model="m")) == []


def test_a_refusal_offers_the_small_model_and_stays_text() -> None:
    error = TrainingError("train_gpt_oss_needs_gpu", model=HOSTILE, needed_gb=48, available_gb=4, small_model="s")
    html = refusal("en", error, TrainConfig(), "s")
    assert "<script" not in html and 'data-act="offer"' in html


def test_what_differs_from_the_recipe_is_said() -> None:
    changed = replace(TrainConfig(model="m"), batch_size=1)
    assert "Batch size: 1 (4)" in verdict("en", estimate("fits"), changed, 60)
    assert translate("en", "finetune.as_recipe") in verdict("en", estimate("fits"), TrainConfig(model="m"), 60)


@pytest.mark.parametrize(("seconds", "words"), [(5, "5 seconds"), (120, "2 minutes"), (7200, "2 hours"),
                                                (86400 * 4, "4 days"), (0, "a second")])
def test_durations_are_as_exact_as_they_can_be_known(seconds: float, words: str) -> None:
    assert words in time_words("en", seconds)


def test_suggested_models_stay_text() -> None:
    assert "<script" not in chips("en", [(HOSTILE, "here"), ("Qwen/Qwen3-0.6B", "fits")])
