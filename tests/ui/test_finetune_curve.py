"""Curves stay light, say what they show to those who do not see them, and can be laid over each other."""

from __future__ import annotations

import pytest

from tests.ui.made_runs import HOSTILE, run, steps
from ui.finetune_curve import POINTS_SHOWN, curves, nice_ticks, smoothed, thinned

EVALS = ({"event": "eval", "step": 5, "total": 10, "loss": 1.5},
         {"event": "eval", "step": 10, "total": 10, "loss": 1.2})


def test_nothing_is_drawn_before_the_first_figure() -> None:
    assert curves("en", run()) == ""
    assert curves("en", run(steps=({"event": "step", "step": 1, "total": 4, "loss": None},))) == ""


@pytest.mark.parametrize("count", [0, 1, 299, 300, 301, 5000, 100_000])
def test_a_curve_is_thinned_and_keeps_its_end(count: int) -> None:
    points = thinned([(float(number), 0.0) for number in range(count)])
    assert len(points) <= POINTS_SHOWN
    assert not count or points[-1][0] == count - 1


def test_training_held_out_and_learning_rate_are_drawn_and_said() -> None:
    html = curves("en", run(steps=steps(10, 10), evals=EVALS))
    for kind in ("train", "eval", "rate"):
        assert f'<polyline class="{kind}"' in html
    assert "from 3.000 at step 1 to 0.300 at step 10" in html
    assert '<div class="unseen"><table>' in html and "held out" in html


def test_a_noisy_curve_is_smoothed_and_its_points_stay_behind_it() -> None:
    html = curves("es", run(steps=steps(40, 40)))
    assert '<polyline class="raw"' in html and '<polyline class="train"' in html
    assert smoothed([(1.0, 4.0)]) == ((1.0, 4.0),)
    values = [value for _, value in smoothed([(float(step), float(step % 2)) for step in range(100)])]
    assert max(values[50:]) - min(values[50:]) < 0.2


def test_two_runs_share_one_plot() -> None:
    html = curves("en", run(steps=steps(10, 10), evals=EVALS), run(name="other", steps=steps(20, 30), evals=EVALS))
    assert 'class="train other"' in html and 'class="eval other"' in html and 'data-last="30"' in html


def test_a_single_point_and_equal_values_can_be_drawn() -> None:
    assert "<polyline" in curves("en", run(steps=steps(1, 3)))
    flat = tuple({**step, "loss": 0.0} for step in steps(5, 5))
    assert "nan" not in curves("en", run(steps=flat)).lower()


@pytest.mark.parametrize(("low", "high"), [(0, 1), (6.22, 6.26), (0, 2e-4), (1e-9, 1e9), (0, 100_000)])
def test_ticks_are_few_and_lie_within(low: float, high: float) -> None:
    ticks = nice_ticks(low, high, 4)
    assert 2 <= len(ticks) <= 6 and all(low - 1e-9 <= tick <= high * (1 + 1e-9) for tick in ticks)


def test_hostile_names_stay_text() -> None:
    html = curves("en", run(steps=steps(3, 3)), run(name="b", title=HOSTILE, steps=steps(3, 3)))
    assert "<script" not in html and "&lt;script&gt;" in html
