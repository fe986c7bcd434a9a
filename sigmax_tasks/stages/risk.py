"""assess_risk: what the market's risk and the profile allow (D5).

A limit multiplies the profile's cap by limit / value where the value is above it, never below the
limit's floor; an unknown value counts as the floor, so that not knowing is never better than
knowing. A task that is not in the plan was not asked about: no limit, but a warning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sigmax_planner.models import Portfolio
from sigmax_tasks.models.decision import Analysis, RiskAssessment, RiskCheck
from sigmax_tasks.models.policy import (
    DecisionPolicy,
    Limit,
    ProfilePolicy,
    RiskInputs,
    RiskPolicy,
)
from sigmax_tasks.models.research import ResearchBundle
from sigmax_tasks.stages.exact import clamp, exact
from sigmax_tasks.stages.held import held_checks
from sigmax_tasks.stages.kill_switch import kill_switch_vetoes, kill_switch_warnings
from sigmax_tasks.stages.standing import Standing, age_minutes, standings

BTC = "BTC"


@dataclass(frozen=True)
class _Figures:
    """The inputs of the rules; None is unknown. ``planned`` are the tasks of the plan."""

    planned: frozenset[str]
    price: float | None
    price_time: datetime | None
    atr: float | None
    volatility: float | None
    value_at_risk: float | None
    expected_shortfall: float | None
    slippage: float | None
    correlation: float | None


def assess_risk(
    bundle: ResearchBundle,
    analysis: Analysis,
    policy: DecisionPolicy,
    known: Sequence[Standing] | None = None,
) -> RiskAssessment:
    """Stops, caps and vetoes, each with its arithmetic or reason.

    ``known`` is the standing of the bundle's tasks, for who knows it.
    """
    rules = policy.risk
    limits = policy.profile(bundle.plan.risk_profile)
    known = standings(bundle, policy.validation) if known is None else known
    standing = {one.task_id: one for one in known}
    portfolio = bundle.circumstances.portfolio
    figures = _figures(standing, rules, _largest_order_usd(portfolio, limits))
    stop, stop_warning = _stop_distance(figures, limits, rules)
    checks, unplanned = _checks(bundle.symbol, figures, limits, rules)
    checks += held_checks(
        portfolio,
        bundle.symbol,
        (analysis.score > 0) - (analysis.score < 0),
        correlation_of=lambda coin: _metric(
            standing, rules.inputs.correlation_to_held.replace("*", coin.lower())
        ),
        cap_fraction=limits.size_cap_fraction,
        held_limit_fraction=rules.held_limit_fraction,
        max_total_fraction=policy.sizing.max_total_fraction,
    )
    factor = min((check.factor for check in checks), default=1.0)
    vetoes = (
        *kill_switch_vetoes(bundle, rules.kill_switch),
        *_listed(bundle.symbol, rules),
        *_market_vetoes(figures, bundle.as_of, rules),
        *(
            f"{c.name} is unknown, and this profile does not act without it"
            for c in checks
            if c.factor <= 0 and c.value is None
        ),
        *(
            f"{c.name} leaves no room: {c.arithmetic}"
            for c in checks
            if c.factor <= 0 and c.value is not None
        ),
    )
    return RiskAssessment(
        reference_price=figures.price,
        realised_volatility_annual=figures.volatility,
        atr=figures.atr,
        stop_distance_fraction=stop,
        take_profit_distance_fraction=exact(stop * limits.reward_risk),
        value_at_risk_95_fraction=figures.value_at_risk,
        expected_shortfall_95_fraction=figures.expected_shortfall,
        expected_slippage_fraction=figures.slippage,
        correlation_to_btc=figures.correlation,
        size_cap_fraction=exact(limits.size_cap_fraction * factor),
        checks=checks,
        vetoes=vetoes,
        warnings=(
            *kill_switch_warnings(bundle, rules.kill_switch),
            *stop_warning,
            *unplanned,
            *(c.arithmetic for c in checks if c.factor < 1),
            *_regime_warning(analysis),
        ),
    )


def _largest_order_usd(portfolio: Portfolio | None, limits: ProfilePolicy) -> float | None:
    """The largest position that the profile allows; None where the equity is not known."""
    if portfolio is None or portfolio.equity_usd is None:
        return None
    return portfolio.equity_usd * limits.size_cap_fraction


def _slippage_refs(refs: RiskInputs, order_usd: float | None) -> tuple[str, ...]:
    """Which metrics say what an order of that size loses; none where it is larger than all."""
    if order_usd is None or not refs.slippage_by_order:
        return refs.slippage
    orders = sorted(refs.slippage_by_order, key=lambda order: order.up_to_usd)
    return next((order.metrics for order in orders if order.up_to_usd >= order_usd), ())


def _figures(
    by_task: Mapping[str, Standing], rules: RiskPolicy, order_usd: float | None
) -> _Figures:
    refs = rules.inputs
    price = _metric(by_task, refs.price)
    price = price if price is not None and price > 0 else None
    slippage = [_size(_metric(by_task, ref)) for ref in _slippage_refs(refs, order_usd)]
    known = [value for value in slippage if value is not None]
    task_id, _, metric = refs.price.partition(".")
    return _Figures(
        planned=frozenset(by_task),
        price=price,
        price_time=by_task[task_id].metric_time(metric) if price is not None else None,
        atr=_positive(_metric(by_task, refs.atr)),
        volatility=_positive(_metric(by_task, refs.volatility_annual)),
        value_at_risk=_size(_metric(by_task, refs.value_at_risk)),
        expected_shortfall=_size(_metric(by_task, refs.expected_shortfall)),
        slippage=max(known) if known and len(known) == len(slippage) else None,
        correlation=_metric(by_task, refs.correlation_to_btc),
    )


def _metric(by_task: Mapping[str, Standing], reference: str) -> float | None:
    task_id, _, metric = reference.partition(".")
    one = by_task.get(task_id)
    value = one.metric(metric) if one else None
    return None if value is None else exact(value)


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _size(value: float | None) -> float | None:
    """Losses and costs by their size: research may write a loss as a negative number."""
    return None if value is None else abs(value)


def _stop_distance(
    figures: _Figures, limits: ProfilePolicy, rules: RiskPolicy
) -> tuple[float, tuple[str, ...]]:
    """Fraction of the price between price and stop; the widest allowed where ATR is unknown."""
    if figures.price is None or figures.atr is None:
        warning = f"ATR is unknown: the stop is the widest allowed, {rules.max_stop_fraction:.2%}"
        return rules.max_stop_fraction, (warning,)
    wanted = limits.atr_stop_multiple * figures.atr / figures.price
    stop = exact(clamp(wanted, rules.min_stop_fraction, rules.max_stop_fraction))
    if stop == exact(wanted):
        return stop, ()
    warning = (
        f"stop of {limits.atr_stop_multiple:g} ATR would be {wanted:.2%} of the price, "
        f"held inside {rules.min_stop_fraction:.2%} to {rules.max_stop_fraction:.2%}"
    )
    return stop, (warning,)


def _checks(
    symbol: str, figures: _Figures, limits: ProfilePolicy, rules: RiskPolicy
) -> tuple[tuple[RiskCheck, ...], tuple[str, ...]]:
    refs, caps = rules.inputs, limits.limits
    correlation = figures.correlation
    asked: list[tuple[str, str, float | None, Limit]] = [
        ("realised volatility", refs.volatility_annual, figures.volatility, caps.volatility_annual),
        ("value at risk", refs.value_at_risk, figures.value_at_risk, caps.value_at_risk),
        (
            "expected shortfall",
            refs.expected_shortfall,
            figures.expected_shortfall,
            caps.expected_shortfall,
        ),
        *(("slippage", ref, figures.slippage, caps.slippage) for ref in refs.slippage[:1]),
    ]
    if symbol.partition("/")[0] != BTC:
        size = None if correlation is None else abs(correlation)
        asked.append(("correlation to BTC", refs.correlation_to_btc, size, caps.correlation_to_btc))
    checks, unplanned = [], []
    for name, reference, value, limit in asked:
        task_id = reference.partition(".")[0]
        if task_id in figures.planned:
            checks.append(_check(name, value, limit))
        else:
            unplanned.append(f"{name} was not looked at: task {task_id} is not in the plan")
    return tuple(checks), tuple(unplanned)


def _check(name: str, value: float | None, limit: Limit) -> RiskCheck:
    if value is None:
        factor = limit.floor
        arithmetic = f"{name} unknown: cap x {limit.floor:g}"
    elif value <= limit.limit:
        factor = 1.0
        arithmetic = f"{name} {value:.4g} within {limit.limit:g}: cap x 1"
    else:
        factor = max(limit.floor, exact(limit.limit / value))
        arithmetic = (
            f"{name} {value:.4g} above {limit.limit:g}: cap x max({limit.floor:g}, "
            f"{limit.limit:g} / {value:.4g}) = {factor:.4f}"
        )
    return RiskCheck(
        name=name, value=value, limit=limit.limit, factor=factor, arithmetic=arithmetic
    )


def _listed(symbol: str, rules: RiskPolicy) -> tuple[str, ...]:
    vetoes = []
    if symbol in rules.blacklist:
        vetoes.append(f"{symbol} is on the blacklist")
    if rules.whitelist and symbol not in rules.whitelist:
        vetoes.append(f"{symbol} is not on the whitelist")
    return tuple(vetoes)


def _market_vetoes(figures: _Figures, as_of: datetime, rules: RiskPolicy) -> tuple[str, ...]:
    vetoes = []
    if figures.price is None or figures.price_time is None:
        vetoes.append("no reference price: nothing to set a stop against")
    else:
        age = age_minutes(figures.price_time, as_of)
        if age > rules.max_price_age_minutes:
            vetoes.append(
                f"the reference price is {age:.0f} min old, "
                f"limit {rules.max_price_age_minutes:.0f} min"
            )
    if figures.volatility is None:
        vetoes.append("realised volatility is unknown: no position can be sized")
    elif figures.volatility > rules.shock_volatility_annual:
        vetoes.append(
            f"volatility shock: {figures.volatility:.2f} a year, "
            f"limit {rules.shock_volatility_annual:g}"
        )
    return tuple(vetoes)


def _regime_warning(analysis: Analysis) -> tuple[str, ...]:
    if math.isclose(analysis.score, 0.0, abs_tol=1e-12):
        return ("the findings take no side: stop and take-profit are for orientation only",)
    return ()
