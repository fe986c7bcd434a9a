"""What an execution of a hand-made plan comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sigmax_tasks.models.research import RunSummary, TaskOutcome


def summarise(
    outcomes: Sequence[TaskOutcome],
    results: Mapping[str, Any],
    *,
    duration_seconds: float,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Counts, times and details; completed + failed + skipped = total_tasks.

    ``sequential_seconds`` is the sum of the tasks' own times, ``speedup`` that sum over the time
    from the first start to the last end. ``results`` holds by task id what completed tasks gave,
    ``task_details`` how each task went; all but the results are JSON types.
    """
    summary = RunSummary.of(outcomes, total_tasks=len(outcomes), duration_seconds=duration_seconds)
    cost = sum((outcome.cost_usd for outcome in outcomes), Decimal(0))
    return {
        **summary.model_dump(mode="json", exclude={"tasks", "alerts"}),
        "cost_usd": float(cost),
        "results": dict(results),
        "task_details": {task.task_id: task.model_dump(mode="json") for task in summary.tasks},
        "notes": list(notes),
    }
