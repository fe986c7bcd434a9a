"""The main figures of a cluster since counting began, each beside its target. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sigmax_planner.policy import Targets
from sigmax_tasks.tally import COST_USD, RUN_SECONDS, SPEEDUP, histogram_of
from sigmax_tasks.telemetry.reading import Reading


@dataclass(frozen=True)
class Figure:
    """``value`` None: there is nothing to tell from yet. ``at_least`` is the side of the target."""

    name: str
    value: float | None
    target: float | None = None
    at_least: bool = True
    unit: str = ""

    @property
    def met(self) -> bool | None:
        """None without a value or a target."""
        if self.value is None or self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def figures_of(reading: Reading, targets: Targets) -> tuple[Figure, ...]:
    """Shares are of all tasks that ended, means of all runs that were decided."""
    tally = reading.tally

    def number(field: str) -> int:
        return int(tally.get(field, 0))

    ended = sum(number(f"tasks|{status}") for status in ("completed", "failed", "skipped"))
    late = sum(number(f"causes|{status}|timeout") for status in ("failed", "skipped"))
    looked = sum(
        int(p.counts.get(name, 0)) for p in reading.providers for name in ("hits", "misses")
    )
    hits = sum(int(p.counts.get("hits", 0)) for p in reading.providers)
    speedups, speedup_sum = histogram_of(tally, SPEEDUP)
    costs, cost_sum = histogram_of(tally, COST_USD)
    runs, seconds_sum = histogram_of(tally, RUN_SECONDS)
    return (
        Figure(
            "task completion rate",
            _ratio(number("tasks|completed"), ended),
            targets.completion_rate,
            unit="%",
        ),
        Figure("speed-up", _ratio(speedup_sum, speedups[-1][1]), targets.speedup, unit="x"),
        Figure(
            "cost per decision",
            _ratio(cost_sum, costs[-1][1]),
            float(targets.cost_per_decision),
            at_least=False,
            unit="$",
        ),
        Figure("timeouts", _ratio(late, ended), targets.timeout_rate, at_least=False, unit="%"),
        Figure("seconds per decision", _ratio(seconds_sum, runs[-1][1]), unit="s"),
        Figure("cache hits", _ratio(hits, looked), unit="%"),
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
