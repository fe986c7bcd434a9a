"""Hand-made plans: checked before anything of them runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from sigmax_planner.batches import make_batches
from sigmax_planner.errors import DuplicateTaskError, PlanningError, UnknownNameError
from sigmax_planner.graph import TaskGraph
from sigmax_planner.models import ResearchTask
from sigmax_tasks.compat.asked import one_line

Order = tuple[tuple[str, ...], ...]


def check_tasks(tasks: Iterable[ResearchTask | Mapping[str, Any]]) -> tuple[ResearchTask, ...]:
    """Tasks, or mappings of their fields, as tasks whose dependencies are sound.

    Raises :class:`ConfigurationError` for a field, or the planner's typed errors for duplicate
    ids, unknown dependencies and cycles.
    """
    checked = []
    for number, task in enumerate(tasks, start=1):
        if isinstance(task, ResearchTask):
            checked.append(task)
            continue
        if not isinstance(task, Mapping):
            raise PlanningError(
                f"task {number} is a {type(task).__name__}",
                advice="give ResearchTask objects or mappings of their fields",
            )
        try:
            checked.append(ResearchTask.model_validate(dict(task)))
        except ValidationError as error:
            raise one_line(error, f"task {task.get('task_id', number)!r}") from error
    TaskGraph.of(checked)
    return tuple(checked)


def check_order(
    tasks: Sequence[ResearchTask], execution_order: Iterable[Iterable[str]] | None, width: int
) -> Order:
    """Batches of task ids: each task once, in a later batch than all its dependencies.

    None gives the planner's own batches for that ``width``. Raises :class:`UnknownNameError`,
    :class:`DuplicateTaskError` or :class:`PlanningError`.
    """
    if execution_order is None:
        return make_batches(tasks, width)
    batches: list[tuple[str, ...]] = []
    for batch in execution_order:
        if isinstance(batch, str) or not isinstance(batch, Iterable):
            raise PlanningError(
                f"execution_order is a list of batches, and {batch!r} is not a batch",
                advice="write it like [['a', 'b'], ['c']]",
            )
        ids = tuple(batch)
        if ids:
            batches.append(ids)
    known = {task.task_id: task for task in tasks}
    place: dict[str, int] = {}
    for index, batch in enumerate(batches):
        for task_id in batch:
            if task_id not in known:
                raise UnknownNameError("task in execution_order:", task_id, known)
            if task_id in place:
                raise DuplicateTaskError([task_id])
            place[task_id] = index
    missing = [task_id for task_id in known if task_id not in place]
    if missing:
        raise PlanningError(f"execution_order leaves out {', '.join(missing)}")
    for task in tasks:
        for dependency in task.dependencies:
            if place[dependency] >= place[task.task_id]:
                raise PlanningError(
                    f"execution_order runs {task.task_id!r} no later than {dependency!r}, which "
                    "it depends on"
                )
    return tuple(batches)
