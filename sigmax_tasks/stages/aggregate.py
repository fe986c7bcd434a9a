"""aggregate: the outcomes of a run -> one ResearchBundle (D1). Nothing is dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sigmax_planner.models import DataMode, ResearchPlan
from sigmax_tasks.errors import SigmaxError
from sigmax_tasks.models.research import Circumstances, ResearchBundle, TaskOutcome


class BundleError(SigmaxError):
    """Outcomes that do not belong together. ``task_ids`` are the offending ones."""

    def __init__(self, problem: str, task_ids: Sequence[str]) -> None:
        self.task_ids = tuple(task_ids)
        super().__init__(f"{problem}: {', '.join(self.task_ids)}")


def aggregate(
    plan: ResearchPlan,
    outcomes: Sequence[TaskOutcome],
    symbol: str,
    as_of: datetime,
    data_mode: DataMode,
    circumstances: Circumstances | None = None,
) -> ResearchBundle:
    """All outcomes of a run in plan order, whatever their order here.

    A planned task without an outcome is allowed (the run was cut short); validation names it.
    Raises :class:`BundleError` for a plan or a finding of another symbol, a task that is not in
    the plan, a second outcome of one task, and a finding under another task's outcome.
    """
    if plan.symbol != symbol:
        raise BundleError(f"the plan is for {plan.symbol}, not for {symbol}; its tasks", _ids(plan))
    rank = {task_id: place for place, task_id in enumerate(_ids(plan))}
    strangers = sorted({o.task_id for o in outcomes} - rank.keys())
    if strangers:
        raise BundleError("outcomes of tasks that are not in the plan", strangers)
    counts = Counter(o.task_id for o in outcomes)
    twins = sorted(task_id for task_id, count in counts.items() if count > 1)
    if twins:
        raise BundleError("more than one outcome of a task", twins)
    found = [(o.task_id, o.finding) for o in outcomes if o.finding is not None]
    foreign = sorted(task_id for task_id, finding in found if finding.symbol != symbol)
    if foreign:
        raise BundleError(f"findings of another symbol than {symbol}", foreign)
    swapped = sorted(task_id for task_id, finding in found if finding.task_id != task_id)
    if swapped:
        raise BundleError("outcomes that carry the finding of another task", swapped)
    return ResearchBundle(
        symbol=symbol,
        as_of=as_of,
        data_mode=data_mode,
        plan=plan,
        outcomes=tuple(sorted(outcomes, key=lambda o: rank[o.task_id])),
        circumstances=circumstances or Circumstances(),
    )


def _ids(plan: ResearchPlan) -> list[str]:
    return [task.task_id for task in plan.tasks]
