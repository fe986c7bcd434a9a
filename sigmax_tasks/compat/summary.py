"""What an execution of a hand-made plan comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sigmax_tasks.models.research import TaskDetail, TaskOutcome, TaskStatus


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
    counts = Counter(outcome.status for outcome in outcomes)
    total = len(outcomes)
    worked = [outcome for outcome in outcomes if outcome.attempts]
    sequential = sum(outcome.duration_seconds for outcome in worked)
    span = 0.0
    if worked:
        first = min(outcome.started_at for outcome in worked)
        span = (max(outcome.finished_at for outcome in worked) - first).total_seconds()
    cost = sum((outcome.cost_usd for outcome in outcomes), Decimal(0))
    return {
        "total_tasks": total,
        "completed": counts[TaskStatus.COMPLETED],
        "failed": counts[TaskStatus.FAILED],
        "skipped": counts[TaskStatus.SKIPPED],
        "success_rate": round(counts[TaskStatus.COMPLETED] / total, 4) if total else 0.0,
        "duration_seconds": round(duration_seconds, 3),
        "sequential_seconds": round(sequential, 3),
        "speedup": round(sequential / span, 2) if span > 0 else 0.0,
        "cost_usd": float(cost),
        "results": dict(results),
        "task_details": {outcome.task_id: _detail(outcome) for outcome in outcomes},
        "notes": list(notes),
    }


def _detail(outcome: TaskOutcome) -> dict[str, Any]:
    return TaskDetail(
        task_id=outcome.task_id,
        status=outcome.status,
        reason=outcome.reason,
        attempts=outcome.attempts,
        duration_seconds=round(outcome.duration_seconds, 3),
        cost_usd=outcome.cost_usd,
        worker=outcome.worker,
        providers=outcome.providers,
        missing=outcome.missing,
    ).model_dump(mode="json")
