"""How the score came about: what each task added, step by step, from zero to the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sigmax_tasks.models.decision import Analysis
from sigmax_tasks.report.row_chart import RowChart, RowSizes
from sigmax_tasks.report.svg import Drawing, Scale, number_text, polyline

_NARROW = RowSizes(row=38, left=4, right=60, margin=22)
_WIDE = RowSizes(row=30, left=150, right=86, margin=26)


@dataclass(frozen=True)
class Step:
    """From ``start`` to ``end``; ``kind`` is task, other or total (drawn from zero)."""

    label: str
    start: float
    end: float
    kind: str

    @property
    def change(self) -> float:
        return self.end - self.start

    @property
    def value_text(self) -> str:
        value = self.end if self.kind == "total" else self.change
        return f"{round(value, 4) + 0.0:+.4f}"


def waterfall_steps(analysis: Analysis) -> tuple[Step, ...]:
    """Strongest contribution first, then what is missing or stale, then the debate's share.

    The sum of the contributions is the raw score; the last step ends at the score.
    """
    parts = sorted(analysis.contributions, key=lambda c: (-abs(c.contribution), c.task_id))
    steps: list[Step] = []
    level = 0.0
    for part in parts:
        steps.append(Step(part.task_id, level, level + part.contribution, "task"))
        level += part.contribution
    steps.append(Step("all findings", 0.0, analysis.raw_score, "total"))
    level = analysis.raw_score
    unknown = sum(part.unknown for part in parts)
    if unknown > 0 and level:
        towards_zero = max(0.0, abs(level) - unknown) if analysis.score else 0.0
        end = towards_zero if level > 0 else -towards_zero
        steps.append(Step("missing or stale", level, end, "other"))
        level = end
    if abs(analysis.score - level) > 1e-9:
        steps.append(Step("debate", level, analysis.score, "other"))
    steps.append(Step("score", 0.0, analysis.score, "total"))
    return tuple(steps)


def waterfall_chart(steps: Sequence[Step], threshold: float | None, width: float) -> Markup:
    """``threshold`` is the score from which on the profile acts, either way; None is unknown."""
    title = "Contributions of the tasks to the score"
    chart = RowChart(title, width, len(steps), narrow=_NARROW, wide=_WIDE)
    ends = [value for step in steps for value in (step.start, step.end)]
    reach = max([abs(value) for value in ends] + [threshold or 0.0]) or 0.1
    low = min([*ends, -(threshold or reach)]) - reach * 0.08
    high = max([*ends, threshold or reach]) + reach * 0.08
    scale = chart.scale(low, high)
    chart.grid(scale, lambda value: f"{value:+.2f}" if abs(value) > 1e-9 else "0", base=True)
    if threshold is not None:
        for sign, name in ((-1, "SELL"), (1, "BUY")):
            _draw_threshold(chart, scale(sign * threshold), sign, name, threshold)
    for number, step in enumerate(steps):
        _draw_step(chart, number, step, scale)
        if number + 1 < len(steps):
            x, y = scale(step.end), chart.row(number + 1) - (6 if chart.narrow else 7)
            chart.picture.line(x, y, x, y + (24 if chart.narrow else 14), class_="link")
    return chart.picture.markup()


def _draw_threshold(chart: RowChart, x: float, sign: int, name: str, threshold: float) -> None:
    width = chart.picture.width
    chart.picture.line(x, chart.top - 6, x, chart.foot, class_="threshold")
    anchor = "start" if sign > 0 else "end"
    place = x + sign * 4
    if not 60 < x < width - 60:
        anchor, place = ("end", width - 2) if sign > 0 else ("start", 2.0)
    chart.picture.text(
        place,
        chart.top - 8,
        name if chart.narrow else f"{name} from {sign * threshold:+.2f}",
        class_="axis strong",
        text_anchor=anchor,
        font_size=chart.font - 1,
    )


def _draw_step(chart: RowChart, number: int, step: Step, scale: Scale) -> None:
    total = step.kind == "total"
    chart.name(number, step.label, strong=total)
    start, end = scale(step.start), scale(step.end)
    if abs(end - start) < 1.5:
        start, end = min(start, end), min(start, end) + 1.5
    side = (
        "none"
        if abs(step.change) < 5e-5 or step.kind == "other"
        else "up"
        if step.change > 0
        else "down"
    )
    chart.picture.note(
        chart.bar(number, start, end, ("bar", side, step.kind)),
        f"{step.label}: {step.value_text}",
    )
    chart.picture.text(
        chart.picture.width - 4,
        chart.row(number) + 13 if chart.narrow else chart.line_of(number),
        step.value_text,
        class_=f"value {side}" + (" strong" if total else ""),
        text_anchor="end",
        font_size=chart.font,
    )


def score_scale(score: float, threshold: float | None) -> Markup:
    """The score between SELL, HOLD and BUY."""
    width, height, y = 360.0, 58.0, 26.0
    reach = max(abs(score) * 1.25, (threshold or 0.0) * 2.5, 0.2)
    scale = Scale(-reach, reach, 8, width - 8)
    picture = Drawing(width, height, f"score {score:+.4f}", class_="chart")
    edge = threshold or 0.0
    for low, high, side, name in (
        (-reach, -edge, "down", "SELL"),
        (-edge, edge, "hold", "HOLD"),
        (edge, reach, "up", "BUY"),
    ):
        if high - low <= 0:
            continue
        picture.rect(scale(low), y, scale(high) - scale(low), 10, class_=f"zone-{side}")
        picture.text(
            (scale(low) + scale(high)) / 2,
            y + 26,
            name,
            class_="axis",
            text_anchor="middle",
            font_size=11,
        )
    x = scale(score)
    picture.path(f"{polyline([(x - 6, y - 8), (x + 6, y - 8), (x, y + 1)])}Z", class_="pointer")
    picture.line(x, y, x, y + 10, class_="pointer-line")
    anchor = "end" if x > width - 40 else "start" if x < 40 else "middle"
    picture.text(
        x, y - 12, f"{score:+.4f}", class_="value strong", text_anchor=anchor, font_size=13
    )
    for value in (-edge, edge):
        if edge:
            picture.line(scale(value), y - 3, scale(value), y + 13, class_="threshold")
    return picture.markup()


def meter(
    share: float, *, mark: float | None = None, base: float | None = None, side: str
) -> Markup:
    """A bar from 0 to 1 that fills its column; ``base`` lies paler behind it, ``mark`` across."""
    picture = Drawing(100, 10, number_text(share), class_="meter", stretch=True)
    picture.rect(0, 0, 100, 10, class_="track")
    if base is not None:
        picture.rect(0, 0, 100 * min(1.0, base), 10, class_=f"bar pale {side}")
    picture.rect(0, 0, 100 * min(1.0, max(0.0, share)), 10, class_=f"bar {side}")
    if mark is not None:
        picture.rect(100 * min(1.0, mark) - 0.4, 0, 0.8, 10, class_="mark-line")
    return picture.markup()
