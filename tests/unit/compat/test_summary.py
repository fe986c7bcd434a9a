"""The arithmetic of a summary, on outcomes made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sigmax_tasks.compat.summary import summarise
from sigmax_tasks.models.research import TaskOutcome, TaskStatus

START = datetime(2025, 3, 14, 12, tzinfo=UTC)


def outcome(
    task_id: str, status: TaskStatus, begin: float, end: float, **more: object
) -> TaskOutcome:
    return TaskOutcome.model_validate(
        {
            "task_id": task_id,
            "status": status,
            "attempts": 0 if status is TaskStatus.SKIPPED else 1,
            "started_at": START + timedelta(seconds=begin),
            "finished_at": START + timedelta(seconds=end),
            "duration_seconds": end - begin,
            **more,
        }
    )


def test_counts_times_and_costs_add_up() -> None:
    outcomes = [
        outcome("a", TaskStatus.COMPLETED, 0, 4, cost_usd=Decimal("0.01"), worker="host:1"),
        outcome("b", TaskStatus.FAILED, 1, 5, cost_usd=Decimal("0.02"), reason="down"),
        outcome("c", TaskStatus.SKIPPED, 90, 90, reason="dependency b failed"),
        outcome("d", TaskStatus.COMPLETED, 5, 8),
    ]
    summary = summarise(outcomes, {"a": 1, "d": None}, duration_seconds=9.1234, notes=("n",))
    details = summary.pop("task_details")
    assert summary == {
        "total_tasks": 4,
        "completed": 2,
        "failed": 1,
        "skipped": 1,
        "success_rate": 0.5,
        "duration_seconds": 9.123,
        "sequential_seconds": 11.0,
        "speedup": 1.38,
        "cost_usd": 0.03,
        "results": {"a": 1, "d": None},
        "notes": ["n"],
    }
    assert list(details) == ["a", "b", "c", "d"]
    assert details["c"]["reason"] == "dependency b failed"
    assert (details["a"]["worker"], details["a"]["cost_usd"]) == ("host:1", 0.01)


def test_a_plan_in_which_nothing_ran_has_no_speedup() -> None:
    summary = summarise(
        [outcome("a", TaskStatus.SKIPPED, 0, 0)], {}, duration_seconds=0.0, notes=()
    )
    assert (summary["speedup"], summary["success_rate"], summary["skipped"]) == (0.0, 0.0, 1)
