"""Learned estimates: what a task took in its latest runs, in place of what the catalogue says.

Seconds are the median (p50): batches and the critical path are weighed by what a task usually
takes. USD are the 95th percentile: a cost limit should hold for the dear run too. The time limit
of a task stays that of the catalogue, and a USD estimate under ``planning.cost_estimates`` stays
as it was typed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import TypeVar

from sigmax_planner.facts import TaskSample
from sigmax_planner.models import TaskTemplate

SHORTEST_SECONDS = 0.001
"""An estimate is above zero, whatever was measured."""

_Number = TypeVar("_Number", float, Decimal)


@dataclass(frozen=True)
class Learned:
    """Nearest-rank percentiles of ``count`` runs: each is a value that was measured."""

    count: int
    seconds_p50: float
    seconds_p95: float
    cost_p50: Decimal
    cost_p95: Decimal

    @property
    def basis(self) -> str:
        return f"learned, n={self.count}"


def learn(samples: Sequence[TaskSample], at_least: int) -> Learned | None:
    """None of fewer than ``at_least`` samples."""
    if not samples or len(samples) < at_least:
        return None
    seconds = sorted(sample.seconds for sample in samples)
    costs = sorted(sample.cost_usd for sample in samples)
    return Learned(
        count=len(samples),
        seconds_p50=_percentile(seconds, 50),
        seconds_p95=_percentile(seconds, 95),
        cost_p50=_percentile(costs, 50),
        cost_p95=_percentile(costs, 95),
    )


def learned_of(
    templates: Sequence[TaskTemplate],
    samples: Mapping[str, Sequence[TaskSample]],
    at_least: int,
) -> dict[str, Learned]:
    """By task id, what is known of the tasks with ``at_least`` samples."""
    learned: dict[str, Learned] = {}
    for template in templates:
        known = learn(samples.get(template.task_id, ()), at_least)
        if known is not None:
            learned[template.task_id] = known
    return learned


def with_learned(
    templates: Sequence[TaskTemplate],
    learned: Mapping[str, Learned],
    *,
    typed_costs: Collection[str] = (),
) -> tuple[TaskTemplate, ...]:
    """The templates with learned estimates where there are any, else as they are.

    ``typed_costs`` are the tasks whose USD estimate the user typed.
    """
    return tuple(
        template
        if (known := learned.get(template.task_id)) is None
        else template.model_copy(
            update={
                "estimated_seconds": max(SHORTEST_SECONDS, round(known.seconds_p50, 3)),
                "estimated_cost_usd": template.estimated_cost_usd
                if template.task_id in typed_costs
                else known.cost_p95,
                "estimate_basis": known.basis,
            }
        )
        for template in templates
    )


def _percentile(ascending: Sequence[_Number], percent: int) -> _Number:
    """The smallest value that at least ``percent`` of them do not exceed."""
    return ascending[max(0, ceil(len(ascending) * percent / 100) - 1)]
