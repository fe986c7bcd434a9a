"""Critical-path batching on the pool: what of a run may be sent now. Pure.

By levels a run has a step per batch. By critical path it has one step with all its tasks: each is
sent when its dependencies have an outcome and fewer than ``width`` are in work. Which may be sent
is decided here from the outcomes; Redis decides in one step (:meth:`RunStore.claim_tasks`) that
each is sent once and no more than ``width`` are in work. Every task is a chord of its own, whose
body looks again, so that the end of a task is what lets the next ones go.

Nothing is missed: a body runs after the outcome of its task, so the last of several dependencies
sees them all, and so does the last of several tasks in work see every place that is free.
"""

from __future__ import annotations

from collections.abc import Container

from sigmax_planner.flow import graph_of, ready_tasks
from sigmax_planner.models import Batching, ResearchPlan


def in_flow(plan: ResearchPlan) -> bool:
    return plan.batching is Batching.CRITICAL_PATH


def steps_of(plan: ResearchPlan) -> tuple[tuple[str, ...], ...]:
    """The task ids of each step of the engine; behind the last one the run is finalised."""
    if not in_flow(plan):
        return plan.execution_order
    return (tuple(task_id for wave in plan.execution_order for task_id in wave),)


def sendable(plan: ResearchPlan, done: Container[str]) -> tuple[str, ...]:
    """Tasks without an outcome whose dependencies have one, in the order in which they go."""
    return ready_tasks(plan.tasks, done)


def companions(plan: ResearchPlan, task_id: str) -> tuple[str, ...]:
    """The tasks that a run waits for beside this one, with itself.

    By levels its batch; by critical path all that do not wait for it.
    """
    if not in_flow(plan):
        return next((batch for batch in plan.execution_order if task_id in batch), ())
    graph = graph_of(plan.tasks)
    behind = graph.with_dependents([task_id], graph.dependencies)
    return tuple(t.task_id for t in plan.tasks if t.task_id == task_id or t.task_id not in behind)
