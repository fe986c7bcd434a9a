"""How the order of a plan is told."""

from __future__ import annotations

from sigmax_planner.models import Batching, ResearchPlan
from sigmax_tasks.report.numbers import count


def by_critical_path(plan: ResearchPlan) -> bool:
    return plan.batching is Batching.CRITICAL_PATH


def batch_word(plan: ResearchPlan) -> str:
    """By critical path nothing waits for a whole batch: tasks planned to start together."""
    return "wave" if by_critical_path(plan) else "batch"


def order_text(plan: ResearchPlan) -> str:
    """``in 2 batches``, or ``by critical path``."""
    if by_critical_path(plan):
        return "by critical path"
    return f"in {count(len(plan.execution_order), 'batch', 'es')}"
