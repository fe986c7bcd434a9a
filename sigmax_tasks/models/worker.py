"""What a worker process says of itself."""

from __future__ import annotations

from pydantic import Field

from sigmax_planner.models import Message


class WorkerFacts(Message):
    """``clock_ahead_seconds`` is its clock less that of Redis; None until it was measured."""

    name: str
    package: str
    celery: str
    python: str
    pool: str
    concurrency: int = Field(ge=0)
    clock_ahead_seconds: float | None = None
