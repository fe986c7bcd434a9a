"""Small runs and outcomes for the tests of the engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import yaml

from sigmax_planner.models import (
    AnalysisRequest,
    DataMode,
    ResearchPlan,
    ResearchTask,
    TaskPriority,
)
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.research import TaskOutcome, TaskStatus
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.settings.runtime import RuntimeSettings

START = datetime(2025, 3, 14, 12, tzinfo=UTC)


def runtime(**engine: Any) -> RuntimeSettings:
    tree = yaml.safe_load((shipped_folder() / "runtime.yaml").read_text())
    tree["engine"].update(engine)
    return RuntimeSettings.model_validate(tree)


def task(task_id: str, *dependencies: str, priority: str = "HIGH") -> ResearchTask:
    return ResearchTask(
        task_id=task_id,
        name=task_id,
        priority=TaskPriority(priority),
        data_sources=("price_data",),
        dependencies=dependencies,
        timeout_seconds=10,
        estimated_seconds=10,
        estimated_cost_usd=Decimal("0.01"),
        handler=f"sigmax_tasks.research.{task_id}:research",
    )


def open_run(run_id: str = "20250314-120000-00000001", seconds: float = 60) -> OpenRun:
    plan = ResearchPlan(
        symbol="BTC/USDT",
        risk_profile="balanced",
        tasks=(task("technical", priority="CRITICAL"), task("momentum", "technical")),
        execution_order=(("technical",), ("momentum",)),
        width=3,
        created_at=START,
    )
    return OpenRun(
        run_id=run_id,
        request=AnalysisRequest(
            symbol="BTC/USDT",
            risk_profile="balanced",
            data_mode=DataMode.SIMULATED,
            as_of=START,
            seed=1,
            source_root="http://127.0.0.1:1",
        ),
        plan=plan,
        settings_hash="0" * 64,
        created_at=START,
        deadline_at=START + timedelta(seconds=seconds),
    )


def run_of(*task_ids: str) -> OpenRun:
    """A run of tasks of any names."""
    run = open_run()
    tasks = tuple(task("any").model_copy(update={"task_id": task_id}) for task_id in task_ids)
    return replace(run, plan=run.plan.model_copy(update={"tasks": tasks}))


def outcome(task_id: str, status: TaskStatus = TaskStatus.FAILED, reason: str = "x") -> TaskOutcome:
    return TaskOutcome(
        task_id=task_id,
        status=status,
        reason=reason,
        attempts=1,
        started_at=START,
        finished_at=START + timedelta(seconds=2),
        duration_seconds=2.0,
        worker="host:1",
    )


def begun(run: OpenRun, task_id: str, at: datetime = START) -> ProgressEvent:
    """The event with which a worker takes a task."""
    return ProgressEvent(run_id=run.run_id, kind=EventKind.TASK_STARTED, at=at, task_id=task_id)
