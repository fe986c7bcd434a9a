"""From a batch of a plan to its Celery chord. Tasks are addressed by name, never imported.

A plan runs as one chord per dependency batch. The body of each chord is the advance step
(``sigmax.close_batch``): it closes the batch and starts the chord of the next one, or the
finaliser behind the last. Messages hold ids only, so a plan of K batches costs K small chords
instead of one canvas that carries the rest of the plan in every message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sigmax_planner.models import ResearchTask, TaskPriority

if TYPE_CHECKING:
    from celery import Celery

RUN_RESEARCH = "sigmax.run_research"
CLOSE_BATCH = "sigmax.close_batch"
KICK_RUN = "sigmax.kick_run"
FINALIZE_RUN = "sigmax.finalize_run"
EVALUATE_CHUNK = "sigmax.evaluate_chunk"

RESEARCH_QUEUE = "sigmax.research"
CONTROL_QUEUE = "sigmax.control"

PROTOCOL_HEADER = "sigmax_protocol"
PROTOCOL_VERSION = 2
"""Of our messages and of what the run store holds. Raise it when an older worker could not do what
a newer one asks for. A worker reads its own and the one before; newer ones it leaves to others."""

CONTROL_PRIORITY = 0
PRIORITY_STEPS = tuple(range(2 * len(TaskPriority)))
"""Message priorities on Redis, the first is served first: CRITICAL to LOW, and the same behind."""
PRIORITY_SEPARATOR = ":"
"""Between the name of a queue and a priority in the name of its Redis list."""


def message_priority(priority: TaskPriority, *, behind: bool = False) -> int:
    """The broker's priority of a task message; ``behind`` all that are not."""
    return priority.rank + (len(TaskPriority) if behind else 0)


def control_signature(app: Celery, name: str, *args: object) -> Any:
    """A control step: own queue, served first, independent of results before it."""
    return app.signature(
        name,
        args=args,
        immutable=True,
        queue=CONTROL_QUEUE,
        priority=CONTROL_PRIORITY,
        headers={PROTOCOL_HEADER: PROTOCOL_VERSION},
    )


def chunk_signature(app: Celery, evaluation_id: str, number: int) -> Any:
    """A chunk of an evaluation: behind all research."""
    return app.signature(
        EVALUATE_CHUNK,
        args=(evaluation_id, number),
        immutable=True,
        queue=RESEARCH_QUEUE,
        priority=PRIORITY_STEPS[-1],
        headers={PROTOCOL_HEADER: PROTOCOL_VERSION},
    )


def batch_chord(
    app: Celery,
    run_id: str,
    batch_index: int,
    tasks: Sequence[ResearchTask],
    *,
    behind: bool = False,
) -> Any:
    """The chord of one batch: a task message each, then ``close_batch`` for the next index.

    ``behind``: the tasks wait behind those of all runs that are not.
    ``tasks`` must not be empty (``ValueError``). A failure inside the header never loses the run:
    the error callback sends the advance step, which reads the truth from the store.
    """
    from celery import chord  # heavy: those who only name tasks and queues do not need it

    if not tasks:
        raise ValueError("a chord needs at least one task")
    header = [
        app.signature(
            RUN_RESEARCH,
            args=(run_id, task.task_id),
            immutable=True,
            queue=RESEARCH_QUEUE,
            priority=message_priority(task.priority, behind=behind),
            headers={PROTOCOL_HEADER: PROTOCOL_VERSION},
        )
        for task in tasks
    ]
    following = batch_index + 1
    body = control_signature(app, CLOSE_BATCH, run_id, following)
    body.on_error(control_signature(app, KICK_RUN, run_id, following))
    return chord(header, body, app=app)
