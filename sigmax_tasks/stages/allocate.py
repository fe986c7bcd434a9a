"""allocate: how the decisions of a watchlist share the equity (D7).

Each decision was sized as if it were the only one, so positions that move together add up to more
risk than was meant. With r the risk of a position (its size x its volatility) and c the correlation
of two positions (of their returns, turned around for a short one; 0 where negative), a position is
divided by the number of positions like it, itself included:

    size = w0 / (1 + sum over the others of c x min(1, r_other / r))

For n positions of equal risk and correlation c this is w0 / (1 + (n - 1) c), the Kelly sizes of all
together (Merton, 1969: inverse covariance x expected returns, where w0 = return / variance is Kelly
for one). Unlike the inverse of an estimated covariance it never gives a position more than it would
get alone, nor drops one for a small difference. Returns that are not known count as moving with
all others (c = 1). Then all are scaled down until their volatility together is within the profile's
target and their sum within ``sizing.max_total_fraction``; what falls below
``sizing.min_size_fraction`` is not taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sigmax_tasks.models.allocation import Allocation, AllocationShare
from sigmax_tasks.models.decision import Action, Decision
from sigmax_tasks.models.observations import Candles, Observation
from sigmax_tasks.models.policy import DecisionPolicy
from sigmax_tasks.stages.covariance import Covariance, DailyCloses, covariance_of
from sigmax_tasks.stages.exact import exact


@dataclass(frozen=True)
class _Position:
    """A decision that takes a position: ``sign`` -1 for a short one, ``most`` the upper bound."""

    symbol: str
    sign: float
    most: float
    volatility_annual: float | None


def daily_closes(symbol: str, observations: Iterable[Observation]) -> DailyCloses:
    """The longest daily candle history of ``symbol`` among what the tasks of a run were given."""
    histories = [
        observation.data.rows
        for observation in observations
        if isinstance(observation.data, Candles)
        and observation.data.symbol == symbol
        and observation.data.timeframe == "1d"
    ]
    # Of equal lengths the first counts, so that the answer does not depend on the provider's luck.
    rows = max(histories, key=len, default=())
    return tuple((row[0], row[4]) for row in rows)


def allocate(
    decisions: Sequence[Decision], closes: Mapping[str, DailyCloses], policy: DecisionPolicy
) -> Allocation:
    """Shares of the equity for decisions of one profile; HOLD gets none."""
    rules = policy.sizing
    positions = [
        _Position(
            decision.symbol,
            -1.0 if decision.action is Action.SELL else 1.0,
            min(decision.size_fraction, decision.risk.size_cap_fraction),
            decision.risk.realised_volatility_annual,
        )
        for decision in decisions
        if decision.action is not Action.HOLD and decision.size_fraction > 0
    ]
    if not positions:
        return _allocation(decisions, {}, None, ["no decision takes a position"])
    known = covariance_of(
        {p.symbol: closes[p.symbol] for p in positions if closes.get(p.symbol)},
        rules.covariance_days,
    )
    alone = math.fsum(p.most for p in positions)
    steps = [f"sizes one by one: {alone:.2%} of equity in {_count(len(positions), 'position')}"]
    sizes = _together(positions, known, steps)
    target = min(
        policy.profile(name).volatility_target_annual
        for name in {decision.risk_profile for decision in decisions}
    )
    volatility = _volatility(positions, sizes, known)
    if volatility is not None and volatility > target:
        factor = target / volatility
        sizes = {symbol: size * factor for symbol, size in sizes.items()}
        steps.append(
            f"volatility of all: {volatility:.2%} a year, above the target of {target:.2%}: "
            f"x {factor:.4f}"
        )
    total = math.fsum(sizes.values())
    if total > rules.max_total_fraction:
        factor = rules.max_total_fraction / total
        sizes = {symbol: size * factor for symbol, size in sizes.items()}
        steps.append(
            f"sum: {total:.2%}, above the most of {rules.max_total_fraction:.2%}: x {factor:.4f}"
        )
    for position in positions:
        if sizes[position.symbol] < rules.min_size_fraction:
            steps.append(
                f"{position.symbol}: {sizes[position.symbol]:.2%} is below the minimum of "
                f"{rules.min_size_fraction:.2%}: no position"
            )
            sizes[position.symbol] = 0.0
    sizes = {symbol: exact(size) for symbol, size in sizes.items()}
    return _allocation(decisions, sizes, _volatility(positions, sizes, known), steps)


def _together(
    positions: Sequence[_Position], known: Covariance | None, steps: list[str]
) -> dict[str, float]:
    """Sizes that allow for how the positions move together."""
    correlations = _correlations(positions, known)
    risks = [p.most * v if (v := _volatility_of(p, known)) is not None else None for p in positions]
    sizes = {}
    for i, position in enumerate(positions):
        like = math.fsum(
            max(0.0, correlations[i][j]) * _weight(risks[j], risks[i])
            for j in range(len(positions))
            if j != i
        )
        sizes[position.symbol] = position.most / (1.0 + like)
    if len(positions) == 1:
        return sizes
    seen = known.symbols if known is not None else ()
    source = "no common returns"
    if known is not None and len(seen) > 1:
        source = f"{known.days} common daily returns, shrinkage {known.shrinkage:.2f}"
    before = math.fsum(p.most for p in positions)
    after = math.fsum(sizes.values())
    steps.append(f"moving together ({source}): {after:.2%} in place of {before:.2%}")
    unknown = [p.symbol for p in positions if p.symbol not in seen]
    if unknown:
        steps.append(f"returns not known, counted as moving with all: {', '.join(unknown)}")
    return sizes


def _weight(other: float | None, own: float | None) -> float:
    """min(1, r_other / r); 1 where a risk is not known."""
    if other is None or not own:
        return 1.0
    return min(1.0, other / own)


def _correlations(positions: Sequence[_Position], known: Covariance | None) -> list[list[float]]:
    """Of the positions, in their order; 1 where the returns of one are not known."""
    found = [[1.0] * len(positions) for _ in positions]
    if known is None:
        return found
    where = {symbol: index for index, symbol in enumerate(known.symbols)}
    deviations = np.sqrt(np.diag(known.annual))
    for i, a in enumerate(positions):
        for j, b in enumerate(positions):
            if i == j or a.symbol not in where or b.symbol not in where:
                continue
            m, n = where[a.symbol], where[b.symbol]
            scale = float(deviations[m] * deviations[n])
            if scale > 0:
                found[i][j] = a.sign * b.sign * float(known.annual[m, n]) / scale
    return found


def _volatility_of(position: _Position, known: Covariance | None) -> float | None:
    """Annual, from the common returns, else from the risk assessment."""
    if known is not None and position.symbol in known.symbols:
        index = known.symbols.index(position.symbol)
        return math.sqrt(float(known.annual[index, index]))
    return position.volatility_annual


def _volatility(
    positions: Sequence[_Position], sizes: Mapping[str, float], known: Covariance | None
) -> float | None:
    """Of all positions together, a year; None where no volatility is known at all.

    Hedges count: a long and a short position that move together offset each other.
    """
    volatilities = [_volatility_of(p, known) for p in positions]
    if all(volatility is None for volatility in volatilities):
        return None
    risks = [sizes[p.symbol] * (v or 0.0) for p, v in zip(positions, volatilities, strict=True)]
    correlations = _correlations(positions, known)
    variance = math.fsum(
        correlations[i][j] * risks[i] * risks[j]
        for i in range(len(risks))
        for j in range(len(risks))
    )
    return math.sqrt(max(0.0, variance))


def _allocation(
    decisions: Sequence[Decision],
    sizes: Mapping[str, float],
    volatility: float | None,
    steps: Sequence[str],
) -> Allocation:
    total = math.fsum(sizes.values())
    return Allocation(
        shares=tuple(
            AllocationShare(
                symbol=decision.symbol,
                fraction=sizes.get(decision.symbol, 0.0),
                of_total=exact(sizes.get(decision.symbol, 0.0) / total) if total > 0 else 0.0,
            )
            for decision in decisions
        ),
        total_fraction=exact(min(1.0, total)),
        volatility_annual=exact(volatility) if volatility is not None else None,
        steps=tuple(steps),
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
