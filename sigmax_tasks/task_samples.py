"""What each task took in its latest runs, which the planner estimates by.

A cluster keeps it in its Redis, one list per data mode, task and handler, written in the same step
as the outcome. Private clusters, whose Redis ends with them, leave it in a file of the user's data
folder. Only work that was done teaches: a completed task with its finding, or one that used its
whole time limit; not a task that failed at once, and no timed no-op.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Protocol

from sigmax_planner.facts import TaskSample
from sigmax_planner.models import DataMode, ResearchTask
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.research import TaskOutcome, TaskStatus
from sigmax_tasks.places import data_folder
from sigmax_tasks.whole_file import write_whole

logger = logging.getLogger(__name__)

SAMPLES_KEPT = 50
"""Samples kept of each task."""
SAMPLE_SECONDS = 90 * 86_400
"""How long samples are kept in Redis after the latest of them."""
FILE_NAME = "task-samples.json"


class HandledTask(Protocol):
    """What tells the samples of two tasks apart."""

    @property
    def task_id(self) -> str: ...
    @property
    def handler(self) -> str: ...


def sample_of(run_id: str, task: ResearchTask, outcome: TaskOutcome) -> TaskSample | None:
    """None of an outcome that says nothing about what the task takes."""
    worked = outcome.status is TaskStatus.COMPLETED and outcome.finding is not None
    timed_out = (
        outcome.status is TaskStatus.FAILED and outcome.duration_seconds >= task.timeout_seconds
    )
    if not (worked or timed_out):
        return None
    return TaskSample(run_id, round(outcome.duration_seconds, 4), outcome.cost_usd)


def sample_key(mode: DataMode, task: HandledTask) -> str:
    """Another handler is another task, whatever its id."""
    return f"sigmax:samples:{mode.value}:{task.task_id}:{task.handler}"


def samples_of(dossier: Dossier) -> dict[str, TaskSample]:
    """What a finished run teaches, by key."""
    plan, record = dossier.record.plan, dossier.record
    found = {}
    for outcome in dossier.outcomes:
        task = plan.task(outcome.task_id)
        sample = sample_of(record.run_id, task, outcome)
        if sample is not None:
            found[sample_key(dossier.request.data_mode, task)] = sample
    return found


def sample_text(sample: TaskSample) -> str:
    return json.dumps([sample.run_id, sample.seconds, str(sample.cost_usd)])


def parse_samples(texts: Iterable[str]) -> tuple[TaskSample, ...]:
    """Those that can be read; one of another version teaches nothing."""
    found = []
    for text in texts:
        try:
            run_id, seconds, cost = json.loads(text)
            found.append(TaskSample(str(run_id), float(seconds), Decimal(str(cost))))
        except (ValueError, TypeError, InvalidOperation):
            continue
    return tuple(found)


def merged(*many: Sequence[TaskSample]) -> tuple[TaskSample, ...]:
    """Each run's once, newest first (run ids begin with the time), at most :data:`SAMPLES_KEPT`."""
    by_run = {sample.run_id: sample for samples in many for sample in samples}
    return tuple(by_run[run_id] for run_id in sorted(by_run, reverse=True)[:SAMPLES_KEPT])


class SampleFile:
    """The samples of this user's private clusters, in one small file that may be missing."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = data_folder() / FILE_NAME if path is None else path

    def read(
        self, mode: DataMode, tasks: Iterable[HandledTask]
    ) -> dict[str, tuple[TaskSample, ...]]:
        """Of each task, newest first."""
        content = self._content()
        return {
            task.task_id: parse_samples(content.get(sample_key(mode, task), ())) for task in tasks
        }

    def add(self, samples: Mapping[str, Sequence[TaskSample]]) -> None:
        """Put new samples, by key, before those that are there.

        A sample may be lost, when two processes do so at the same moment or the file cannot be
        written, which is logged; the next runs bring more.
        """
        if not samples:
            return
        content = self._content()
        for key, new in samples.items():
            kept = merged(parse_samples(content.get(key, ())), new)
            content[key] = [sample_text(sample) for sample in kept]
        try:
            write_whole(self._path, json.dumps(content, indent=0, sort_keys=True).encode())
        except OSError as error:
            logger.warning("%s cannot be written: %s", self._path, error)

    def _content(self) -> dict[str, list[str]]:
        try:
            content: Any = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, OSError) as error:
            logger.warning("%s cannot be read, estimates begin anew: %s", self._path, error)
            return {}
        if not isinstance(content, dict):
            return {}
        return {key: texts for key, texts in content.items() if isinstance(texts, list)}
