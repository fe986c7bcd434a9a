"""validate: is the research good enough to decide on (D2)?

All four parts are in [0, 1], with every planned task and source in the denominator, so that none
rises when something is taken away. With w = 4, 3, 2, 1 for CRITICAL, HIGH, MEDIUM, LOW:

- completeness = sum of w x filled over the completed tasks / sum of w over all planned tasks, where
  filled = usable observations / (usable observations + stated gaps) of the task;
- quality = sum of w x min(1, R / full_reliability) / sum of w, where R is the sum of the
  reliabilities of the task's arguments whose cited observations are all usable;
- freshness = mean over the planned data sources of the freshness of their newest observation: 1 up
  to the age limit of its source and kind, then linear to 0 at twice the limit, 0 when unseen;
- coverage = planned data sources seen / planned data sources.

An observation is usable unless it is dated after the time of the run or simulated in a live run.
Cross-checks (prices of other venues) count in none of the four, whether they came or not: they are
there to contradict. Where they are missing the gaps say so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from sigmax_planner.models import RiskProfile, TaskPriority
from sigmax_tasks.models.decision import Gap, ValidationReport
from sigmax_tasks.models.observations import Lineage
from sigmax_tasks.models.policy import DecisionPolicy, ValidationPolicy
from sigmax_tasks.models.research import ResearchBundle
from sigmax_tasks.stages.exact import age_text, exact, share
from sigmax_tasks.stages.standing import (
    Standing,
    age_minutes,
    freshness,
    standings,
)


def validate(
    bundle: ResearchBundle,
    profile: RiskProfile,
    policy: DecisionPolicy,
    standing: Sequence[Standing] | None = None,
) -> ValidationReport:
    """Score, gates and gaps. A failed gate is a fact for the next stages, never a reason to retry.

    The gates besides the threshold: all critical tasks where the profile needs them, its minimum
    of data sources, and prices of two sources that contradict each other. ``standing`` is that of
    the bundle's tasks, for who knows it.
    """
    rules = policy.validation
    standing = standings(bundle, rules) if standing is None else standing
    seen: dict[str, float] = {}
    for one in standing:
        for source, fresh in one.fresh.items():
            seen[source] = max(seen.get(source, 0.0), fresh)
    planned = sorted({source for one in standing for source in one.task.data_sources})
    completeness = exact(_by_priority(standing, [one.filled for one in standing], rules))
    quality = exact(_by_priority(standing, [_quality(one, rules) for one in standing], rules))
    freshest = exact(share(math.fsum(seen.get(source, 0.0) for source in planned), len(planned)))
    coverage = exact(share(sum(source in seen for source in planned), len(planned)))
    shares = rules.shares
    score = exact(
        min(
            1.0,
            math.fsum(
                (
                    shares.completeness * completeness,
                    shares.quality * quality,
                    shares.freshness * freshest,
                    shares.coverage * coverage,
                )
            ),
        )
    )
    threshold = policy.profile(profile.name).validation_threshold
    venue_gaps, venue_failures = _venues(standing, rules)
    failures = (
        *_gate_failures(standing, len(seen), profile),
        *venue_failures,
    )
    return ValidationReport(
        score=score,
        threshold=threshold,
        passed=score >= threshold and not failures,
        completeness=completeness,
        quality=quality,
        freshness=freshest,
        coverage=coverage,
        sources_seen=tuple(sorted(seen)),
        failures=failures,
        gaps=(*_task_gaps(standing, bundle, rules), *venue_gaps),
    )


def _by_priority(
    standing: Sequence[Standing], values: Sequence[float], rules: ValidationPolicy
) -> float:
    weights = [rules.priority_weights.of(one.task.priority) for one in standing]
    return share(
        math.fsum(weight * value for weight, value in zip(weights, values, strict=True)),
        math.fsum(weights),
    )


def _quality(one: Standing, rules: ValidationPolicy) -> float:
    return share(math.fsum(item.reliability for item in one.evidence), rules.full_reliability)


def _gate_failures(
    standing: Sequence[Standing], sources_seen: int, profile: RiskProfile
) -> Iterator[str]:
    if not standing:
        yield "the plan holds no task"
    for one in standing:
        if (
            profile.require_all_critical
            and one.task.priority is TaskPriority.CRITICAL
            and one.finding is None
        ):
            yield f"critical task {one.task_id} gave no finding ({one.failure})"
    if sources_seen < profile.min_data_sources:
        yield (
            f"{sources_seen} data sources answered, "
            f"profile {profile.name} needs {profile.min_data_sources}"
        )


def _task_gaps(
    standing: Sequence[Standing], bundle: ResearchBundle, rules: ValidationPolicy
) -> Iterator[Gap]:
    for one in standing:
        if one.finding is None:
            sources = ", ".join(one.task.data_sources)
            yield Gap(task_id=one.task_id, source=sources, reason=one.failure)
        for missing in one.missing:
            reason = f"{missing.need}: {missing.reason}"
            yield Gap(task_id=one.task_id, source=missing.source, reason=reason)
        for item, problem in one.unusable:
            reason = f"{item.kind} from {item.provider} not used: {problem}"
            yield Gap(task_id=one.task_id, source=item.source, reason=reason)
        if one.finding is not None:
            yield from _unseen(one)
            yield from _stale(one, bundle, rules)
            if not one.evidence:
                sources = ", ".join(one.task.data_sources)
                reason = "no argument that rests on usable observations"
                yield Gap(task_id=one.task_id, source=sources, reason=reason)


def _unseen(one: Standing) -> Iterator[Gap]:
    told = {item.source for item in one.usable.values()}
    told |= {missing.source for missing in one.missing}
    told |= {item.source for item, _ in one.unusable}
    for source in dict.fromkeys(one.task.data_sources):
        if source not in told:
            yield Gap(task_id=one.task_id, source=source, reason="no observation was used")


def _stale(one: Standing, bundle: ResearchBundle, rules: ValidationPolicy) -> Iterator[Gap]:
    newest: dict[tuple[str, str, str], Lineage] = {}
    for item in one.usable.values():
        key = (item.source, item.kind, item.name)
        if key not in newest or item.observed_at > newest[key].observed_at:
            newest[key] = item
    for (source, kind, name), item in sorted(newest.items()):
        limit = rules.age_limit_minutes(source, kind, name)
        age = age_minutes(item.observed_at, bundle.as_of)
        if age > limit:
            what = f"{kind} {name}" if name else kind
            left = freshness(item, bundle.as_of, rules)
            reason = f"{what} is {age_text(age)} old, limit {age_text(limit)}: counts {left:.2f}"
            yield Gap(task_id=one.task_id, source=source, reason=reason)


@dataclass(frozen=True)
class _Quote:
    task_id: str
    metric: str
    price: float
    when: datetime

    @property
    def name(self) -> str:
        return f"{self.task_id}.{self.metric}"


def _venues(
    standing: Sequence[Standing], rules: ValidationPolicy
) -> tuple[tuple[Gap, ...], tuple[str, ...]]:
    """Gaps and gate failures of prices that were seen at about the same time and do not fit.

    Two are compared with each other; of three and more, each with the median of all of them.
    """
    venues = rules.venues
    quotes = list(_quotes(standing, venues.prices))
    newest = max((quote.when for quote in quotes), default=None)
    if newest is None:
        return (), ()
    window = venues.window_minutes * 60.0
    quotes = [quote for quote in quotes if (newest - quote.when).total_seconds() <= window]
    if len(quotes) < 2:
        return (), ()
    middle = median(quote.price for quote in quotes)
    against = f"the median {middle:.10g} of {len(quotes)} prices"
    if len(quotes) == 2:
        first = quotes.pop(0)
        middle, against = first.price, f"{first.name} {first.price:.10g}"
    gaps: list[Gap] = []
    failures: list[str] = []
    for quote in quotes:
        apart = abs(quote.price - middle) / min(quote.price, middle)
        if apart <= venues.tolerance_fraction:
            continue
        reason = (
            f"venues disagree: {quote.name} {quote.price:.10g} against {against}, "
            f"{apart:.2%} apart, tolerance {venues.tolerance_fraction:.2%}"
        )
        gaps.append(Gap(task_id=quote.task_id, source=quote.metric, reason=reason))
        if venues.fail_fraction is not None and apart > venues.fail_fraction:
            failures.append(f"{reason}, limit {venues.fail_fraction:.2%}")
    return tuple(gaps), tuple(failures)


def _quotes(standing: Sequence[Standing], references: Sequence[str]) -> Iterator[_Quote]:
    """The prices that are there, each once, in the order of the references."""
    by_task = {one.task_id: one for one in standing}
    seen: set[tuple[str, str]] = set()
    for reference in references:
        task_id, _, pattern = reference.partition(".")
        one = by_task.get(task_id)
        if one is None or one.finding is None:
            continue
        for name in (metric.name for metric in one.finding.metrics):
            fits = name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
            if not fits or (task_id, name) in seen:
                continue
            price, when = one.metric(name), one.metric_time(name)
            if price is None or when is None:
                continue
            seen.add((task_id, name))
            if price > 0:
                yield _Quote(task_id, name, price, when)
