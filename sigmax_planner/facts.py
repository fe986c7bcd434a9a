"""What is known before research runs: gathered outside, given to the planner as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sigmax_planner.models import MarketContext


@dataclass(frozen=True)
class TaskSample:
    """What one run of a task took, in seconds and USD. ``run_id`` tells samples apart."""

    run_id: str
    seconds: float
    cost_usd: Decimal = Decimal(0)


@dataclass(frozen=True)
class SourceHeadroom:
    """What may still be asked of a data source now, by the provider that stands best.

    ``share_left`` (0 to 1) is that of its tightest limit; ``wait_seconds`` is when anything may be
    asked at all, 0 for now. ``detail`` says so in words.
    """

    share_left: float
    wait_seconds: float
    detail: str


@dataclass(frozen=True)
class PlanningFacts:
    """All of it; what is not known is absent, never assumed.

    ``samples`` are those of the plan's data mode, newest first, by task id. ``headroom`` holds
    data sources with a limit. ``notes`` say what could not be found out.
    """

    market: MarketContext | None = None
    samples: Mapping[str, Sequence[TaskSample]] = field(default_factory=dict)
    headroom: Mapping[str, SourceHeadroom] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


NOTHING_KNOWN = PlanningFacts()
