"""Charts of an evaluation: equity on a logarithmic scale, drawdowns, reliability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from sigmax_tasks.report.svg import Drawing, Scale, polyline, round_values, spread
from sigmax_tasks.stages.calibrate import ReliabilityBin

_MOST_POINTS = 420
_YEAR_MS = 365 * 86_400_000


@dataclass(frozen=True)
class CurveLine:
    """Values at the moments of a chart. ``key`` is the colour's class: c0 to c6."""

    key: str
    label: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class _Frame:
    width: float
    height: float
    left: float
    right: float
    top: float = 14.0
    foot: float = 24.0

    @property
    def font(self) -> int:
        return 12 if self.width > 600 else 11

    @property
    def bottom(self) -> float:
        return self.height - self.foot


def equity_chart(
    lines: Sequence[CurveLine], times_ms: Sequence[int], width: float, title: str
) -> Markup:
    """Growth of 1, logarithmic, the first line drawn on top; the last values at the right edge."""
    frame = _frame(width, 380 if width > 600 else 300)
    low = min(min(line.values) for line in lines)
    high = max(max(line.values) for line in lines)
    low, high = max(1e-4, low * 0.97), max(high * 1.03, low * 1.01)
    scale = Scale(math.log(low), math.log(high), frame.bottom, frame.top)
    picture = Drawing(frame.width, frame.height, title)
    for value in _round_ratios(low, high):
        y = scale(math.log(value))
        picture.line(frame.left, y, frame.width - frame.right, y, class_="grid")
        picture.text(
            frame.left - 6,
            y + 4,
            f"{value:g}",
            class_="axis",
            text_anchor="end",
            font_size=frame.font,
        )
    across = _time_axis(picture, frame, times_ms)
    step = max(1, -(-len(times_ms) // _MOST_POINTS))
    for line in reversed(lines):
        points = [
            (across(t), scale(math.log(max(low, v))))
            for t, v in _thinned(times_ms, line.values, step)
        ]
        picture.path(polyline(points), class_=f"curve {line.key}")
    ends = [scale(math.log(max(low, line.values[-1]))) for line in lines]
    places = spread(ends, frame.font + 2.0, frame.top + 4, frame.bottom)
    for line, y in zip(lines, places, strict=True):
        picture.text(
            frame.width - frame.right + 6,
            y + 4,
            f"{line.values[-1]:.2f}" if width < 600 else f"{line.values[-1]:.2f} {line.label}",
            class_=f"curve-name {line.key}",
            font_size=frame.font,
        )
    return picture.markup()


def drawdown_chart(
    lines: Sequence[CurveLine], times_ms: Sequence[int], width: float, title: str
) -> Markup:
    """Distance below the highest value so far; the deepest of each stretch is kept."""
    frame = _frame(width, 220 if width > 600 else 190)
    low = min(-0.01, *(min(line.values) for line in lines))
    scale = Scale(low, 0.0, frame.bottom, frame.top)
    picture = Drawing(frame.width, frame.height, title)
    for value in round_values(low, 0.0, 5):
        y = scale(value)
        picture.line(frame.left, y, frame.width - frame.right, y, class_="grid")
        picture.text(
            frame.left - 6,
            y + 4,
            f"{value * 100:.0f} %",
            class_="axis",
            text_anchor="end",
            font_size=frame.font,
        )
    across = _time_axis(picture, frame, times_ms)
    step = max(1, -(-len(times_ms) // _MOST_POINTS))
    for line in reversed(lines):
        points = []
        for start in range(0, len(times_ms), step):
            part = line.values[start : start + step]
            points.append((across(times_ms[start]), scale(min(part))))
        picture.path(polyline(points), class_=f"curve {line.key}")
    return picture.markup()


def reliability_chart(
    stated: Sequence[ReliabilityBin], calibrated: Sequence[ReliabilityBin], width: float
) -> Markup:
    """Said against seen, a dot for each tenth, its area by how many trades; the line is honesty."""
    size = min(width, 420.0)
    frame = _Frame(size, size, 40.0, 12.0)
    across = Scale(0.0, 1.0, frame.left, frame.width - frame.right)
    up = Scale(0.0, 1.0, frame.bottom, frame.top)
    picture = Drawing(size, size, "Stated confidence against the share that gained")
    for tenth in range(0, 11, 2):
        value = tenth / 10
        picture.line(across(0), up(value), across(1), up(value), class_="grid")
        picture.line(across(value), up(0), across(value), up(1), class_="grid")
        picture.text(
            frame.left - 6,
            up(value) + 4,
            f"{value:.1f}",
            class_="axis",
            text_anchor="end",
            font_size=frame.font,
        )
        picture.text(
            across(value),
            frame.height - 8,
            f"{value:.1f}",
            class_="axis",
            text_anchor="middle",
            font_size=frame.font,
        )
    picture.line(across(0), up(0), across(1), up(1), class_="threshold")
    largest = max((one.n for one in (*stated, *calibrated)), default=1)
    for key, bins in (("c1", stated), ("c0", calibrated)):
        for one in bins:
            spot = picture.add(
                "circle",
                cx=across(one.mean_confidence),
                cy=up(one.hit_rate),
                r=3.0 + 11.0 * math.sqrt(one.n / largest),
                class_=f"dot-area {key}",
            )
            picture.note(
                spot, f"{one.n} trades said {one.mean_confidence:.2f}, gained {one.hit_rate:.2f}"
            )
    return picture.markup()


def _frame(width: float, height: float) -> _Frame:
    return _Frame(width, height, 52.0, 150.0 if width > 600 else 44.0)


def _time_axis(picture: Drawing, frame: _Frame, times_ms: Sequence[int]) -> Scale:
    across = Scale(times_ms[0], times_ms[-1], frame.left, frame.width - frame.right)
    first, last = (datetime.fromtimestamp(times_ms[i] / 1000, UTC) for i in (0, -1))
    years = last.year - first.year
    marks = [datetime(year, 1, 1, tzinfo=UTC) for year in range(first.year, last.year + 1)]
    if years < 2:
        marks = [
            datetime(
                first.year + (first.month - 1 + n) // 12,
                (first.month - 1 + n) % 12 + 1,
                1,
                tzinfo=UTC,
            )
            for n in range(0, 26, 3 if times_ms[-1] - times_ms[0] > _YEAR_MS // 2 else 1)
        ]
    for mark in marks:
        at = mark.timestamp() * 1000
        if not across.holds(at):
            continue
        x = across(at)
        picture.line(x, frame.top, x, frame.bottom, class_="grid")
        words = f"{mark:%Y}" if years >= 2 else f"{mark:%Y-%m}"
        picture.text(
            x, frame.height - 8, words, class_="axis", text_anchor="middle", font_size=frame.font
        )
    return across


def _thinned(
    times_ms: Sequence[int], values: Sequence[float], step: int
) -> list[tuple[int, float]]:
    """Every ``step``-th point, and the last one."""
    found = list(zip(times_ms[::step], values[::step], strict=True))
    if (len(times_ms) - 1) % step:
        found.append((times_ms[-1], values[-1]))
    return found


def _round_ratios(low: float, high: float) -> list[float]:
    """Axis values: 1, 2, 5 x 10^n over a wide range, evenly spaced ones over a narrow one."""
    if high / low < 4.0:
        return list(round_values(low, high, 6))
    found = [
        step * 10.0**power
        for power in range(-4, 7)
        for step in (1, 2, 5)
        if low <= step * 10.0**power <= high
    ]
    return found[:: max(1, -(-len(found) // 9))]
