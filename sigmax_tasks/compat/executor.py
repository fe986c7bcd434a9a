"""``TaskExecutor``: runs hand-made plans, in this process and on the workers."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sigmax_planner.models import ResearchTask
from sigmax_tasks import clock
from sigmax_tasks.compat.attempts import Handler, Retry, attempt_task
from sigmax_tasks.compat.bot import SIGMAX
from sigmax_tasks.compat.order import Order, check_order, check_tasks
from sigmax_tasks.compat.pool import PoolPart, prepare_pool_part
from sigmax_tasks.compat.summary import summarise
from sigmax_tasks.compat.threads import in_thread
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.models.research import TaskOutcome, TaskStatus

UPSTREAM: Final = "upstream"
"""Key under which a handler finds the results of its dependencies."""


class TaskExecutor:
    """Runs plans of at most ``max_parallel`` tasks at a time. Keeps nothing from plan to plan.

    A task whose id has a registered handler runs in this process. The others run on the workers
    with the handler they name, or that of the catalogue's task of their id: on the cluster of
    ``bot`` if that is open, else on one that is opened for the plan (without ``bot``: that of the
    configuration, with live data).

    A task that fails is tried again up to ``max_retries`` times, unless ``retry_failed`` is off;
    ``retry_delay`` is the first wait in seconds, doubled each time and multiplied by ``jitter()``
    (0 to 1). Raises ``TypeError`` or ``ValueError`` for these numbers.
    """

    def __init__(
        self,
        max_parallel: int = 3,
        retry_failed: bool = True,
        max_retries: int = 2,
        *,
        retry_delay: float = 1.0,
        bot: SIGMAX | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._max_parallel = _whole("max_parallel", max_parallel, least=1)
        self._max_retries = _whole("max_retries", max_retries, least=0)
        if not isinstance(retry_failed, bool):
            raise TypeError(f"retry_failed is True or False, not {retry_failed!r}")
        if isinstance(retry_delay, bool) or not isinstance(retry_delay, int | float):
            raise TypeError(f"retry_delay is a number of seconds, not {retry_delay!r}")
        if not 0 <= retry_delay <= 3600:
            raise ValueError(f"retry_delay {retry_delay!r} is not 0 to 3600 seconds")
        self._retry_failed = retry_failed
        self._retry = Retry(max_retries if retry_failed else 0, float(retry_delay), jitter)
        self._bot = bot
        self._handlers: dict[str, Handler] = {}

    def register_handler(self, task_id: str, handler: Handler) -> None:
        """Run tasks of that id with ``handler(task, context)``, plain or async, in this process.

        Plain functions run in threads. ``context`` is a copy of the plan's context; a task with
        dependencies finds their results in ``context["upstream"]``, by task id. What the handler
        returns is the task's result; any exception is a failure, and is retried unless it is a
        :class:`ConfigurationError` or :class:`PermanentSourceError`. Registering again replaces.
        """
        if not isinstance(task_id, str) or not task_id:
            raise TypeError(f"task_id is the id of a task, not {task_id!r}")
        if not callable(handler):
            raise TypeError(f"the handler of {task_id!r} is not callable: {handler!r}")
        self._handlers[task_id] = handler

    async def execute_plan(
        self,
        tasks: Iterable[ResearchTask | Mapping[str, Any]],
        execution_order: Iterable[Iterable[str]] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Run all tasks, batch after batch, and say how it went.

        Gives ``total_tasks``, ``completed``, ``failed``, ``skipped``, ``success_rate``,
        ``duration_seconds``, ``sequential_seconds``, ``speedup``, ``cost_usd``, ``results`` (by
        task id, of completed tasks), ``task_details`` (by task id: status, reason, attempts,
        duration_seconds ...) and ``notes``. A task that fails is a value in it, not an error; what
        depends on it is skipped with ``dependency X failed``.

        Tasks on the workers are one run of the cluster; they need ``context["symbol"]``, may not
        depend on tasks of this process, and run before those. Their result is the finding as JSON.

        Raises before anything runs: the planner's errors for tasks and order (None: the planner's
        own batches), :class:`ConfigurationError` for a task without a handler. Cancelling the
        awaiting task cancels what runs.
        """
        checked = check_tasks(tasks)
        order = check_order(checked, execution_order, self._max_parallel)
        shared = dict(context or {})
        handlers = {t.task_id: self._handlers[t.task_id] for t in checked if self._has(t)}
        if UPSTREAM in shared and any(t.dependencies for t in checked if self._has(t)):
            raise ConfigurationError(
                f"the context key {UPSTREAM!r} is taken: handlers find the results of their "
                "dependencies there"
            )
        part = await self._pool_part(checked, order, shared, handlers)
        started = clock.monotonic()
        execution = _Execution(
            {task.task_id: task for task in checked}, handlers, shared, self._retry
        )
        if part is not None:
            execution.take(await part.run())
        await execution.run(order, self._max_parallel)
        return summarise(
            [execution.outcomes[task.task_id] for task in checked],
            execution.results,
            duration_seconds=clock.monotonic() - started,
            notes=part.notes if part is not None and not handlers else (),
        )

    def _has(self, task: ResearchTask) -> bool:
        return task.task_id in self._handlers

    async def _pool_part(
        self,
        tasks: tuple[ResearchTask, ...],
        order: Order,
        context: Mapping[str, Any],
        handlers: Mapping[str, Handler],
    ) -> PoolPart | None:
        if len(handlers) == len(tasks):
            return None
        return prepare_pool_part(
            self._bot if self._bot is not None else await in_thread(SIGMAX),
            tasks,
            order,
            context,
            handlers,
            width=self._max_parallel,
            execution={
                "retry_failed_tasks": self._retry_failed,
                "max_retries": self._max_retries,
                "retry_delay": self._retry.first_delay_seconds,
            },
        )


@dataclass
class _Execution:
    """One execution of one plan: nothing of it outlives the call or is shared with another."""

    tasks: Mapping[str, ResearchTask]
    handlers: Mapping[str, Handler]
    context: Mapping[str, Any]
    retry: Retry
    outcomes: dict[str, TaskOutcome] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)

    def take(self, outcomes: Iterable[TaskOutcome]) -> None:
        """Outcomes of tasks that have run elsewhere."""
        for outcome in outcomes:
            self.outcomes[outcome.task_id] = outcome
            if outcome.status is TaskStatus.COMPLETED:
                finding = outcome.finding
                result = None if finding is None else finding.model_dump(mode="json")
                self.results[outcome.task_id] = result

    async def run(self, order: Order, width: int) -> None:
        """Run the tasks that have a handler here, at most ``width`` at a time."""
        slots = asyncio.Semaphore(width)
        for batch in order:
            async with asyncio.TaskGroup() as group:
                for task_id in batch:
                    if task_id not in self.outcomes:
                        group.create_task(self._run_one(self.tasks[task_id], slots))

    async def _run_one(self, task: ResearchTask, slots: asyncio.Semaphore) -> None:
        for dependency in task.dependencies:
            status = self.outcomes[dependency].status
            if status is not TaskStatus.COMPLETED:
                reason = f"dependency {dependency} {status.value}"
                self._end(task, TaskStatus.SKIPPED, reason, clock.now(), clock.monotonic(), 0)
                return
        async with slots:
            started_at, started = clock.now(), clock.monotonic()
            context = dict(self.context)
            if task.dependencies:
                context[UPSTREAM] = {name: self.results[name] for name in task.dependencies}
            effort = await attempt_task(self.handlers[task.task_id], task, context, self.retry)
            if effort.problem:
                status = TaskStatus.FAILED
            else:
                status = TaskStatus.COMPLETED
                self.results[task.task_id] = effort.value
            self._end(task, status, effort.problem, started_at, started, effort.attempts)

    def _end(
        self,
        task: ResearchTask,
        status: TaskStatus,
        reason: str,
        started_at: datetime,
        started: float,
        attempts: int,
    ) -> None:
        self.outcomes[task.task_id] = TaskOutcome(
            task_id=task.task_id,
            status=status,
            reason=reason,
            attempts=attempts,
            started_at=started_at,
            finished_at=clock.now(),
            duration_seconds=max(0.0, clock.monotonic() - started),
            worker=f"{socket.gethostname()}:{os.getpid()}",
        )


def _whole(name: str, value: int, *, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{name} is a whole number of at least {least}, not {value}")
    return value
