"""Dependency batches: what runs side by side, and what runs after it."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Protocol

from sigmax_planner.errors import InvalidWidthError
from sigmax_planner.graph import TaskGraph


def parse_width(width: object) -> int:
    """A whole number of at least 1; 2.5, "2", true, 0 raise :class:`InvalidWidthError`."""
    if not isinstance(width, int) or isinstance(width, bool) or width < 1:
        raise InvalidWidthError(width)
    return width


class Ranked(Protocol):
    """A priority; rank 0 is the most urgent."""

    @property
    def rank(self) -> int: ...


class Schedulable(Protocol):
    """What the batches read of a task."""

    @property
    def task_id(self) -> str: ...
    @property
    def dependencies(self) -> tuple[str, ...]: ...
    @property
    def priority(self) -> Ranked: ...
    @property
    def estimated_seconds(self) -> float: ...


def make_batches(tasks: Sequence[Schedulable], width: int) -> tuple[tuple[str, ...], ...]:
    """Task ids in batches of at most ``width``, each task behind all its dependencies.

    List scheduling: every batch takes the most urgent of the tasks whose dependencies lie in
    earlier batches, among equals the longest (so that long tasks share a batch), then by id. A
    batch is filled as long as a task is ready. A task is as urgent as the most urgent task that
    waits for it. The result does not depend on the order of ``tasks``.

    Raises :class:`InvalidWidthError`, :class:`DuplicateTaskError`,
    :class:`UnknownDependencyError` or :class:`DependencyCycleError`.
    O(n log n + e) for n tasks and e dependencies.
    """
    width = parse_width(width)
    graph = TaskGraph.of(tasks)
    urgency = graph.inherited({task.task_id: task.priority.rank for task in tasks})
    turn = {
        task.task_id: (urgency[task.task_id], -task.estimated_seconds, task.task_id)
        for task in tasks
    }
    missing = {task_id: len(needed) for task_id, needed in graph.dependencies.items()}
    ready = [turn[task_id] for task_id, count in missing.items() if not count]
    heapify(ready)
    batches: list[tuple[str, ...]] = []
    while ready:
        batch = tuple(heappop(ready)[2] for _ in range(min(width, len(ready))))
        batches.append(batch)
        for task_id in batch:
            for dependent in graph.dependents[task_id]:
                missing[dependent] -= 1
                if not missing[dependent]:
                    heappush(ready, turn[dependent])
    return tuple(batches)
