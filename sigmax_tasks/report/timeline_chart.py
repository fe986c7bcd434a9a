"""The run in time: a bar per task, a band per batch, the critical path in another colour.

By critical path there are no bands: the bars stand in the order of their starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sigmax_planner.estimates import critical_path
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.research import TaskOutcome, TaskStatus
from sigmax_tasks.report.numbers import seconds_text
from sigmax_tasks.report.order_words import batch_word, by_critical_path
from sigmax_tasks.report.row_chart import RowChart, RowSizes
from sigmax_tasks.report.svg import Scale

_NARROW = RowSizes(row=36, left=4, right=8, margin=24)
_WIDE = RowSizes(row=28, left=150, right=84, margin=24)


@dataclass(frozen=True)
class TimelineBar:
    """Seconds since submission. ``critical`` is on the measured critical path."""

    task_id: str
    batch: int
    status: TaskStatus
    start: float
    end: float
    duration_seconds: float
    critical: bool


@dataclass(frozen=True)
class Timeline:
    """Bars by batch and start, by critical path by start; ``end`` is when the decision stood.

    The critical path is the dependency chain that took longest: ``measured``, in seconds, beside
    ``planned``, which goes by the estimates. ``unknown`` are planned tasks without an outcome.
    """

    bars: tuple[TimelineBar, ...]
    end: float
    measured: tuple[str, ...]
    measured_seconds: float
    planned: tuple[str, ...]
    planned_seconds: float
    unknown: tuple[str, ...]
    word: str = "batch"
    banded: bool = True


@dataclass(frozen=True)
class _Measured:
    """What the critical path reads of a task, with the seconds it took."""

    task_id: str
    dependencies: tuple[str, ...]
    estimated_seconds: float


def timeline(record: RunRecord, outcomes: Sequence[TaskOutcome]) -> Timeline:
    plan = record.plan
    by_id = {outcome.task_id: outcome for outcome in outcomes}
    measured = critical_path(
        [
            _Measured(task.task_id, task.dependencies, by_id[task.task_id].duration_seconds)
            for task in plan.tasks
            if task.task_id in by_id
        ]
    )
    end = max(0.001, (record.finished_at - record.created_at).total_seconds())
    bars = []
    for number, batch in enumerate(plan.execution_order, start=1):
        for task_id in batch:
            outcome = by_id.get(task_id)
            if outcome is None:
                continue
            start, stop = (
                # Worker clocks may differ by some milliseconds from the submitter's.
                min(end, max(0.0, (moment - record.created_at).total_seconds()))
                for moment in (outcome.started_at, outcome.finished_at)
            )
            bars.append(
                TimelineBar(
                    task_id=task_id,
                    batch=number,
                    status=outcome.status,
                    start=start,
                    end=max(start, stop),
                    duration_seconds=outcome.duration_seconds,
                    critical=task_id in measured.task_ids and measured.seconds > 0,
                )
            )
    flow = by_critical_path(plan)
    if flow:
        bars.sort(key=lambda bar: (bar.start, bar.batch))
    return Timeline(
        bars=tuple(bars),
        word=batch_word(plan),
        banded=not flow,
        end=end,
        measured=measured.task_ids if measured.seconds > 0 else (),
        measured_seconds=measured.seconds,
        planned=tuple(plan.critical_path),
        planned_seconds=plan.critical_path_seconds,
        unknown=tuple(t.task_id for t in plan.tasks if t.task_id not in by_id),
    )


def timeline_chart(model: Timeline, width: float) -> Markup:
    title = "Tasks in time, by batch" if model.banded else "Tasks in time, by start"
    chart = RowChart(title, width, len(model.bars), narrow=_NARROW, wide=_WIDE)
    scale = chart.scale(0.0, model.end)
    chart.grid(scale, lambda value: f"{value:g} s")
    if model.banded:
        _batches(chart, model, scale)
    for number, bar in enumerate(model.bars):
        _draw_bar(chart, number, bar, scale, word=model.word)
    x, words = scale(model.end), "decision"
    chart.picture.line(x, chart.top - 8, x, chart.foot, class_="threshold")
    chart.picture.text(
        x, 12, words, class_="axis strong", text_anchor="end", font_size=chart.font - 1
    )
    return chart.picture.markup()


def _short_seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else seconds_text(seconds)


def _batches(chart: RowChart, model: Timeline, scale: Scale) -> None:
    picture = chart.picture
    free = 0.0  # from where on there is room for another label
    for batch in sorted({bar.batch for bar in model.bars}):
        numbers = [i for i, bar in enumerate(model.bars) if bar.batch == batch]
        members = [model.bars[i] for i in numbers]
        start = scale(min(bar.start for bar in members))
        stop = scale(max(bar.end for bar in members))
        y, height = chart.row(numbers[0]), chart.sizes.row * len(numbers)
        picture.rect(0, y, picture.width, height, class_="stripe" if batch % 2 else "stripe odd")
        picture.rect(start, y, max(stop - start, 2), height, class_="batch")
        if free <= start < picture.width - 100:
            words = f"batch {batch}"
            picture.text(start, 12, words, class_="axis strong", font_size=chart.font - 1)
            free = start + 52


def _draw_bar(chart: RowChart, number: int, bar: TimelineBar, scale: Scale, *, word: str) -> None:
    start, end = scale(bar.start), scale(bar.end)
    words = _short_seconds(bar.duration_seconds)
    if bar.status is not TaskStatus.COMPLETED:
        words = f"{bar.status}, {words}" if bar.duration_seconds else str(bar.status)
    chart.name(number, bar.task_id, strong=bar.critical)
    kinds = ["task-bar", bar.status, *(["critical"] if bar.critical else [])]
    chart.picture.note(
        chart.bar(number, start, max(end, start + 3), kinds),
        f"{bar.task_id}: {bar.status}, {bar.start:.3f} s to {bar.end:.3f} s, {word} {bar.batch}",
    )
    width = chart.picture.width
    # Behind the bar, in front of it where the bar ends too far right, above it where it is narrow.
    behind = end + 60 < width
    x, y = end + 8 if behind else start - 8, chart.line_of(number)
    if chart.narrow:
        behind, x, y = False, width - 6, chart.row(number) + 13
    chart.picture.text(
        x,
        y,
        words,
        class_="value",
        text_anchor="start" if behind else "end",
        font_size=chart.font - (not chart.narrow),
    )
