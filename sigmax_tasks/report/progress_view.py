"""The live table: one run with its tasks, or many runs with one row each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.report.layout import plain_table
from sigmax_tasks.report.numbers import MISSING, count, money, seconds_text
from sigmax_tasks.report.progress import RunPhase, RunProgress, TaskProgress
from sigmax_tasks.report.text import clean_text

_STATUS_STYLE = {
    TaskStatus.PENDING: "dim",
    TaskStatus.RUNNING: "cyan",
    TaskStatus.COMPLETED: "green",
    TaskStatus.FAILED: "bold red",
    TaskStatus.SKIPPED: "yellow",
}
_PHASE_STYLE = {
    RunPhase.QUEUED: "dim",
    RunPhase.RUNNING: "cyan",
    RunPhase.DECIDING: "cyan",
    RunPhase.FINISHED: "green",
    RunPhase.CANCELLED: "yellow",
}
_FRAME_LINES = 5
"""Lines around the rows of the table of many runs: head, rule, totals and room for the prompt."""


def progress_view(runs: Sequence[RunProgress], now: datetime, height: int) -> RenderableType:
    """One run as a table of tasks, several as a table of runs; fits a terminal 80 columns wide.

    ``height`` is that of the terminal: of very many runs those under way come first.
    """
    if len(runs) == 1:
        return Group(_task_table(runs[0], now), _run_line(runs[0], now))
    return Group(_run_table(runs, now, max(3, height - _FRAME_LINES)), _runs_line(runs))


def _task_table(run: RunProgress, now: datetime) -> Table:
    table = plain_table()
    table.add_column("task", no_wrap=True, max_width=20)
    table.add_column("state", no_wrap=True, width=9)
    table.add_column("try", justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True, width=7)
    table.add_column("planned", justify="right", no_wrap=True)
    table.add_column("cost", justify="right", no_wrap=True, width=7)
    table.add_column("sources", no_wrap=True, overflow="ellipsis", ratio=1)
    for task in run.tasks:
        elapsed = task.elapsed(now)
        table.add_row(
            Text(task.task_id),
            Text(task.status.value, style=_STATUS_STYLE[task.status]),
            str(task.attempt) if task.attempt else "",
            "" if elapsed is None else f"{elapsed:.1f}",
            "" if task.planned_seconds is None else f"{task.planned_seconds:g}",
            money(task.cost_usd) if task.is_final else "",
            _remark(task),
        )
    return table


def _remark(task: TaskProgress) -> Text:
    """Who answered; for a task that went wrong, or is being tried again, why."""
    providers = clean_text(", ".join(task.providers))
    unhappy = task.status in {TaskStatus.FAILED, TaskStatus.SKIPPED}
    if task.detail and (unhappy or (task.attempt > 1 and not task.is_final)):
        return Text(task.detail, style=_STATUS_STYLE[task.status] if unhappy else "dim")
    return Text(providers, style="dim")


def _run_line(run: RunProgress, now: datetime) -> Text:
    parts = [f"{run.done}/{run.total} tasks"]
    if run.batch_count and run.batch_index is not None and not run.is_over:
        number = min(run.batch_index + 1, run.batch_count)
        parts.append(f"batch {number}/{run.batch_count}")
    elapsed = run.elapsed(now)
    if elapsed is not None:
        planned = "" if run.planned_seconds is None else f" of {run.planned_seconds:g} s planned"
        parts.append(f"{elapsed:.1f}{planned}" if planned else seconds_text(elapsed))
    planned_cost = run.planned_cost_usd
    parts.append(
        f"{money(run.cost_usd)} of {money(planned_cost)} planned"
        if planned_cost is not None
        else money(run.cost_usd)
    )
    return Text.assemble((run.phase.value, _PHASE_STYLE[run.phase]), "  ", "  ".join(parts))


def _run_table(runs: Sequence[RunProgress], now: datetime, rows: int) -> RenderableType:
    table = plain_table()
    table.add_column("symbol", no_wrap=True, max_width=20)
    table.add_column("state", no_wrap=True, width=9)
    table.add_column("tasks", justify="right", no_wrap=True)
    table.add_column("failed", justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True, width=7)
    table.add_column("cost", justify="right", no_wrap=True, width=7)
    table.add_column("run", no_wrap=True, overflow="ellipsis")
    shown = runs if len(runs) <= rows else _most_interesting(runs, rows - 1)
    for run in shown:
        elapsed = run.elapsed(now)
        table.add_row(
            Text(run.symbol or MISSING),
            Text(run.phase.value, style=_PHASE_STYLE[run.phase]),
            f"{run.done}/{run.total}",
            str(run.unsuccessful) if run.unsuccessful else "",
            "" if elapsed is None else f"{elapsed:.1f}",
            money(run.cost_usd),
            Text(run.run_id, style="dim"),
        )
    if len(shown) == len(runs):
        return table
    return Group(table, Text(f"and {len(runs) - len(shown)} more", style="dim"))


def _most_interesting(runs: Sequence[RunProgress], rows: int) -> list[RunProgress]:
    """Those under way, then those that wait, then those that are over; in the order asked."""
    rank = {RunPhase.DECIDING: 0, RunPhase.RUNNING: 0, RunPhase.QUEUED: 1}
    chosen = sorted(range(len(runs)), key=lambda index: rank.get(runs[index].phase, 2))[:rows]
    return [runs[index] for index in sorted(chosen)]


def _runs_line(runs: Sequence[RunProgress]) -> Text:
    over = sum(run.is_over for run in runs)
    cost = sum((run.cost_usd for run in runs), start=runs[0].cost_usd * 0)
    return Text(
        f"{over} of {count(len(runs), 'run')} over  "
        f"{sum(r.done for r in runs)}/{sum(r.total for r in runs)} tasks  {money(cost)}"
    )
