"""analyse: findings, validation and debate -> composite score and confidence (D4).

What is missing counts as if it spoke fully against. Let w be the task's share of the planned
weights, c its conviction limit, x = score x strength of its finding held inside [-c, c], and i its
informed share (its planned sources seen, by their freshness; 0 without a finding). The findings'
case for a side d (+1 rise, -1 fall) is

    case(d) = sum over all planned tasks of  i x (d x w x x) - (1 - i) x (w x c)

and the side is the one whose case is above 0; at most one is. Taking a finding or an observation
away therefore never makes a case stronger, whatever the finding said. Then

    support    = E / (E + prior): E adds up the base weights of the debate's arguments for that
                 side, the strongest ``rounds`` of them counted as rebutted with full force (an
                 objection that nobody could raise, for want of evidence, must not help; the
                 objections that were raised weigh in the scores of their findings)
    score      = d x case(d) x (1 - debate_share + debate_share x support)
    agreement  = sum of w x i over the findings that lean to that side
    raw        = min(1, |score| / full_score) x (1 - agreement_share + agreement_share x agreement)
                 x validation score
    cap        = max_confidence x min(coverage, sum of w x i)
    confidence = min(raw, cap)

Where the profile has a calibration on enough outcomes, all of them known by the time of the bundle,
it says beside the confidence how often earlier ones like it gained; sizing goes by the worse of the
two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sigmax_planner.models import RiskProfile
from sigmax_tasks.models.decision import (
    Analysis,
    Case,
    Contribution,
    DebateRecord,
    ValidationReport,
)
from sigmax_tasks.models.policy import AnalysisPolicy, DecisionPolicy
from sigmax_tasks.models.research import ResearchBundle
from sigmax_tasks.stages.exact import clamp, exact
from sigmax_tasks.stages.monotone import MonotoneMap
from sigmax_tasks.stages.standing import Standing, standings
from sigmax_tasks.stages.weights import planned_weights

UNKNOWN_REGIME = "unknown"
_NOISE_DECIMALS = 12  # sums of up to a few dozen shares are exact far beyond this


def analyse(
    bundle: ResearchBundle,
    report: ValidationReport,
    record: DebateRecord,
    policy: DecisionPolicy,
    profile: RiskProfile,
    standing: Sequence[Standing] | None = None,
) -> Analysis:
    """The composite view; ``reasoning`` shows each step with its numbers.

    ``standing`` is that of the bundle's tasks, for who knows it.
    """
    rules = policy.analysis
    standing = standings(bundle, policy.validation) if standing is None else standing
    weights = planned_weights(bundle.plan, policy)
    parts = [_contribution(one, weights[one.task_id], rules) for one in standing]
    side, case = _case(parts, standing, rules)
    support = _support(record.bull if side > 0 else record.bear, policy) if side else 0.0
    score = side * exact(case * (1.0 - rules.debate_share + rules.debate_share * support))
    agreement = exact(_agreement(side, parts, standing, rules))
    informed = exact(min(1.0, math.fsum(p.weight * p.informed for p in parts)))
    cap = exact(rules.max_confidence * min(report.coverage, informed))
    strength = min(1.0, abs(score) / rules.full_score)
    accord = 1.0 - rules.agreement_share + rules.agreement_share * agreement
    raw = exact(strength * accord * report.score)
    confidence = min(raw, cap)
    calibrated, outcomes = _calibrated(confidence, bundle, policy, profile)
    unknown = exact(math.fsum(p.unknown for p in parts))
    raw_score = exact(math.fsum(p.contribution for p in parts))
    return Analysis(
        score=score + 0.0,
        confidence=confidence,
        calibrated_confidence=calibrated,
        calibration_outcomes=outcomes,
        confidence_cap=cap,
        regime=_regime(standing, rules),
        contributions=tuple(parts),
        raw_score=raw_score,
        agreement=agreement,
        debate_support=exact(support),
        reasoning=(
            f"findings add up to {raw_score:+.4f}; what is missing or stale counts "
            f"{unknown:.4f} against: {side * case:+.4f}",
            f"debate support {support:.4f} at share {rules.debate_share:g}: {case:.4f} x "
            f"({1 - rules.debate_share:g} + {rules.debate_share:g} x {support:.4f}) "
            f"gives score {score:+.4f}",
            _judge(record, side),
            f"confidence: min(1, {abs(score):.4f} / {rules.full_score:g}) x "
            f"({1 - rules.agreement_share:g} + {rules.agreement_share:g} x {agreement:.4f} "
            f"agreement) x {report.score:.4f} validation = {raw:.4f}",
            f"cap: {rules.max_confidence:g} x min({report.coverage:.4f} coverage, "
            f"{informed:.4f} informed) = {cap:.4f}; confidence {confidence:.4f}",
            *(
                ()
                if calibrated is None
                else (
                    f"calibrated: of {outcomes} earlier decisions, those with a confidence like "
                    f"this gained in {calibrated:.4f}",
                )
            ),
        ),
    )


def _calibrated(
    confidence: float, bundle: ResearchBundle, policy: DecisionPolicy, profile: RiskProfile
) -> tuple[float | None, int | None]:
    table = policy.profile(profile.name).calibration
    if (
        table is None
        or table.outcomes < policy.analysis.min_calibration_outcomes
        or table.fitted_until > bundle.as_of
    ):
        return None, None
    learned = MonotoneMap(table.points, table.outcomes)
    return exact(learned(confidence)), table.outcomes


def _contribution(one: Standing, weight: float, rules: AnalysisPolicy) -> Contribution:
    finding = one.finding
    informed = exact(one.informed) if finding else 0.0
    conviction = _conviction(one, rules)
    return Contribution(
        task_id=one.task_id,
        score=exact(finding.score) if finding else 0.0,
        strength=exact(finding.strength) if finding else 0.0,
        weight=exact(weight),
        contribution=exact(weight * conviction * informed),
        informed=informed,
        unknown=exact(weight * rules.limit_of(one.task_id) * (1.0 - informed)),
    )


def _conviction(one: Standing, rules: AnalysisPolicy) -> float:
    if one.finding is None:
        return 0.0
    limit = rules.limit_of(one.task_id)
    return clamp(one.finding.score * one.finding.strength, -limit, limit)


def _case(
    parts: Sequence[Contribution], standing: Sequence[Standing], rules: AnalysisPolicy
) -> tuple[int, float]:
    """(+1 or -1, the case of that side above 0), or (0, 0.0).

    A term is -w c + i (d w x + w c), the formula of the module written so that it can only fall
    with ``i``, also in floating point.
    """
    for side in (1, -1):
        terms = []
        for part, one in zip(parts, standing, strict=True):
            against = part.weight * rules.limit_of(one.task_id)
            lean = side * part.weight * _conviction(one, rules)
            terms.append(part.informed * (lean + against) - against)
        case = round(math.fsum(terms), _NOISE_DECIMALS)
        if case > 0:
            return side, exact(case)
    return 0, 0.0


def _support(case: Case, policy: DecisionPolicy) -> float:
    rules = policy.debate
    weights = sorted((max(a.base_weight, a.weight) for a in case.arguments), reverse=True)
    effective = math.fsum(
        weight * (1.0 - rules.rebuttal_max) if place < rules.rounds else weight
        for place, weight in enumerate(weights)
    )
    return 1.0 - rules.prior / (effective + rules.prior)


def _agreement(
    side: int,
    parts: Sequence[Contribution],
    standing: Sequence[Standing],
    rules: AnalysisPolicy,
) -> float:
    if not side:
        return 0.0
    return min(
        1.0,
        math.fsum(
            part.weight * part.informed
            for part, one in zip(parts, standing, strict=True)
            if side * _conviction(one, rules) >= max(rules.neutral_band, 1e-12)
        ),
    )


def _regime(standing: Sequence[Standing], rules: AnalysisPolicy) -> str:
    task_id, _, label = rules.regime_label.partition(".")
    finding = next((one.finding for one in standing if one.task_id == task_id), None)
    return finding.labels.get(label, UNKNOWN_REGIME) if finding else UNKNOWN_REGIME


def _judge(record: DebateRecord, side: int) -> str:
    leaning = side * record.net
    if not side:
        verdict = "the findings take no side"
    elif leaning > 0:
        verdict = "the debate leans the same way"
    elif leaning < 0:
        verdict = "the debate leans the other way: the view stands on the findings' own strength"
    else:
        verdict = "the debate takes no side"
    fallback = record.llm.fallback if record.llm else ""
    instead = f" in place of the model ({fallback})" if fallback else ""
    return f"judge: net {record.net:+.4f} by {record.method}{instead}; {verdict}"
