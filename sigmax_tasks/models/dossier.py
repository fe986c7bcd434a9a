"""Everything about one finished run: enough to decide again, to report and to audit."""

from __future__ import annotations

from pydantic import Field

from sigmax_planner.models import AnalysisRequest, Message
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.observations import Observation
from sigmax_tasks.models.research import TaskOutcome

SCHEMA_VERSION = 1


class Dossier(Message):
    """A run with its inputs.

    ``settings`` is the canonical JSON of the settings it ran with, ``outcomes`` are in plan order,
    ``observations`` hold by task id what each completed task was given.
    """

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    request: AnalysisRequest
    settings: str
    record: RunRecord
    outcomes: tuple[TaskOutcome, ...]
    observations: dict[str, tuple[Observation, ...]]
