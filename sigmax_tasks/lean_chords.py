"""The chord of a batch as letters for the run store to send. See ``engine.lean_chords``.

The counterpart of :func:`sigmax_planner.canvas.batch_chord`: the same messages, but for their body
behind the last batch, which is the finaliser itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sigmax_planner.canvas import (
    CLOSE_BATCH,
    CONTROL_PRIORITY,
    CONTROL_QUEUE,
    FINALIZE_RUN,
    PROTOCOL_HEADER,
    PROTOCOL_VERSION,
    RESEARCH_QUEUE,
    RUN_RESEARCH,
    message_priority,
)
from sigmax_planner.models import ResearchTask
from sigmax_tasks import clock
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.release import in_flow
from sigmax_tasks.run_state import OpenRun, Sending
from sigmax_tasks.store import RunStore
from sigmax_tasks.wire import Call, Letter, chord_letters

_HEADERS = {PROTOCOL_HEADER: PROTOCOL_VERSION}


def control_call(name: str, *args: str | int) -> Call:
    """A control step: own queue, served first."""
    return Call(name, args, CONTROL_QUEUE, CONTROL_PRIORITY, _HEADERS)


def lean_chord(
    run_id: str, step: int, tasks: Sequence[ResearchTask], *, last: bool
) -> list[Letter]:
    """The letters of batch ``step``; ``last`` when no batch follows."""
    header = [
        Call(
            RUN_RESEARCH,
            (run_id, task.task_id),
            RESEARCH_QUEUE,
            message_priority(task.priority),
            _HEADERS,
            message_priority(task.priority, behind=True),
        )
        for task in tasks
    ]
    if last:
        return chord_letters(header, control_call(FINALIZE_RUN, run_id))
    return chord_letters(header, control_call(CLOSE_BATCH, run_id, step + 1))


def send_lean_chord(
    store: RunStore, run: OpenRun, step: int, tasks: Sequence[ResearchTask], *, claim: bool
) -> bool:
    """Send a chord in the step that tells of it and, with ``claim``, moves the run to its batch.

    With the first go those of all batches behind it, which the run keeps ready; by critical path,
    where the first tasks are claimed with it, nothing is.
    """
    batch = first_batch(run, tasks) if claim and step == 0 else _batch(run, step, tasks, claim)
    return store.send_batch(
        batch.event, batch.letters, step=step, claim=claim, ready=batch.ready, marked=batch.marked
    )


def first_batch(run: OpenRun, tasks: Sequence[ResearchTask]) -> Sending:
    """The tasks that a run begins with, and the letters it keeps ready for those behind them."""
    batch = _batch(run, 0, tasks, claim=True)
    if in_flow(run.plan):
        return batch
    ready = {
        number: _letters(run, number, [run.plan.task(task_id) for task_id in ids])
        for number, ids in enumerate(run.plan.execution_order)
        if number
    }
    return replace(batch, ready=ready)


def _batch(run: OpenRun, step: int, tasks: Sequence[ResearchTask], claim: bool) -> Sending:
    marked = [task.task_id for task in tasks] if claim and in_flow(run.plan) else []
    return Sending(batch_started(run, step, tasks), _letters(run, step, tasks), marked=marked)


def _letters(run: OpenRun, step: int, tasks: Sequence[ResearchTask]) -> list[Letter]:
    # By critical path something always follows: the body that looks what may go now.
    last = not in_flow(run.plan) and step + 1 == len(run.plan.execution_order)
    return [
        letter
        for group in chords_of(run, tasks)
        for letter in lean_chord(run.run_id, step, group, last=last)
    ]


def chords_of(run: OpenRun, tasks: Sequence[ResearchTask]) -> list[Sequence[ResearchTask]]:
    """Tasks that are sent together, by chord: all in one, or by critical path one each."""
    return [[task] for task in tasks] if in_flow(run.plan) else [tasks]


def batch_started(run: OpenRun, step: int, tasks: Sequence[ResearchTask]) -> ProgressEvent:
    """The event that tells of it."""
    return ProgressEvent(
        run_id=run.run_id,
        kind=EventKind.BATCH_STARTED,
        at=clock.now(),
        batch_index=None if in_flow(run.plan) else step,
        detail=", ".join(task.task_id for task in tasks),
    )
