"""The curves of one run, or of two over each other, as an inline SVG that follows the page's colours.

At most 300 points a line. Lines stretch with the page while letters keep their size: those are HTML beside the SVG.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from core.finetune.run import Run
from ui.finetune_words import figure
from ui.i18n import translate

POINTS_SHOWN = 300  # more make the browser slow and the curve no clearer
FIGURES_SHOWN = 12  # in the table for those who do not see the curve
_SMOOTH_FROM = 20  # points; a shorter curve is clear as it is
_SMOOTHING = 0.85  # how much of the past a smoothed point keeps

Point = tuple[float, float]  # step, value


@dataclass(frozen=True)
class Line:
    """`kind` is a class of the style sheet: train, raw, eval, rate, with `other` for the second run's."""

    kind: str
    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Axis:
    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Where a value lies between `low` (0) and `high` (1)."""
        return (value - self.low) / (self.high - self.low)


def curves(language: str, run: Run, other: Run | None = None) -> str:
    """Loss of training and of held-out rows, and below it the learning rate; empty before the first figure."""
    lines = loss_lines(language, run)
    if other is not None:
        lines += loss_lines(language, other, second=True)
    if not any(line.points for line in lines):
        return ""
    last = max(_total(run), _total(other) if other else 0, 1)
    steps = Axis(0, last, nice_ticks(0, last, 6, whole=True))
    rate = thinned(_series(run, "learning_rate"))
    legend = "".join(f'<li class="{line.kind}">{escape(line.name)}</li>' for line in lines
                     if line.points and "raw" not in line.kind)
    below = _plot(language, [Line("rate", "", rate)], steps, _axis([y for _, y in rate], from_zero=True), 3) if (
        any(value for _, value in rate)) else ""
    rate_title = escape(translate(language, "train_setting.learning_rate"))
    label = escape(_said(language, lines), quote=True)
    step_word = escape(translate(language, "finetune.step_column"), quote=True)
    loss_axis = _axis([y for line in lines for _, y in line.points])
    data = f'data-last="{last:.0f}" data-step="{step_word}"{_data(language, lines, rate)}'
    return (f'<figure class="curves" tabindex="0" role="group" aria-label="{label}" {data}>'
            f'<figcaption><strong>{escape(translate(language, "finetune.loss"))}</strong><ul>{legend}</ul></figcaption>'
            f'{_plot(language, lines, steps, loss_axis, 3, axis_below=not below)}'
            + (f'<p class="plot-title">{rate_title}</p><div class="thin">{below}</div>' if below else "")
            + f'<output class="tip" hidden></output></figure>{_table(language, lines)}')


def loss_lines(language: str, run: Run, *, second: bool = False) -> list[Line]:
    train, held_out = _series(run, "loss"), tuple(
        (float(one["step"]), float(one["loss"])) for one in run.evals if one.get("loss") is not None)
    kind = " other" if second else ""
    of = f" · {run.shown_name}" if second else ""
    names = [translate(language, "finetune.train_loss") + of, translate(language, "finetune.eval_loss") + of]
    if len(train) < _SMOOTH_FROM:
        lines = [Line(f"train{kind}", names[0], train)]
    else:
        raw = [] if second else [Line("raw", names[0], thinned(train))]
        lines = [*raw, Line(f"train{kind}", names[0], thinned(smoothed(train)))]
    return [*lines, Line(f"eval{kind}", names[1], thinned(held_out))]


def _series(run: Run, name: str) -> tuple[Point, ...]:
    return tuple((float(step["step"]), float(step[name])) for step in run.steps if step.get(name) is not None)


def _total(run: Run) -> float:
    return max((float(step.get("total") or step["step"]) for step in run.steps[-1:]), default=0.0)


def thinned(points: Sequence[Point]) -> tuple[Point, ...]:
    """At most POINTS_SHOWN of them, evenly; the last one always stays."""
    stride = max(1, math.ceil(len(points) / POINTS_SHOWN))
    return tuple(points[::-1][::stride][::-1])


def smoothed(points: Sequence[Point]) -> tuple[Point, ...]:
    """The mean of each point and those before it, the nearer the weightier."""
    kept, weight, found = 0.0, 0.0, []
    for step, value in points:
        kept = _SMOOTHING * kept + (1 - _SMOOTHING) * value
        weight = _SMOOTHING * weight + (1 - _SMOOTHING)
        found.append((step, kept / weight))
    return tuple(found)


def nice_ticks(low: float, high: float, count: int, *, whole: bool = False) -> tuple[float, ...]:
    """About `count` round numbers from `low` to `high`."""
    rough = max((high - low) / max(1, count), 1e-12)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    step = max(1.0, step) if whole else step
    first = math.ceil(low / step - 1e-9)
    return tuple(number * step for number in range(first, math.floor(high / step + 1e-9) + 1))


def _axis(values: Sequence[float], *, from_zero: bool = False) -> Axis:
    low, high = min(values, default=0.0), max(values, default=1.0)
    low = 0.0 if from_zero else low
    room = (high - low) * 0.06 or abs(high) * 0.05 or 0.5
    low, high = (low if from_zero else low - room), high + room
    return Axis(low, high, nice_ticks(low, high, 2 if from_zero else 4))


def _plot(language: str, lines: Sequence[Line], x: Axis, y: Axis, digits: int, *, axis_below: bool = True) -> str:
    grid = "".join(f'<line class="grid" x1="0" x2="1000" y1="{_down(y, tick):.1f}" y2="{_down(y, tick):.1f}"/>'
                   for tick in y.ticks)
    drawn = "".join(_path(line, x, y) for line in lines if line.points)
    left = "".join(f'<span style="top:{_down(y, tick) / 10:.2f}%">{_tick(language, tick)}</span>' for tick in y.ticks)
    below = "".join(f'<span style="left:{100 * x.share(tick):.2f}%">{tick:.0f}</span>' for tick in x.ticks)
    bottom = f'<div class="x-axis" aria-hidden="true">{below}</div>' if axis_below else ""
    return (f'<div class="plot"><div class="y-axis" aria-hidden="true">{left}</div><div class="area">'
            f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">{grid}{drawn}</svg>'
            f'<i class="cursor" hidden></i></div>{bottom}</div>')


def _down(axis: Axis, value: float) -> float:
    return 1000 * (1 - axis.share(value))


def _path(line: Line, x: Axis, y: Axis) -> str:
    places = [(1000 * x.share(step), _down(y, value)) for step, value in line.points]
    if len(places) == 1:  # a line of one point would not be seen
        places = [(places[0][0] - 4, places[0][1]), (places[0][0] + 4, places[0][1])]
    path = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
    return f'<polyline class="{line.kind}" points="{path}"/>'


def _tick(language: str, value: float) -> str:
    if value and abs(value) < 0.01:
        return escape(f"{value:.0e}".replace("e-0", "e-"))
    return escape(figure(language, value, 2 if abs(value) < 10 else 0))


def _said(language: str, lines: Sequence[Line]) -> str:
    """The curve in a sentence a line."""
    return " ".join(
        translate(language, "finetune.curve_said", name=line.name, first=figure(language, line.points[0][1]),
                  first_step=f"{line.points[0][0]:.0f}", last=figure(language, line.points[-1][1]),
                  last_step=f"{line.points[-1][0]:.0f}")
        for line in lines if line.points and line.kind != "raw")


def _data(language: str, lines: Sequence[Line], rate: Sequence[Point]) -> str:
    """The points for the script that tells their values, as an attribute."""
    known = [{"kind": line.kind, "name": line.name, "points": [[step, round(value, 4)] for step, value in line.points]}
             for line in lines if line.points and line.kind != "raw"]
    known += [{"kind": "rate", "name": translate(language, "train_setting.learning_rate"),
               "points": [[step, float(f"{value:.3g}")] for step, value in rate]}] if rate else []
    return f' data-lines="{escape(json.dumps(known, ensure_ascii=False), quote=True)}"'


def _table(language: str, lines: Sequence[Line]) -> str:
    """Some figures of the first line and those of the same steps of the others, for screen readers."""
    shown = [line for line in lines if line.points and line.kind != "raw"]
    points = shown[0].points
    stride = max(1, math.ceil(len(points) / FIGURES_SHOWN))
    names = "".join(f"<th>{escape(line.name)}</th>" for line in shown)
    rows = []
    for step, _ in points[::-1][::stride][::-1]:
        cells = "".join(f"<td>{_at(language, line, step)}</td>" for line in shown)
        rows.append(f"<tr><th>{step:.0f}</th>{cells}</tr>")
    head = f'<tr><th>{escape(translate(language, "finetune.step_column"))}</th>{names}</tr>'
    # A table is as wide as its words however small it is told to be: what hides it stands around it.
    return f'<div class="unseen"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _at(language: str, line: Line, step: float) -> str:
    value = next((value for place, value in reversed(line.points) if place <= step), None)
    return "" if value is None else escape(figure(language, value))
