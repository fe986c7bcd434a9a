"""Where a run stands, from its plan and its progress events. Pure: no terminal, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self

from sigmax_planner.models import ResearchPlan
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.research import RunSummary, TaskStatus
from sigmax_tasks.report.order_words import by_critical_path
from sigmax_tasks.report.text import clean_text

FINAL = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.SKIPPED})
_SIDE_NOTE_LIMIT = 120


class RunPhase(StrEnum):
    """The states of a run as a person follows it."""

    QUEUED = "queued"
    RUNNING = "running"
    DECIDING = "deciding"
    FINISHED = "finished"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class TaskProgress:
    """One task. ``planned_*`` are None for a task that no plan told about."""

    task_id: str
    status: TaskStatus = TaskStatus.PENDING
    attempt: int = 0
    started_at: datetime | None = None
    seconds: float | None = None
    cost_usd: Decimal = Decimal(0)
    providers: tuple[str, ...] = ()
    detail: str = ""
    planned_seconds: float | None = None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    def elapsed(self, now: datetime) -> float | None:
        """Seconds it took, or has been taking; None before its start."""
        if self.seconds is not None:
            return self.seconds
        if self.started_at is None or self.status is not TaskStatus.RUNNING:
            return None
        return max(0.0, (now - self.started_at).total_seconds())


@dataclass(frozen=True)
class RunProgress:
    """One run. :meth:`apply` gives the state after an event; a repeated event changes nothing."""

    run_id: str
    symbol: str = ""
    phase: RunPhase = RunPhase.QUEUED
    tasks: tuple[TaskProgress, ...] = ()
    batch_count: int | None = None
    batch_index: int | None = None
    planned_seconds: float | None = None
    planned_cost_usd: Decimal | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    last_event: tuple[int, int] = field(default=(0, 0), repr=False)

    @classmethod
    def of_plan(cls, run_id: str, plan: ResearchPlan) -> Self:
        """A run that nothing is known of yet but its plan; tasks in the order of the batches."""
        order = [task_id for batch in plan.execution_order for task_id in batch]
        return cls(
            run_id=run_id,
            symbol=plan.symbol,
            tasks=tuple(
                TaskProgress(task_id, planned_seconds=plan.task(task_id).estimated_seconds)
                for task_id in order
            ),
            batch_count=(None if by_critical_path(plan) else len(plan.execution_order)),
            planned_seconds=plan.estimated_time_parallel,
            planned_cost_usd=plan.estimated_cost,
        )

    @property
    def done(self) -> int:
        """Tasks that have an outcome, of whatever kind."""
        return sum(task.is_final for task in self.tasks)

    @property
    def total(self) -> int:
        return len(self.tasks)

    @property
    def unsuccessful(self) -> int:
        """Tasks that failed or were skipped."""
        return self.done - sum(t.status is TaskStatus.COMPLETED for t in self.tasks)

    @property
    def cost_usd(self) -> Decimal:
        return sum((task.cost_usd for task in self.tasks), Decimal(0))

    @property
    def is_over(self) -> bool:
        return self.phase in {RunPhase.FINISHED, RunPhase.CANCELLED}

    def elapsed(self, now: datetime) -> float | None:
        """Seconds since the start, until the end; None before the start."""
        if self.started_at is None:
            return None
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds())

    def is_news(self, event: ProgressEvent) -> bool:
        """Whether the event is one of this run and not seen before."""
        position = _position(event.event_id)
        return event.run_id == self.run_id and (position is None or position > self.last_event)

    def apply(self, event: ProgressEvent) -> RunProgress:
        """The state after the event."""
        if not self.is_news(event):
            return self
        seen = replace(self, last_event=_position(event.event_id) or self.last_event)
        match event.kind:
            case EventKind.RUN_STARTED:
                return replace(
                    seen, phase=_later(self.phase, RunPhase.RUNNING), started_at=event.at
                )
            case EventKind.BATCH_STARTED:
                return replace(
                    seen,
                    phase=_later(self.phase, RunPhase.RUNNING),
                    batch_index=event.batch_index,
                    started_at=self.started_at or event.at,
                )
            case EventKind.RUN_FINALIZING:
                return replace(seen, phase=_later(self.phase, RunPhase.DECIDING))
            case EventKind.RUN_FINISHED:
                return replace(seen, phase=RunPhase.FINISHED, ended_at=event.at)
            case EventKind.RUN_CANCELLED:
                return replace(seen, phase=RunPhase.CANCELLED, ended_at=event.at)
            case _:
                return seen._with_task(event)

    def settled(self, summary: RunSummary) -> RunProgress:
        """The final state of each task as the record has it, which outranks what events said."""
        known = {task.task_id: task for task in self.tasks}
        for detail in summary.tasks:
            known[detail.task_id] = replace(
                known.get(detail.task_id, TaskProgress(detail.task_id)),
                status=detail.status,
                attempt=detail.attempts,
                seconds=detail.duration_seconds,
                cost_usd=detail.cost_usd,
                providers=detail.providers,
                detail=clean_text(detail.reason, limit=_SIDE_NOTE_LIMIT),
            )
        return replace(self, phase=RunPhase.FINISHED, tasks=tuple(known.values()))

    def _with_task(self, event: ProgressEvent) -> RunProgress:
        if not event.task_id:
            return self
        before = next((t for t in self.tasks if t.task_id == event.task_id), None)
        task = before or TaskProgress(event.task_id)
        after = task if task.is_final else _task_after(task, event)
        if before is None:
            return replace(self, tasks=(*self.tasks, after))
        return replace(self, tasks=tuple(after if t is before else t for t in self.tasks))


def _task_after(task: TaskProgress, event: ProgressEvent) -> TaskProgress:
    """A task that is not final yet, after an event about it."""
    detail = clean_text(event.detail, limit=_SIDE_NOTE_LIMIT)
    match event.kind:
        case EventKind.TASK_STARTED | EventKind.TASK_ATTEMPT:
            return replace(
                task,
                status=TaskStatus.RUNNING,
                attempt=max(task.attempt, event.attempt, 1),
                started_at=task.started_at or event.at,
                providers=event.providers or task.providers,
                detail=detail,
            )
        case EventKind.TASK_REDISPATCHED:
            return replace(task, status=TaskStatus.PENDING, started_at=None, detail=detail)
        case EventKind.TASK_FINISHED:
            return replace(
                task,
                status=_final_status(event.status),
                attempt=max(task.attempt, event.attempt),
                seconds=event.seconds if event.seconds is not None else task.elapsed(event.at),
                cost_usd=event.cost_usd if event.cost_usd is not None else task.cost_usd,
                providers=event.providers or task.providers,
                detail=detail,
            )
        case _:
            return task


def _final_status(text: str) -> TaskStatus:
    """A word we do not know counts as failed: an event of a newer worker must not stop the view."""
    try:
        status = TaskStatus(text)
    except ValueError:
        return TaskStatus.FAILED
    return status if status in FINAL else TaskStatus.FAILED


def _later(before: RunPhase, after: RunPhase) -> RunPhase:
    order = list(RunPhase)
    return max(before, after, key=order.index)


def _position(event_id: str) -> tuple[int, int] | None:
    """A Redis stream id as numbers; None where the event has none."""
    milliseconds, _, sequence = event_id.partition("-")
    if not (milliseconds.isdecimal() and sequence.isdecimal()):
        return None
    return int(milliseconds), int(sequence)


def event_line(event: ProgressEvent, progress: RunProgress) -> str:
    """A line for the log, "" for no news; ``progress`` is the state after the event."""
    who = progress.symbol or event.run_id
    detail = clean_text(event.detail, limit=_SIDE_NOTE_LIMIT)
    tail = f": {detail}" if detail else ""
    match event.kind:
        case EventKind.RUN_STARTED:
            return f"{who} run {event.run_id} started"
        case EventKind.BATCH_STARTED:
            if event.batch_index is None:
                return f"{who} sent{tail}"
            number = f" {event.batch_index + 1}"
            of = f" of {progress.batch_count}" if progress.batch_count else ""
            return f"{who} batch{number}{of} started{tail}"
        case EventKind.TASK_STARTED:
            return ""
        case EventKind.TASK_ATTEMPT:
            again = f" attempt {event.attempt}" if event.attempt > 1 else ""
            return f"{who} {event.task_id}{again}{tail}" if again or tail else ""
        case EventKind.TASK_REDISPATCHED:
            return f"{who} {event.task_id} sent again{tail}"
        case EventKind.TASK_FINISHED:
            return f"{who} {event.task_id} {_outcome(event)}{tail}"
        case EventKind.RUN_FINALIZING:
            return f"{who} deciding ({progress.done} of {progress.total} tasks done)"
        case EventKind.RUN_FINISHED:
            return f"{who} finished"
        case EventKind.RUN_CANCELLED:
            return f"{who} cancelled"


def _outcome(event: ProgressEvent) -> str:
    parts = [] if event.seconds is None else [f"{event.seconds:.1f} s"]
    if event.attempt > 1:
        parts.append(f"attempt {event.attempt}")
    if event.cost_usd:
        parts.append(f"${event.cost_usd:.4f}")
    if event.providers:
        parts.append(clean_text(", ".join(event.providers), limit=_SIDE_NOTE_LIMIT))
    return f"{event.status} ({', '.join(parts)})" if parts else event.status
