"""Tokens are rather over- than underestimated, whatever a server counts."""

from __future__ import annotations

from core.chat.budget import DEFAULT_RATIO, Calibration, estimate_tokens

TEXT = "palabra " * 500  # 4000 characters


def learnt(*counts: int) -> float:
    calibration = Calibration()
    for count in counts:
        calibration.learn("m", [TEXT], count)
    return calibration.ratio("m")


def test_a_model_that_needs_more_tokens_is_believed_at_once() -> None:
    assert learnt(2000) < 2.0
    assert estimate_tokens(TEXT, learnt(2000)) >= 2000


def test_a_model_that_needs_fewer_is_believed_after_some_samples_and_with_a_margin() -> None:
    assert learnt(1000) <= DEFAULT_RATIO
    assert DEFAULT_RATIO < learnt(*[1000] * 6) < 4.0
    assert estimate_tokens(TEXT, learnt(*[1000] * 6)) > 1000


def test_counts_of_cached_prompts_change_nothing() -> None:
    assert learnt(*[20] * 10) == learnt(*[500] * 10) == learnt(0) == DEFAULT_RATIO
    assert learnt(*[800] * 10, 1300) == learnt(1300)


def test_a_refused_prompt_makes_the_estimate_more_careful() -> None:
    calibration = Calibration()
    calibration.tighten("m")
    assert calibration.ratio("m") < DEFAULT_RATIO * 0.85
    for _ in range(50):
        calibration.tighten("m")
    assert calibration.ratio("m") > 1


def test_a_refusal_is_forgotten_after_three_prompts_that_were_counted() -> None:
    calibration = Calibration({"m": [3.6] * 20})
    usual = calibration.ratio("m")
    assert round(usual, 2) == 3.35
    calibration.tighten("m")
    ratios = [calibration.ratio("m")]
    for count in (20, 1150, 1150, 1150):  # cached, which tells nothing; 3.5 characters a token
        calibration.learn("m", [TEXT], count)
        ratios.append(calibration.ratio("m"))
    assert [round(ratio, 2) for ratio in ratios] == [2.68, 2.68, 2.68, 2.68, 3.26]


def test_a_refusal_by_a_model_that_does_need_more_tokens_leaves_what_was_measured() -> None:
    calibration = Calibration()
    calibration.tighten("m")
    for _ in range(3):
        calibration.learn("m", [TEXT], 2000)
    assert calibration.ratio("m") == learnt(2000) < 2.0


def test_models_do_not_learn_from_each_other() -> None:
    calibration = Calibration()
    calibration.learn("a", [TEXT], 2000)
    assert calibration.ratio("b") == DEFAULT_RATIO
