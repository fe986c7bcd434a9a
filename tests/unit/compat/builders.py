"""Hand-made tasks and handlers that say what they saw."""

from __future__ import annotations

import asyncio
from typing import Any

from sigmax_planner.models import ResearchTask, TaskPriority
from sigmax_tasks.compat.executor import TaskExecutor


def task(task_id: str, *dependencies: str, seconds: float = 20, **fields: Any) -> ResearchTask:
    return ResearchTask(
        task_id=task_id,
        name=task_id,
        priority=TaskPriority.HIGH,
        dependencies=dependencies,
        timeout_seconds=seconds,
        **fields,
    )


def quick_executor(max_parallel: int = 3, **options: Any) -> TaskExecutor:
    """An executor that does not wait between attempts."""
    return TaskExecutor(max_parallel, retry_delay=0, **options)


class Crowd:
    """A handler that knows how many calls of it run at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 0
        self.most = 0
        self.calls = 0

    async def __call__(self, task: ResearchTask, context: dict[str, Any]) -> str:
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.now -= 1
        return task.task_id


class Flaky:
    """A handler that raises the errors it is given, one a call, then returns "done"."""

    def __init__(self, *errors: BaseException, always: BaseException | None = None) -> None:
        self._errors = list(errors)
        self._always = always
        self.calls = 0

    def __call__(self, task: ResearchTask, context: dict[str, Any]) -> str:
        self.calls += 1
        if self._always is not None:
            raise self._always
        if self._errors:
            raise self._errors.pop(0)
        return "done"
