"""Progress of a run, as written to its event stream and drawn by the terminal."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from sigmax_planner.models import Message, Usd, UtcTime


class EventKind(StrEnum):
    RUN_STARTED = "run_started"
    BATCH_STARTED = "batch_started"
    TASK_STARTED = "task_started"
    TASK_ATTEMPT = "task_attempt"
    TASK_FINISHED = "task_finished"
    TASK_REDISPATCHED = "task_redispatched"
    RUN_FINALIZING = "run_finalizing"
    RUN_FINISHED = "run_finished"
    RUN_CANCELLED = "run_cancelled"


class ProgressEvent(Message):
    """One line of a run's story.

    ``status`` is a :class:`~sigmax_tasks.models.research.TaskStatus` value in task events;
    ``detail`` is a short text (reason, provider, batch members); ``event_id`` is the stream id.
    """

    run_id: str
    kind: EventKind
    at: UtcTime
    event_id: str = ""
    task_id: str = ""
    batch_index: int | None = None
    status: str = ""
    attempt: int = 0
    seconds: float | None = Field(default=None, ge=0)
    cost_usd: Usd | None = None
    providers: tuple[str, ...] = ()
    worker: str = ""
    detail: str = ""
