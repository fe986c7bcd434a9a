"""The decision all benchmarks run: six tasks in three batches, each in need of the batch before."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from sigmax_planner.models import (
    AnalysisRequest,
    DataMode,
    ResearchPlan,
    ResearchTask,
    TaskPriority,
)

BATCH_SECONDS = ((0.30, 0.20, 0.15), (0.20, 0.25), (0.10,))
"""How long each task waits, batch by batch: a hundredth of the reference decision."""
LIMIT_SECONDS = sum(max(batch) for batch in BATCH_SECONDS)
"""What the batches take when nothing else costs time."""
CRITICAL_SECONDS = 0.65
"""The longest chain of tasks; a task of a batch needs all tasks of the batch before."""
WORK_SECONDS = sum(sum(batch) for batch in BATCH_SECONDS)


def plan() -> ResearchPlan:
    """The plan of that decision; estimates are the waiting times."""
    tasks: list[ResearchTask] = []
    order: list[tuple[str, ...]] = []
    for batch, seconds in enumerate(BATCH_SECONDS):
        names = tuple(f"step{batch}_{number}" for number in range(len(seconds)))
        tasks += [
            ResearchTask(
                task_id=name,
                name=name,
                priority=TaskPriority.HIGH,
                data_sources=("price_data",),
                dependencies=order[-1] if order else (),
                timeout_seconds=30,
                estimated_seconds=wait,
                estimated_cost_usd=Decimal("0.01"),
                handler="sigmax_tasks.research.technical:research",
            )
            for name, wait in zip(names, seconds, strict=True)
        ]
        order.append(names)
    return ResearchPlan(
        symbol="BTC/USDT",
        risk_profile="balanced",
        tasks=tuple(tasks),
        execution_order=tuple(order),
        width=3,
        created_at=datetime.now(UTC),
    )


def request() -> AnalysisRequest:
    return AnalysisRequest(
        symbol="BTC/USDT",
        risk_profile="balanced",
        data_mode=DataMode.SIMULATED,
        as_of=datetime(2025, 3, 14, 12, tzinfo=UTC),
        seed=7,
        source_root="http://127.0.0.1:1",
        deadline_seconds=300,
    )
