"""The dependency graph of a set of tasks, checked once and asked often."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sigmax_planner.errors import (
    DependencyCycleError,
    DuplicateTaskError,
    UnknownDependencyError,
)


class Node(Protocol):
    """What the graph reads of a task."""

    @property
    def task_id(self) -> str: ...
    @property
    def dependencies(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class TaskGraph:
    """Who waits for whom. ``order`` lists every task behind all its dependencies.

    Building it and every question to it are linear in tasks and dependencies.
    """

    dependencies: Mapping[str, tuple[str, ...]]
    dependents: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]

    @classmethod
    def of(cls, tasks: Sequence[Node]) -> TaskGraph:
        """Check and build.

        Raises :class:`DuplicateTaskError`, :class:`UnknownDependencyError` or
        :class:`DependencyCycleError` (a self-dependency is a cycle of one).
        """
        counts = Counter(task.task_id for task in tasks)
        if len(counts) < len(tasks):
            raise DuplicateTaskError([task_id for task_id, count in counts.items() if count > 1])
        dependencies = {task.task_id: tuple(dict.fromkeys(task.dependencies)) for task in tasks}
        dependents: dict[str, list[str]] = {task_id: [] for task_id in dependencies}
        for task_id, needed in dependencies.items():
            for dependency in needed:
                if dependency not in dependents:
                    raise UnknownDependencyError(task_id, dependency, dependencies)
                dependents[dependency].append(task_id)
        missing = {task_id: len(needed) for task_id, needed in dependencies.items()}
        free = deque(task_id for task_id, count in missing.items() if not count)
        order: list[str] = []
        while free:
            task_id = free.popleft()
            order.append(task_id)
            for dependent in dependents[task_id]:
                missing[dependent] -= 1
                if not missing[dependent]:
                    free.append(dependent)
        if len(order) < len(dependencies):
            raise DependencyCycleError(_cycle(dependencies, missing))
        return cls(
            dependencies, {task_id: tuple(ids) for task_id, ids in dependents.items()}, tuple(order)
        )

    def with_dependencies(self, task_ids: Iterable[str]) -> frozenset[str]:
        """These tasks and everything they wait for, directly or not."""
        return _closure(task_ids, self.dependencies, self.dependencies)

    def with_dependents(self, task_ids: Iterable[str], within: Container[str]) -> frozenset[str]:
        """These tasks and everything ``within`` that waits for them, directly or through it."""
        return _closure(task_ids, self.dependents, within)

    def inherited(self, ranks: Mapping[str, int]) -> dict[str, int]:
        """The rank of each task, or that of the most urgent task that waits for it.

        Without it a CRITICAL task would wait behind all HIGH ones for a LOW dependency. Tasks
        outside ``ranks`` are ignored.
        """
        best: dict[str, int] = {}
        for task_id in reversed(self.order):
            if task_id in ranks:
                waiting = (best[d] for d in self.dependents[task_id] if d in best)
                best[task_id] = min([ranks[task_id], *waiting])
        return best


def _closure(
    task_ids: Iterable[str], edges: Mapping[str, tuple[str, ...]], within: Container[str]
) -> frozenset[str]:
    seen = set(task_ids)
    stack = list(seen)
    while stack:
        for neighbour in edges[stack.pop()]:
            if neighbour in within and neighbour not in seen:
                seen.add(neighbour)
                stack.append(neighbour)
    return frozenset(seen)


def _cycle(
    dependencies: Mapping[str, tuple[str, ...]], missing: Mapping[str, int]
) -> tuple[str, ...]:
    """Follow unmet dependencies until a task comes up again: each blocked task has one."""
    task_id = next(task_id for task_id, count in missing.items() if count)
    position: dict[str, int] = {}
    path: list[str] = []
    while task_id not in position:
        position[task_id] = len(path)
        path.append(task_id)
        task_id = next(d for d in dependencies[task_id] if missing[d])
    return (*path[position[task_id] :], task_id)
