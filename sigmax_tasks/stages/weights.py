"""How much each planned task counts in a profile."""

from __future__ import annotations

import math

from sigmax_planner.models import ResearchPlan, TaskPriority
from sigmax_tasks.models.policy import DecisionPolicy
from sigmax_tasks.stages.exact import share


def planned_weights(plan: ResearchPlan, policy: DecisionPolicy) -> dict[str, float]:
    """Task id -> share of the weights of all planned tasks, adding up to 1.

    The weight is that of the plan's profile, or for a task it does not name (a custom one) the
    default of the priority. Shares are of the planned tasks, whether or not they gave anything.
    """
    named = policy.profile(plan.risk_profile).task_weights
    raw = {
        task.task_id: named.get(task.task_id, _default(task.priority, policy))
        for task in plan.tasks
    }
    total = math.fsum(raw.values())
    return {task_id: share(weight, total) for task_id, weight in raw.items()}


def _default(priority: TaskPriority, policy: DecisionPolicy) -> float:
    return policy.analysis.default_task_weights.of(priority)
