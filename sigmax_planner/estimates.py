"""What a plan will cost and how long it will take. All figures are computed, never stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


class Timed(Protocol):
    """What the estimates read of a task."""

    @property
    def task_id(self) -> str: ...
    @property
    def dependencies(self) -> tuple[str, ...]: ...
    @property
    def estimated_seconds(self) -> float: ...


@dataclass(frozen=True)
class CriticalPath:
    """The dependency chain whose estimated seconds add up to the most."""

    task_ids: tuple[str, ...]
    seconds: float


def sequential_seconds(tasks: Sequence[Timed]) -> float:
    """Seconds when one task runs at a time."""
    return sum(task.estimated_seconds for task in tasks)


def parallel_seconds(tasks: Sequence[Timed], batches: Sequence[Sequence[str]]) -> float:
    """Seconds when batches run one after another and each lasts as long as its longest task."""
    seconds = {task.task_id: task.estimated_seconds for task in tasks}
    return sum(max((seconds[task_id] for task_id in batch), default=0.0) for batch in batches)


def critical_path(tasks: Sequence[Timed]) -> CriticalPath:
    """Longest chain in an acyclic set of tasks; of equal chains the first in task order.

    Dependencies outside ``tasks`` are ignored. Linear in tasks and dependencies.
    """
    by_id = {task.task_id: task for task in tasks}
    best: dict[str, tuple[float, str | None]] = {}
    for root in by_id:
        stack = [root]
        while stack:
            task = by_id[stack[-1]]
            waiting = [d for d in task.dependencies if d in by_id and d not in best]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if task.task_id in best:
                continue
            before, length = None, 0.0
            for dependency in task.dependencies:
                if dependency in best and best[dependency][0] > length:
                    before, length = dependency, best[dependency][0]
            best[task.task_id] = (length + task.estimated_seconds, before)
    if not best:
        return CriticalPath((), 0.0)
    last: str | None = max(by_id, key=lambda task_id: best[task_id][0])
    total = best[last][0] if last is not None else 0.0
    chain: list[str] = []
    while last is not None:
        chain.append(last)
        last = best[last][1]
    return CriticalPath(tuple(reversed(chain)), total)


def usd_text(amount: Decimal) -> str:
    """``$0.05``, ``$0.10``, ``$0.0004``: two decimals, more only where the amount has them."""
    cents = amount.quantize(Decimal("0.01"))
    return f"${cents:f}" if cents == amount else f"${amount.normalize():f}"
