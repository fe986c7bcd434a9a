"""What is counted of tasks and runs for the metrics, in the same step of Redis as what is counted.

``sigmax:tally`` is a hash of whole numbers that only grow, ``sigmax:tally:tasks`` the same by task.
Field names are parts joined by ``|``; histograms keep a number per bucket (``run_seconds|30`` are
runs of more than the bound below and at most 30 s) and a sum. Both are forgotten 90 days after the
last count. What is spent stands in budget.py.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pydantic_core import to_json

from sigmax_planner.models import DataMode
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.research import TaskOutcome, TaskStatus

TALLY_KEY: Final = "sigmax:tally"
TASK_TALLY_KEY: Final = "sigmax:tally:tasks"
KEEP_SECONDS: Final = 90 * 86_400
MOST_TASK_FIELDS: Final = 600
"""Hand-made plans may name any task: what is beyond these is counted as the task ``other``."""

CAUSES: Final = (
    "timeout",
    "no_data",
    "offline",
    "worker_lost",
    "dependency",
    "deadline",
    "budget",
    "stopped",
    "handler",
)
"""Why a task did not complete, besides ``other``."""
ENDS: Final = ("decided", "not_validated", "partial", "cancelled")
ALERT_KINDS: Final = ("failure_rate", "duration", "cost", "history")

_CAUSE_OF_REASON: Final = (
    (re.compile(r"timed out after |the batch ran out of time"), "timeout"),
    (re.compile(r"no data: no network"), "offline"),
    (re.compile(r"no data: "), "no_data"),
    (re.compile(r"its worker died "), "worker_lost"),
    (re.compile(r"dependency "), "dependency"),
    (re.compile(r"no time left in the run|not finished by the deadline"), "deadline"),
    (re.compile(r"over_budget|nothing is paid for"), "budget"),
    (re.compile(r"critical task |not started before the run ended|cancelled"), "stopped"),
    (re.compile(r"handler |[A-Za-z_.]*(Error|Exception|Warning): "), "handler"),
)
_ALERT_OF_TEXT: Final = (
    ("failure rate ", "failure_rate"),
    ("took ", "duration"),
    ("cost ", "cost"),
    ("no history: ", "history"),
)


@dataclass(frozen=True)
class Histogram:
    """``bounds`` ascending, in the unit of the name; what is above all of them counts as ``inf``.

    ``scale`` turns a value into the whole number that is summed up.
    """

    name: str
    bounds: tuple[float, ...]
    scale: int

    def of(self, value: float | Decimal) -> dict[str, int]:
        """What one value adds."""
        at = bisect_left(self.bounds, value)
        bound = f"{self.bounds[at]:g}" if at < len(self.bounds) else "inf"
        return {
            f"{self.name}|{bound}": 1,
            f"{self.name}|sum": max(0, round(value * self.scale)),
        }


TASK_SECONDS: Final = Histogram(
    "task_seconds", (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 30, 60), 1000
)
RUN_SECONDS: Final = Histogram(
    "run_seconds", (0.5, 1, 2, 4, 8, 15, 30, 45, 60, 90, 120, 180, 300), 1000
)
COST_USD: Final = Histogram(
    "cost_usd", (0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1, 2, 5), 1_000_000
)
SPEEDUP: Final = Histogram("speedup", (1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 6, 8), 1000)
HISTOGRAMS: Final = (TASK_SECONDS, RUN_SECONDS, COST_USD, SPEEDUP)

# Adds what the functions below give to the two hashes.
TALLY_LUA: Final = """
local function tally(all, by_task, text)
  if text == '' then return end
  local add = cjson.decode(text)
  for field, by in pairs(add['all']) do redis.call('HINCRBY', all, field, by) end
  redis.call('EXPIRE', all, KEEP)
  if not next(add['tasks']) then return end
  local fields = redis.call('HLEN', by_task)
  for field, by in pairs(add['tasks']) do
    if fields >= MOST and redis.call('HEXISTS', by_task, field) == 0 then
      field = string.gsub(field, '^[^|]*', 'other')
    end
    if redis.call('HINCRBY', by_task, field, by) == by then fields = fields + 1 end
  end
  redis.call('EXPIRE', by_task, KEEP)
end
""".replace("KEEP", str(KEEP_SECONDS)).replace("MOST", str(MOST_TASK_FIELDS))


def cause_of(reason: str) -> str:
    """The kind of reason for which a task failed or was skipped: one of CAUSES, or ``other``."""
    return next((cause for form, cause in _CAUSE_OF_REASON if form.match(reason)), "other")


def alert_kind(text: str) -> str:
    """Which threshold an alert of a run's summary is about."""
    return next((kind for start, kind in _ALERT_OF_TEXT if text.startswith(start)), "other")


def outcome_tally(outcome: TaskOutcome) -> str:
    """What one task adds."""
    status = outcome.status.value
    counts = {f"tasks|{status}": 1}
    by_task = {f"{outcome.task_id}|{status}": 1}
    if outcome.status is not TaskStatus.COMPLETED:
        counts[f"causes|{status}|{cause_of(outcome.reason)}"] = 1
    if outcome.status is not TaskStatus.SKIPPED:
        counts |= TASK_SECONDS.of(outcome.duration_seconds)
        counts["attempts"] = outcome.attempts
        by_task[f"{outcome.task_id}|ms"] = round(outcome.duration_seconds * 1000)
    return _packed(counts, by_task)


def record_tally(record: RunRecord) -> str:
    """What a decided run adds, besides its tasks."""
    research, decision = record.research, record.decision
    counts: Counter[str] = Counter({f"runs|{end_of(record)}": 1})
    counts[f"decisions|{decision.action.value}|{decision.data_mode.value}"] += 1
    counts.update(RUN_SECONDS.of(research.duration_seconds))
    counts.update(COST_USD.of(record.cost.actual_usd))
    if research.speedup > 0:
        counts.update(SPEEDUP.of(research.speedup))
    counts.update(f"alerts|{alert_kind(text)}" for text in research.alerts)
    return _packed(counts, {})


def cancelled_tally() -> str:
    """What a run that was cancelled adds."""
    return _packed({"runs|cancelled": 1}, {})


def end_of(record: RunRecord) -> str:
    """``partial`` is past its deadline, ``not_validated`` a HOLD for want of good research."""
    if record.partial:
        return "partial"
    return "decided" if record.decision.validation.passed else "not_validated"


def histogram_of(
    tally: Mapping[str, str], histogram: Histogram
) -> tuple[list[tuple[str, float]], float]:
    """Cumulative (bound, number) pairs up to ``+Inf``, and the sum in the unit of the name."""
    return cumulative(
        [(f"{b:g}", int(tally.get(f"{histogram.name}|{b:g}", 0))) for b in histogram.bounds],
        int(tally.get(f"{histogram.name}|inf", 0)),
    ), int(tally.get(f"{histogram.name}|sum", 0)) / histogram.scale


def cumulative(buckets: Sequence[tuple[str, int]], above: int) -> list[tuple[str, float]]:
    """Numbers per bucket as Prometheus has them: all up to each bound."""
    found: list[tuple[str, float]] = []
    so_far = 0
    for bound, number in buckets:
        so_far += number
        found.append((bound, float(so_far)))
    return [*found, ("+Inf", float(so_far + above))]


def modes() -> tuple[str, ...]:
    return tuple(mode.value for mode in DataMode)


def _packed(counts: Mapping[str, int], by_task: Mapping[str, int]) -> str:
    return to_json({"all": counts, "tasks": by_task}).decode()
