"""What of a bundle may be relied on: usable observations, how fresh and how complete each task is.

All shares only ever fall when an observation, an argument or a finding is taken away: what is not
there counts as unknown, never as left out of the reckoning.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sigmax_planner.models import DataMode, ResearchTask
from sigmax_tasks.models.observations import Lineage, Missing
from sigmax_tasks.models.policy import ValidationPolicy
from sigmax_tasks.models.research import (
    Evidence,
    Finding,
    ResearchBundle,
    TaskOutcome,
    TaskStatus,
)
from sigmax_tasks.stages.exact import clamp, share


@dataclass(frozen=True)
class Standing:
    """How a planned task stands.

    ``finding`` is None unless the task completed with one. ``usable`` are its observations that
    count, by id; ``unusable`` pairs the others with the reason. ``evidence`` are the arguments
    whose citations are all usable. ``filled`` is the share of its needs that were filled (usable
    observations over those and the stated gaps), ``informed`` the mean freshness over its planned
    sources, a source without a usable observation counting 0; ``fresh`` has each source that was
    seen. Cross-checks count for none of them: ``counted`` are the usable observations without them.
    """

    task: ResearchTask
    outcome: TaskOutcome | None
    finding: Finding | None
    usable: Mapping[str, Lineage]
    unusable: tuple[tuple[Lineage, str], ...]
    evidence: tuple[Evidence, ...]
    missing: tuple[Missing, ...]
    filled: float
    informed: float
    fresh: Mapping[str, float]

    @property
    def counted(self) -> tuple[Lineage, ...]:
        return _counted(self.usable.values())

    @property
    def task_id(self) -> str:
        return self.task.task_id

    @property
    def failure(self) -> str:
        """Why there is no finding; empty where there is one."""
        if self.finding is not None:
            return ""
        if self.outcome is None:
            return "no outcome before the run ended"
        if self.outcome.status is TaskStatus.COMPLETED:
            return "completed without a finding"
        return f"{self.outcome.status.value}: {self.outcome.reason or 'no reason given'}"

    def metric(self, name: str) -> float | None:
        """The metric of that name if all observations it rests on are usable, else None."""
        for metric in self.finding.metrics if self.finding else ():
            if metric.name == name:
                return metric.value if self.cites_usable(metric.observation_ids) else None
        return None

    def metric_time(self, name: str) -> datetime | None:
        """When the newest observation behind that metric was made."""
        for metric in self.finding.metrics if self.finding else ():
            if metric.name == name and self.cites_usable(metric.observation_ids):
                return max(self.usable[key].observed_at for key in metric.observation_ids)
        return None

    def cites_usable(self, observation_ids: Iterable[str]) -> bool:
        return all(key in self.usable for key in observation_ids)


def age_minutes(observed_at: datetime, as_of: datetime) -> float:
    """Minutes from ``observed_at`` to ``as_of``; 0 for what was observed after it."""
    return max(0.0, (as_of - observed_at).total_seconds() / 60.0)


def freshness(lineage: Lineage, as_of: datetime, policy: ValidationPolicy) -> float:
    """1 up to the age limit of its source and kind, then linear to 0 at twice the limit."""
    limit = policy.age_limit_minutes(lineage.source, lineage.kind, lineage.name)
    return clamp(2.0 - age_minutes(lineage.observed_at, as_of) / limit, 0.0, 1.0)


def source_freshness(
    lineage: Iterable[Lineage], as_of: datetime, policy: ValidationPolicy
) -> dict[str, float]:
    """Freshness of the freshest observation of each source that was seen."""
    best: dict[str, float] = {}
    for item in lineage:
        best[item.source] = max(best.get(item.source, 0.0), freshness(item, as_of, policy))
    return best


def standings(bundle: ResearchBundle, policy: ValidationPolicy) -> tuple[Standing, ...]:
    """One Standing for each planned task, in plan order."""
    outcomes = {outcome.task_id: outcome for outcome in bundle.outcomes}
    return tuple(
        _standing(task, outcomes.get(task.task_id), bundle, policy) for task in bundle.plan.tasks
    )


def _standing(
    task: ResearchTask,
    outcome: TaskOutcome | None,
    bundle: ResearchBundle,
    policy: ValidationPolicy,
) -> Standing:
    done = outcome is not None and outcome.status is TaskStatus.COMPLETED
    finding = outcome.finding if outcome is not None and done else None
    usable: dict[str, Lineage] = {}
    unusable: list[tuple[Lineage, str]] = []
    for item in finding.lineage if finding else ():
        problem = _problem(item, bundle, policy)
        if problem:
            unusable.append((item, problem))
        elif (
            item.observation_id not in usable
            or item.observed_at > usable[item.observation_id].observed_at
        ):
            usable[item.observation_id] = item
    missing = _gaps(outcome)
    counted = _counted(usable.values())
    gaps = sum(not gap.cross_check for gap in missing)
    filled = share(len(counted), len(counted) + gaps)
    by_source = source_freshness(counted, bundle.as_of, policy)
    sources = dict.fromkeys(task.data_sources)
    informed = share(math.fsum(by_source.get(source, 0.0) for source in sources), len(sources))
    return Standing(
        task=task,
        outcome=outcome,
        finding=finding,
        usable=usable,
        unusable=tuple(unusable),
        evidence=tuple(
            item
            for item in (finding.evidence if finding else ())
            if all(key in usable for key in item.observation_ids)
        ),
        missing=missing,
        filled=filled,
        informed=informed,
        fresh=by_source,
    )


def _counted(lineage: Iterable[Lineage]) -> tuple[Lineage, ...]:
    return tuple(item for item in lineage if not item.cross_check)


def _gaps(outcome: TaskOutcome | None) -> tuple[Missing, ...]:
    if outcome is None:
        return ()
    told = outcome.missing + (outcome.finding.missing if outcome.finding else ())
    return tuple({(gap.source, gap.need): gap for gap in reversed(told)}.values())[::-1]


def _problem(item: Lineage, bundle: ResearchBundle, policy: ValidationPolicy) -> str:
    ahead = (item.observed_at - bundle.as_of).total_seconds() / 60.0
    if ahead > policy.future_tolerance_minutes:
        return f"dated {ahead:.0f} min after the time of the run"
    if item.simulated and bundle.data_mode is DataMode.LIVE:
        return "simulated data in a live run"
    return ""
