"""size: how much equity, from confidence, volatility and the caps (D7).

Between a stop at distance s and a take-profit at b x s, a price without drift reaches the
take-profit first with probability p0 = 1 / (1 + b) (gambler's ruin). The conservative map adds to
that fair probability at most ``max_edge``:

    p      = p0 + max_edge x confidence
    Kelly  = p - (1 - p) / b = max_edge x confidence x (1 + b) / b, the share of equity to have
             at risk (Kelly, 1956)
    at risk = kelly_fraction x Kelly;  position = at risk / s
    volatility target: position = target / realised volatility
    size   = min(Kelly position, volatility position, cap of the risk assessment)

With a calibration, f being the share of earlier decisions like this that gained, the confidence
counts as at most 2 f - 1: where no more than half of them gained there is no edge and no position.
"""

from __future__ import annotations

from sigmax_planner.models import RiskProfile
from sigmax_tasks.models.decision import (
    Action,
    Analysis,
    RiskAssessment,
    Sizing,
    ValidationReport,
)
from sigmax_tasks.models.policy import DecisionPolicy
from sigmax_tasks.stages.action import allowed_action
from sigmax_tasks.stages.exact import exact


def size(
    analysis: Analysis,
    risk: RiskAssessment,
    report: ValidationReport,
    policy: DecisionPolicy,
    profile: RiskProfile,
) -> Sizing:
    """The share of equity with its steps; 0 for a HOLD, and where too little would be left."""
    limits = policy.profile(profile.name)
    rules = policy.sizing
    if allowed_action(analysis, risk, report, limits) is Action.HOLD:
        return _none("HOLD: no position")
    volatility, stop = risk.realised_volatility_annual, risk.stop_distance_fraction
    if volatility is None or stop is None:
        return _none("no volatility or no stop: no position")
    ratio = limits.reward_risk
    sure = analysis.confidence
    frequency = analysis.calibrated_confidence
    if frequency is not None:
        sure = exact(min(sure, max(0.0, 2.0 * frequency - 1.0)))
    edge = min(rules.max_edge * sure, ratio / (1.0 + ratio))
    win = exact(1.0 / (1.0 + ratio) + edge)
    kelly = exact(edge * (1.0 + ratio) / ratio)
    at_risk = exact(limits.kelly_fraction * kelly)
    by_kelly = at_risk / stop
    by_volatility = exact(limits.volatility_target_annual / volatility)
    smallest = exact(min(by_kelly, by_volatility, risk.size_cap_fraction))
    steps = [
        f"win probability: 1 / (1 + {ratio:g}) + {rules.max_edge:g} x {sure:.4f} "
        f"confidence = {win:.4f}",
        f"Kelly: {win:.4f} - (1 - {win:.4f}) / {ratio:g} = {kelly:.4f}; "
        f"x {limits.kelly_fraction:g} = {at_risk:.4%} of equity at risk",
        f"position: {at_risk:.4%} / {stop:.2%} stop = {by_kelly:.2%}",
        f"volatility target: {limits.volatility_target_annual:g} / {volatility:.4g} "
        f"= {by_volatility:.2%}",
        f"cap: {risk.size_cap_fraction:.2%}",
        f"size: the smallest, {smallest:.2%}",
    ]
    if frequency is not None:
        steps.insert(
            0,
            f"calibrated: min({analysis.confidence:.4f}, max(0, 2 x {frequency:.4f} - 1)) = "
            f"{sure:.4f} confidence",
        )
    if smallest < rules.min_size_fraction:
        steps.append(f"below the minimum of {rules.min_size_fraction:.2%}: no position")
        smallest = 0.0
    return Sizing(
        size_fraction=smallest,
        win_probability=win,
        kelly_fraction=at_risk,
        volatility_target_fraction=by_volatility,
        steps=tuple(steps),
    )


def _none(step: str) -> Sizing:
    return Sizing(
        size_fraction=0.0, kelly_fraction=0.0, volatility_target_fraction=0.0, steps=(step,)
    )
