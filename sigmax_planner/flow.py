"""Critical-path batching: a task starts as soon as its own dependencies are done.

List scheduling on ``width`` places: whenever a place is free, the most urgent of the ready tasks
takes it, among equals the one with the longest way behind it (itself and the longest chain of tasks
that wait for it), then by id. By levels a batch lasts as long as its longest task; here only the
tasks behind that one wait for it.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from sigmax_planner.batches import Schedulable
from sigmax_planner.graph import TaskGraph

Turn = tuple[int, float, str]


@dataclass(frozen=True)
class Start:
    """When a task starts and ends, in seconds after the start of the plan."""

    task_id: str
    starts_at: float
    ends_at: float


@dataclass(frozen=True)
class _Inside:
    """A task without the dependencies that are not among the others."""

    task_id: str
    dependencies: tuple[str, ...]


def graph_of(tasks: Sequence[Schedulable]) -> TaskGraph:
    """The graph of these tasks; dependencies outside are taken to be met."""
    known = {task.task_id for task in tasks}
    return TaskGraph.of(
        [_Inside(t.task_id, tuple(d for d in t.dependencies if d in known)) for t in tasks]
    )


def turns(tasks: Sequence[Schedulable], graph: TaskGraph) -> dict[str, Turn]:
    """By task id, what the ready tasks are sorted by; the smallest goes first."""
    urgency = graph.inherited({task.task_id: task.priority.rank for task in tasks})
    seconds = {task.task_id: task.estimated_seconds for task in tasks}
    behind: dict[str, float] = {}
    for task_id in reversed(graph.order):
        longest = max((behind[d] for d in graph.dependents[task_id]), default=0.0)
        behind[task_id] = seconds[task_id] + longest
    return {task_id: (urgency[task_id], -behind[task_id], task_id) for task_id in graph.order}


def planned_starts(tasks: Sequence[Schedulable], width: int) -> tuple[Start, ...]:
    """All tasks in the order of their start. O((n + e) log n)."""
    graph = graph_of(tasks)
    turn = turns(tasks, graph)
    seconds = {task.task_id: task.estimated_seconds for task in tasks}
    missing = {task_id: len(needed) for task_id, needed in graph.dependencies.items()}
    ready = [turn[task_id] for task_id, count in missing.items() if not count]
    heapify(ready)
    running: list[tuple[float, str]] = []
    starts: list[Start] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < width:
            task_id = heappop(ready)[2]
            ends_at = now + seconds[task_id]
            starts.append(Start(task_id, now, ends_at))
            heappush(running, (ends_at, task_id))
        now = running[0][0]
        while running and running[0][0] <= now:
            _, over = heappop(running)
            for dependent in graph.dependents[over]:
                missing[dependent] -= 1
                if not missing[dependent]:
                    heappush(ready, turn[dependent])
    return tuple(starts)


def flow_seconds(tasks: Sequence[Schedulable], width: int) -> float:
    """Seconds from the first start to the last end; 0 of no tasks."""
    return max((start.ends_at for start in planned_starts(tasks, width)), default=0.0)


def waves(tasks: Sequence[Schedulable], width: int) -> tuple[tuple[str, ...], ...]:
    """Task ids that are planned to start at the same moment, in the order of those moments."""
    by_moment: dict[float, list[str]] = {}
    for start in planned_starts(tasks, width):
        by_moment.setdefault(start.starts_at, []).append(start.task_id)
    return tuple(tuple(task_ids) for task_ids in by_moment.values())


def ready_tasks(
    tasks: Sequence[Schedulable], done: Container[str], graph: TaskGraph | None = None
) -> tuple[str, ...]:
    """Ids of tasks that are not done and whose dependencies are, the most urgent first."""
    graph = graph_of(tasks) if graph is None else graph
    turn: Mapping[str, Turn] = turns(tasks, graph)
    ready = [
        task_id
        for task_id, needed in graph.dependencies.items()
        if task_id not in done and all(dependency in done for dependency in needed)
    ]
    return tuple(sorted(ready, key=lambda task_id: turn[task_id]))
