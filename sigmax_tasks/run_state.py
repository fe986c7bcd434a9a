"""What the run store says of a run: its fixed part, where it stands, what follows a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import cast

from sigmax_planner.models import AnalysisRequest, ResearchPlan
from sigmax_tasks.models.events import ProgressEvent
from sigmax_tasks.models.research import TaskOutcome
from sigmax_tasks.store_scripts import (
    unpack_text,
)
from sigmax_tasks.wire import Letter

STATE_OPEN = "open"
STATE_FINISHED = "finished"
STATE_CANCELLED = "cancelled"
_OF_TASKS = ("started", "tries", "sent")


@dataclass(frozen=True)
class OpenRun:
    """What stays the same about a run while it runs. ``submission`` is what it came with."""

    run_id: str
    request: AnalysisRequest
    plan: ResearchPlan
    settings_hash: str
    created_at: datetime
    deadline_at: datetime
    submission: str = ""


@dataclass(frozen=True)
class RunState:
    """Where a run stands. ``step`` is the batch in work (-1: none yet), ``step_at`` since when.

    ``sent`` is the last batch whose chord was published, ``tries`` how often a worker began a task.
    ``sent_at`` holds, by critical path, the time (unix seconds) at which each task was last sent.
    """

    state: str
    step: int
    step_at: float
    sent: int
    started: Mapping[str, float]
    tries: Mapping[str, int]
    sent_at: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """A run at one moment: ``done`` tasks have an outcome, ``leased`` ones a worker runs.

    ``state`` is None for one that is not kept.
    """

    state: RunState | None
    done: frozenset[str]
    leased: frozenset[str]


@dataclass(frozen=True)
class Conclusion:
    """A run that is about to be concluded, for the ``tries``-th time; it spends nothing any more.

    ``spent_usd`` is what it has spent, ``day_spent_usd`` what all runs of its day have.
    """

    tries: int
    outcomes: Mapping[str, TaskOutcome]
    spent_usd: Decimal
    day_spent_usd: Decimal


@dataclass(frozen=True)
class Join:
    """What is sent when the tasks ``needs``, a batch, all have an outcome. Once for each ``step``.

    ``step`` is the batch that follows; with ``ends_run`` none does. ``mark`` is where the run keeps
    that it was sent. ``opens`` tells that the next batch began, for a run that keeps its messages
    ready: then it begins in place of the letter, unless a task did not complete.
    """

    needs: tuple[str, ...]
    step: int
    letter: Letter
    ends_run: bool
    mark: str = "joined"
    opens: ProgressEvent | None = None


@dataclass(frozen=True)
class Sending:
    """The letters of a batch and the event that tells of it, see ``TaskStore.send_batch``."""

    event: ProgressEvent
    letters: Sequence[Letter]
    ready: Mapping[int, Sequence[Letter]] = field(default_factory=dict)
    marked: Sequence[str] = ()


def state_fields(task_ids: Iterable[str]) -> list[str]:
    """The fields of a run's hash that :func:`state_of` reads."""
    of_tasks = (f"{kind}:{task_id}" for task_id in task_ids for kind in _OF_TASKS)
    return ["state", "step", "step_at", "sent", *of_tasks]


def state_of(answer: object) -> RunState | None:
    """From the hash of a run; None when there is none."""
    values = cast("dict[str, str]", answer)
    if "state" not in values:
        return None
    return RunState(
        state=values["state"],
        step=int(values["step"]),
        step_at=float(values["step_at"]),
        sent=int(values.get("sent", -1)),
        started={
            name.removeprefix("started:"): float(value)
            for name, value in values.items()
            if name.startswith("started:")
        },
        tries={
            name.removeprefix("tries:"): int(value)
            for name, value in values.items()
            if name.startswith("tries:")
        },
        sent_at={
            name.removeprefix("sent:"): float(value)
            for name, value in values.items()
            if name.startswith("sent:")
        },
    )


def outcomes_of(answer: object) -> dict[str, TaskOutcome]:
    values = cast("dict[str, str]", answer)
    return {key: TaskOutcome.model_validate_json(unpack_text(v)) for key, v in values.items()}
