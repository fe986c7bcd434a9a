"""What a worker does itself behind the task that ends a batch, without a message in between.

The step that keeps the outcome begins the next batch, or ends the research of the run. While nobody
else's work waits it leaves one piece of that to its caller: the task of the next batch that takes
longest, with the lease that its message would have got it, or the end of the run. That is what the
free place of this worker would take next; a list of Redis, another process and its poll are left
out. All that watches over a task goes by its lease, which is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from celery import signals

from sigmax_planner.canvas import (
    CONTROL_PRIORITY,
    CONTROL_QUEUE,
    FINALIZE_RUN,
    PRIORITY_STEPS,
    RESEARCH_QUEUE,
    RUN_RESEARCH,
)
from sigmax_tasks import clock
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.run_state import Offer, OpenRun
from sigmax_tasks.wire import queue_key

CONTROL_LISTS = (queue_key(CONTROL_QUEUE, CONTROL_PRIORITY),)
ALL_LISTS = (*CONTROL_LISTS, *(queue_key(RESEARCH_QUEUE, step) for step in PRIORITY_STEPS))


class FollowUp:
    """What follows the batch before ``step`` of a run by levels, for the worker ``host:pid``.

    ``task`` is None behind the last batch. It is ours to do once ``accepted``; ``taken_at``
    (monotonic) is from when. ``owner`` holds the lease then. ``may_go_on`` says whether this worker
    takes anything more; it is asked last of all.
    """

    def __init__(
        self, run: OpenRun, step: int, worker: str, owner: str, may_go_on: Callable[[], bool]
    ) -> None:
        self.step = step
        self.owner = owner
        self.accepted = False
        self.taken_at = 0.0
        self._run_id = run.run_id
        self._worker = worker
        self._may_go_on = may_go_on
        batches = run.plan.execution_order
        self._batch = batches[step] if step < len(batches) else ()
        tasks = [run.plan.task(task_id) for task_id in self._batch]
        self.task = max(tasks, key=lambda task: task.estimated_seconds, default=None)

    def offer(self) -> Offer:
        """For the :class:`~sigmax_tasks.run_state.Join` that opens that batch or ends the run."""
        if self.task is None:
            return Offer(CONTROL_LISTS, self._stands, self._accept)
        started = ProgressEvent(
            run_id=self._run_id,
            kind=EventKind.TASK_STARTED,
            at=clock.now(),
            task_id=self.task.task_id,
            status=TaskStatus.RUNNING.value,
            attempt=1,
            worker=self._worker,
        )
        return Offer(
            ALL_LISTS,
            self._stands,
            self._accept,
            owner=self.owner,
            started=started,
            place=self._batch.index(self.task.task_id),
            batch_size=len(self._batch),
        )

    def _stands(self) -> bool:
        self.taken_at = clock.monotonic()
        return self._may_go_on()

    def _accept(self) -> None:
        self.accepted = True


_consumer: Any = None


def remember_consumer(sender: Any, **_: Any) -> None:
    """Celery's consumer of this process, which has the dispatcher of its events."""
    global _consumer  # noqa: PLW0603  # one per process
    _consumer = sender


signals.worker_ready.connect(remember_consumer)


@contextmanager
def told_to_monitors(run_id: str, task_id: str | None) -> Iterator[None]:
    """Where Celery's task events are on, as Flower has it, tell of this work as of a message."""
    dispatcher = None if _consumer is None else _consumer.event_dispatcher
    if dispatcher is None or not dispatcher.enabled:
        yield
        return
    uuid = str(uuid4())
    name, args = (FINALIZE_RUN, (run_id,)) if task_id is None else (RUN_RESEARCH, (run_id, task_id))
    dispatcher.send(
        "task-received",
        uuid=uuid,
        name=name,
        args=repr(args),
        kwargs="{}",
        root_id=uuid,
        parent_id=None,
        retries=0,
        eta=None,
        expires=None,
    )
    dispatcher.send("task-started", uuid=uuid)
    began = clock.monotonic()
    try:
        yield
    except Exception as error:
        dispatcher.send("task-failed", uuid=uuid, exception=type(error).__name__, traceback="")
        raise
    dispatcher.send(
        "task-succeeded", uuid=uuid, result=repr(task_id), runtime=clock.monotonic() - began
    )
