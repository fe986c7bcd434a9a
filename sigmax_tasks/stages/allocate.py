"""allocate: how the decisions of a watchlist share the equity (D7).

Each decision was sized as if it were the only one, so positions that move together add up to more
risk than was meant. What a position may keep of its risk is shared out by ``risk_budget``, where
two positions are as alike as their returns are correlated (turned around for a short one; not below
0, so that a hedge makes no room). Returns that are not known count as moving with all others.
Then all are scaled down until their volatility together is within the profile's target and their
sum within ``sizing.max_total_fraction``; what falls below ``sizing.min_size_fraction`` is not
taken, and the others share again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sigmax_tasks.models.allocation import Allocation, AllocationShare
from sigmax_tasks.models.decision import Action, Decision
from sigmax_tasks.models.observations import Candles, Observation
from sigmax_tasks.models.policy import DecisionPolicy, SizingPolicy
from sigmax_tasks.stages.covariance import Covariance, DailyCloses, covariance_of
from sigmax_tasks.stages.exact import exact
from sigmax_tasks.stages.risk_budget import Matrix, share_risk


@dataclass(frozen=True)
class _Position:
    """A decision that takes a position: ``sign`` -1 for a short one, ``most`` the upper bound."""

    symbol: str
    sign: float
    most: float
    volatility_annual: float | None


@dataclass(frozen=True)
class _Joint:
    """Positions that share: ``volatilities`` of each, ``covariance`` with the signs of the
    positions, both annual, and how ``likeness`` of each two goes into the shares. Without any
    known volatility they are 1 and ``measured`` is false."""

    volatilities: Matrix
    likeness: Matrix
    covariance: Matrix
    measured: bool

    def volatility(self, sizes: Matrix) -> float | None:
        """Of all positions together, a year; a long and a short one may offset each other."""
        if not self.measured:
            return None
        return math.sqrt(max(0.0, float(sizes @ self.covariance @ sizes)))


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
    """Shares of the equity for decisions of one profile; HOLD gets none.

    The order of the decisions changes nothing. Raises :class:`AllocationError`.
    """
    rules = policy.sizing
    positions = sorted(
        (
            _Position(
                decision.symbol,
                -1.0 if decision.action is Action.SELL else 1.0,
                min(decision.size_fraction, decision.risk.size_cap_fraction),
                decision.risk.realised_volatility_annual,
            )
            for decision in decisions
            if decision.action is not Action.HOLD and decision.size_fraction > 0
        ),
        key=lambda position: position.symbol,
    )
    if not positions:
        return _allocation(decisions, {}, None, ["no decision takes a position"])
    known = covariance_of(
        {p.symbol: closes[p.symbol] for p in positions if closes.get(p.symbol)},
        rules.covariance_days,
    )
    target = min(
        policy.profile(name).volatility_target_annual
        for name in {decision.risk_profile for decision in decisions}
    )
    alone = math.fsum(p.most for p in positions)
    steps = [f"sizes one by one: {alone:.2%} of equity in {_count(len(positions), 'position')}"]
    while positions:
        sizes, volatility, arithmetic = _share(positions, known, target, rules)
        small = [p for p in positions if sizes[p.symbol] < rules.min_size_fraction]
        if not small:
            return _allocation(decisions, sizes, volatility, [*steps, *arithmetic])
        steps += [
            f"{p.symbol}: {sizes[p.symbol]:.2%} is below the minimum of "
            f"{rules.min_size_fraction:.2%}: no position"
            for p in small
        ]
        positions = [p for p in positions if p not in small]
    return _allocation(decisions, {}, None, steps)


def _share(
    positions: Sequence[_Position], known: Covariance | None, target: float, rules: SizingPolicy
) -> tuple[dict[str, float], float | None, list[str]]:
    """(size by symbol, volatility of all, the arithmetic) of positions that are all taken."""
    joint = _joint(positions, known)
    most = np.array([p.most for p in positions])
    sizes = share_risk(most * joint.volatilities, joint.likeness) / joint.volatilities
    steps = []
    if len(positions) > 1:
        steps = _together(positions, known, float(most.sum()), float(sizes.sum()))
    volatility = joint.volatility(sizes)
    if volatility is not None and volatility > target:
        factor = target / volatility
        sizes = sizes * factor
        steps.append(
            f"volatility of all: {volatility:.2%} a year, above the target of {target:.2%}: "
            f"x {factor:.4f}"
        )
    total = float(sizes.sum())
    if total > rules.max_total_fraction:
        factor = rules.max_total_fraction / total
        sizes = sizes * factor
        steps.append(
            f"sum: {total:.2%}, above the most of {rules.max_total_fraction:.2%}: x {factor:.4f}"
        )
    written = {
        p.symbol: min(p.most, exact(float(size))) for p, size in zip(positions, sizes, strict=True)
    }
    return written, joint.volatility(np.array(list(written.values()))), steps


def _together(
    positions: Sequence[_Position], known: Covariance | None, before: float, after: float
) -> list[str]:
    """What is said of positions that share."""
    seen = known.symbols if known is not None else ()
    unknown = [p.symbol for p in positions if p.symbol not in seen]
    source = "no common returns"
    if known is not None and len(positions) - len(unknown) > 1:
        source = f"{known.days} common daily returns, shrinkage {known.shrinkage:.2f}"
    steps = [f"moving together ({source}): {after:.2%} in place of {before:.2%}"]
    if unknown:
        steps.append(f"returns not known, counted as moving with all: {', '.join(unknown)}")
    return steps


def _joint(positions: Sequence[_Position], known: Covariance | None) -> _Joint:
    """A volatility that is not known, or 0, counts as the largest of the others."""
    indices = [
        known.symbols.index(p.symbol) if known is not None and p.symbol in known.symbols else None
        for p in positions
    ]
    seen = [
        math.sqrt(float(known.annual[i, i]))
        if known is not None and i is not None
        else position.volatility_annual or 0.0
        for position, i in zip(positions, indices, strict=True)
    ]
    largest = max(seen)
    volatilities = np.array([volatility or largest or 1.0 for volatility in seen])
    likeness = np.ones((len(positions), len(positions)))
    covariance = np.outer(volatilities, volatilities)
    if known is not None:
        where = np.array([n for n, i in enumerate(indices) if i is not None], dtype=int)
        there = np.array([i for i in indices if i is not None], dtype=int)
        signs = np.array([positions[n].sign for n in where])
        both = np.outer(signs, signs)
        likeness[np.ix_(where, where)] = np.maximum(
            0.0, both * known.correlations[np.ix_(there, there)]
        )
        covariance[np.ix_(where, where)] = both * known.annual[np.ix_(there, there)]
    return _Joint(volatilities, likeness, covariance, measured=largest > 0)


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
