"""decide: BUY, SELL or HOLD with its reasons and its hash (D8)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from sigmax_planner.models import RiskProfile
from sigmax_tasks.models.decision import (
    Action,
    Analysis,
    Argument,
    Case,
    DebateRecord,
    Decision,
    RiskAssessment,
    Sizing,
    ValidationReport,
)
from sigmax_tasks.models.policy import DecisionPolicy, ProfilePolicy
from sigmax_tasks.models.research import ResearchBundle
from sigmax_tasks.stages.action import allowed_action, wanted_action
from sigmax_tasks.stages.exact import exact

ARGUMENTS_PER_SIDE = 3
GAPS_SHOWN = 8


def decide(
    bundle: ResearchBundle,
    *,
    report: ValidationReport,
    record: DebateRecord,
    analysis: Analysis,
    risk: RiskAssessment,
    sizing: Sizing,
    profile: RiskProfile,
    policy: DecisionPolicy,
) -> Decision:
    """The decision, with ``decision_hash`` set.

    HOLD where validation failed, a veto stands, the score is between the thresholds, or the size
    comes to nothing. A HOLD has no stop, no take-profit and size 0. A SELL has its stop above the
    reference price and its take-profit below.
    """
    limits = policy.profile(profile.name)
    action = allowed_action(analysis, risk, report, limits)
    if sizing.size_fraction <= 0:
        action = Action.HOLD
    stop, take_profit = _levels(action, risk)
    decision = Decision(
        symbol=bundle.symbol,
        risk_profile=profile.name,
        data_mode=bundle.data_mode,
        simulated=any(item.simulated for f in bundle.findings for item in f.lineage),
        as_of=bundle.as_of,
        action=action,
        confidence=analysis.confidence if report.passed else 0.0,
        size_fraction=0.0 if action is Action.HOLD else sizing.size_fraction,
        reference_price=risk.reference_price,
        stop_price=stop,
        take_profit_price=take_profit,
        horizon_hours=limits.horizon_hours,
        score=analysis.score,
        reasons=(
            _headline(
                action=action,
                analysis=analysis,
                report=report,
                risk=risk,
                sizing=sizing,
                limits=limits,
            ),
            *_arguments(record.bull),
            *_arguments(record.bear),
            *_model(record),
            *_gaps(report),
        ),
        vetoes=risk.vetoes,
        would_change=tuple(
            _would_change(
                action=action,
                report=report,
                analysis=analysis,
                risk=risk,
                sizing=sizing,
                policy=policy,
                limits=limits,
            )
        ),
        validation=report,
        debate=record,
        analysis=analysis,
        risk=risk,
        sizing=sizing,
    )
    return decision.model_copy(update={"decision_hash": decision_hash(decision)})


def canonical_json(decision: Decision) -> str:
    """What the hash is taken of: sorted keys, no spaces, ASCII, floats as Python writes them.

    The part of a model is in it where one was asked for, that of a calibration where there is one.
    """
    content = decision.model_dump(mode="json", exclude={"decision_hash"})
    if content["debate"]["llm"] is None:
        del content["debate"]["llm"]
    if content["analysis"]["calibrated_confidence"] is None:
        del content["analysis"]["calibrated_confidence"]
        del content["analysis"]["calibration_outcomes"]
    return json.dumps(
        content,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
    )


def decision_hash(decision: Decision) -> str:
    """SHA-256 in hex of :func:`canonical_json`.

    A decision holds no run id, no fetch time, no duration and no worker's name: the same bundle
    and configuration give the same hash anywhere.
    """
    return hashlib.sha256(canonical_json(decision).encode("ascii")).hexdigest()


def _levels(action: Action, risk: RiskAssessment) -> tuple[float | None, float | None]:
    price, stop = risk.reference_price, risk.stop_distance_fraction
    profit = risk.take_profit_distance_fraction
    if action is Action.HOLD or price is None or stop is None or profit is None:
        return None, None
    side = 1.0 if action is Action.BUY else -1.0
    return exact(price * (1.0 - side * stop)), exact(price * (1.0 + side * profit))


def _headline(
    *,
    action: Action,
    analysis: Analysis,
    report: ValidationReport,
    risk: RiskAssessment,
    sizing: Sizing,
    limits: ProfilePolicy,
) -> str:
    score, threshold = analysis.score, limits.buy_threshold
    if action is not Action.HOLD:
        return (
            f"{action.value}: score {score:+.4f} is beyond the threshold of {threshold:g}, "
            f"confidence {analysis.confidence:.4f}, size {sizing.size_fraction:.2%}"
        )
    if not report.passed:
        why = "; ".join(report.failures) or (
            f"validation score {report.score:.4f} is below {report.threshold:g}"
        )
        return f"HOLD: the research did not pass validation ({why})"
    wanted = wanted_action(analysis, limits)
    if wanted is Action.HOLD:
        return f"HOLD: score {score:+.4f} is between -{threshold:g} and +{threshold:g}"
    if risk.vetoes:
        return f"HOLD: {wanted.value} at score {score:+.4f} is vetoed ({'; '.join(risk.vetoes)})"
    return f"HOLD: {wanted.value} at score {score:+.4f} has no size left ({sizing.steps[-1]})"


def _arguments(case: Case) -> Iterator[str]:
    shown = case.arguments[:ARGUMENTS_PER_SIDE]
    yield from (_argument(case.side, argument) for argument in shown)


def _argument(side: str, argument: Argument) -> str:
    return f"{side} {argument.weight:.4f}: {argument.claim} [{argument.evidence_id}]"


def _model(record: DebateRecord) -> Iterator[str]:
    """What there is to know of a debate by a model, besides its arguments."""
    facts = record.llm
    if facts is None:
        return
    if facts.fallback:
        yield f"debate held by rules in place of {facts.model}: {facts.fallback}"
    if facts.struck_count:
        yield f"{facts.struck_count} statements of {facts.model} were struck out"
    if facts.suspicious:
        yield (
            "held back from the model, as texts that read like instructions to it: "
            f"{len(facts.suspicious)}"
        )


def _gaps(report: ValidationReport) -> Iterator[str]:
    for gap in report.gaps[:GAPS_SHOWN]:
        yield f"gap in {gap.task_id}, {gap.source}: {gap.reason}"
    more = len(report.gaps) - GAPS_SHOWN
    if more > 0:
        yield f"{more} more gaps, listed under validation"


def _would_change(
    *,
    action: Action,
    report: ValidationReport,
    analysis: Analysis,
    risk: RiskAssessment,
    sizing: Sizing,
    policy: DecisionPolicy,
    limits: ProfilePolicy,
) -> Iterator[str]:
    wanted = wanted_action(analysis, limits)
    if report.score < report.threshold:
        lacking = report.threshold - report.score
        yield (
            f"validation at {report.threshold:g} or more (now {report.score:.4f}, "
            f"{lacking:.4f} short) is needed for anything but HOLD"
        )
    for failure in report.failures:
        yield f"this gate must pass for anything but HOLD: {failure}"
    if wanted is not Action.HOLD:
        for veto in risk.vetoes:
            yield f"this veto must fall for a {wanted.value}: {veto}"
        open_to_size = report.passed and not risk.vetoes
        if open_to_size and action is Action.HOLD:
            yield (
                f"a size of {policy.sizing.min_size_fraction:.2%} or more is needed for a "
                f"{wanted.value}: {sizing.steps[-1]}"
            )
    yield from _score_changes(wanted, analysis.score, limits.buy_threshold)
    if action is not Action.HOLD:
        yield from _fragile(analysis, policy, limits)


def _score_changes(wanted: Action, score: float, threshold: float) -> Iterator[str]:
    """The nearest first."""
    up, down = threshold - score, score + threshold
    buy = f"a score of +{threshold:g} or more (now {score:+.4f}, {up:.4f} higher) makes it BUY"
    sell = f"a score of -{threshold:g} or less (now {score:+.4f}, {down:.4f} lower) makes it SELL"
    if wanted is Action.BUY:
        yield f"a score below +{threshold:g} (now {score:+.4f}, {-up:.4f} lower) makes it HOLD"
        yield sell
    elif wanted is Action.SELL:
        yield f"a score above -{threshold:g} (now {score:+.4f}, {-down:.4f} higher) makes it HOLD"
        yield buy
    else:
        yield from (buy, sell) if up <= down else (sell, buy)


def _fragile(analysis: Analysis, policy: DecisionPolicy, limits: ProfilePolicy) -> Iterator[str]:
    """The single finding whose loss would cost most, where losing it would end in HOLD."""
    rules = policy.analysis
    side = 1.0 if analysis.score > 0 else -1.0
    shrink = 1.0 - rules.debate_share + rules.debate_share * analysis.debate_support
    losses = {
        c.task_id: side * c.contribution + c.informed * c.weight * rules.limit_of(c.task_id)
        for c in analysis.contributions
    }
    worst, loss = max(losses.items(), key=lambda item: item[1])
    left = max(0.0, abs(analysis.score) - shrink * loss)
    if left < limits.buy_threshold:
        at_most = round(side * left, 4) + 0.0
        yield (f"without the finding of {worst} the score would be at most {at_most:+.4f}: HOLD")
