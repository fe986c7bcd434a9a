"""From decisions to an assessment: curves, rules of thumb, intervals, groups, ablation. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from sigmax_planner.models import Symbol
from sigmax_tasks.evaluation.baselines import RULES, random_returns, rule_curve
from sigmax_tasks.evaluation.calibration import assess_confidence
from sigmax_tasks.evaluation.market import FloatArray
from sigmax_tasks.evaluation.metrics import (
    YEAR_SECONDS,
    annual_return,
    combined,
    figures,
    max_drawdown,
    sharpe,
    total_return,
)
from sigmax_tasks.evaluation.models import StepDecision
from sigmax_tasks.evaluation.outline import Market, Wish
from sigmax_tasks.evaluation.result import (
    Ablated,
    Assessment,
    Group,
    RandomRule,
    Row,
)
from sigmax_tasks.evaluation.trades import Costs, Curve, simulate
from sigmax_tasks.evaluation.uncertainty import (
    block_indices,
    deflated_sharpe,
    interval_of,
)
from sigmax_tasks.evaluation.verdict import verdict_of
from sigmax_tasks.settings.runtime import EvaluationSettings

OURS = "SIGMAX"


@dataclass(frozen=True)
class TaskCost:
    """What the catalogue estimates for a task, and what its findings took here, per decision."""

    usd: float
    seconds: float
    measured_seconds: float | None


@dataclass(frozen=True)
class Decided:
    """The decisions of one symbol, and by task id those without its opinion."""

    decisions: tuple[StepDecision, ...]
    without: Mapping[str, tuple[StepDecision, ...]]


@dataclass(frozen=True)
class Bench:
    """What all strategies of an evaluation are measured with."""

    markets: Mapping[Symbol, Market]
    costs: Costs
    times_ms: tuple[int, ...]
    steps_a_year: float

    def strategy(self, decisions: Mapping[Symbol, Sequence[StepDecision]]) -> Curve:
        return self.together({s: self.alone(s, mine) for s, mine in decisions.items()})

    def alone(self, symbol: Symbol, decisions: Sequence[StepDecision]) -> Curve:
        market = self.markets[symbol]
        moments = [int(at) for at in market.grid.live_times_ms]
        return simulate(decisions, market.path, moments, self.costs)

    def together(self, curves: Mapping[Symbol, Curve]) -> Curve:
        parts = [
            ([int(at) for at in self.markets[s].grid.live_times_ms[:-1]], curve)
            for s, curve in curves.items()
        ]
        return combined(parts, self.times_ms)


def assess(
    wish: Wish,
    markets: Mapping[Symbol, Market],
    decided: Mapping[Symbol, Decided],
    rules: EvaluationSettings,
    *,
    count_trials: Callable[[float | None], tuple[int, float | None]],
    task_costs: Mapping[str, TaskCost] | None = None,
    notes: Sequence[str] = (),
) -> Assessment:
    """The whole assessment.

    ``count_trials`` gets the Sharpe ratio per step (None where nothing varies) and says how many
    variants were tried on these data, this one included, and the variance of their ratios.
    """
    costs = Costs(rules.fee_bps, rules.slippage_bps, rules.short_cost_bps_per_day)
    starts = sorted({int(t) for m in markets.values() for t in m.grid.live_times_ms[:-1]})
    bench = Bench(markets, costs, tuple(starts), YEAR_SECONDS / wish.step_seconds)
    year = bench.steps_a_year
    generator = np.random.default_rng(rules.seed)
    indices = block_indices(
        len(starts), rules.bootstrap_resamples, rules.bootstrap_block_steps, generator
    )
    alone = {s: bench.alone(s, mine.decisions) for s, mine in decided.items()}
    ours = bench.together(alone)
    curves = {OURS: ours}
    for name, rule in RULES.items():
        curves[name] = bench.together(
            {s: rule_curve(rule, market.grid, costs) for s, market in markets.items()}
        )
    rows = tuple(_row(name, curve, year, indices) for name, curve in curves.items())
    drawn = _random_rule(bench, alone, ours, rules, generator)
    hold = rows[1]
    both = np.column_stack((ours.returns, hold.returns))
    against = interval_of(lambda pair: _sharpe_gap(pair, year), both, indices)
    trials, trial_variance = count_trials(sharpe(ours.returns, 1.0))
    deflated = deflated_sharpe(ours.returns, trials, trial_variance)
    every = [d for mine in decided.values() for d in mine.decisions]
    end = max(int(m.grid.times_ms[-1]) for m in markets.values())
    actions = Counter(d.action.value for d in every)
    return Assessment(
        symbols=tuple(decided),
        profile=wish.profile,
        first=_moment(starts[0]),
        last=_moment(end),
        step_seconds=wish.step_seconds,
        only_recorded=wish.only_recorded,
        decisions=len(every),
        actions={name: actions.get(name, 0) for name in ("BUY", "SELL", "HOLD")},
        validated=sum(d.validated for d in every),
        times_ms=(*starts, end),
        rows=rows,
        groups=_groups(bench, alone, ours, decided),
        random=drawn,
        against_hold=against,
        deflated=deflated,
        reliability=assess_confidence(ours.trades, at_least=rules.calibration_min_outcomes),
        ablation=_ablation(bench, decided, ours, indices, task_costs or {}),
        costs=(
            f"{rules.fee_bps:g} bp fee and {rules.slippage_bps:g} bp slippage at each side of a "
            "trade",
            f"{rules.short_cost_bps_per_day:g} bp a day for a short position",
        ),
        notes=tuple(notes),
        verdict=verdict_of(rows, drawn, against, deflated),
    )


def _row(name: str, curve: Curve, year: float, indices: np.ndarray) -> Row:
    returns = curve.returns
    return Row(
        name=name,
        figures=figures(curve, year),
        annual_return=interval_of(lambda r: annual_return(r, year), returns, indices),
        sharpe=interval_of(lambda r: sharpe(r, year), returns, indices),
        max_drawdown=interval_of(max_drawdown, returns, indices),
        returns=returns,
    )


def _sharpe_gap(pair: FloatArray, year: float) -> float | None:
    first, second = sharpe(pair[:, 0], year), sharpe(pair[:, 1], year)
    return None if first is None or second is None else first - second


def _random_rule(
    bench: Bench,
    alone: Mapping[Symbol, Curve],
    ours: Curve,
    rules: EvaluationSettings,
    generator: np.random.Generator,
) -> RandomRule:
    year = bench.steps_a_year
    step_ms = YEAR_SECONDS * 1000 / year
    place = {int(t): i for i, t in enumerate(bench.times_ms)}
    parts = []
    members = np.zeros(len(bench.times_ms))
    for symbol, curve in alone.items():
        grid = bench.markets[symbol].grid
        at = np.array([place[int(t)] for t in grid.live_times_ms[:-1]], dtype=np.int64)
        members[at] += 1
        sizes = np.array([trade.decision.size_fraction for trade in curve.trades])
        sides = np.array([float(trade.side) for trade in curve.trades])
        spans = [(t.closed_ms - t.opened_ms) / step_ms for t in curve.trades]
        holds = np.maximum(1, np.rint(np.array(spans))).astype(np.int64)
        parts.append((at, sizes, sides, holds, grid.live_closes))
    sharpes, totals, paths = [], [], []
    for _ in range(rules.random_seeds):
        total = np.zeros(len(bench.times_ms))
        for at, sizes, sides, holds, closes in parts:
            total[at] += random_returns(sizes, sides, holds, closes, bench.costs, generator)
        total /= np.maximum(members, 1.0)
        ratio = sharpe(total, year)
        if ratio is not None:
            sharpes.append(ratio)
        totals.append(total_return(total))
        paths.append(total)
    own_sharpe, own_return = sharpe(ours.returns, year), total_return(ours.returns)
    middle = int(np.argsort(totals)[len(totals) // 2])
    low, mid, high = (
        (float(q) for q in np.quantile(sharpes, (0.025, 0.5, 0.975)))
        if sharpes
        else (None, None, None)
    )
    return RandomRule(
        drawings=rules.random_seeds,
        sharpe_median=mid,
        sharpe_low=low,
        sharpe_high=high,
        return_median=float(np.median(totals)),
        better_sharpe=(
            _share_at_least(sharpes, own_sharpe) if own_sharpe is not None and sharpes else None
        ),
        better_return=_share_at_least(totals, own_return),
        median_returns=paths[middle],
    )


def _share_at_least(drawn: Sequence[float], own: float) -> float:
    """With the own value among the drawn, so that it is never 0 (Davison and Hinkley, 1997)."""
    return (1 + sum(value >= own for value in drawn)) / (1 + len(drawn))


def _groups(
    bench: Bench,
    alone: Mapping[Symbol, Curve],
    ours: Curve,
    decided: Mapping[Symbol, Decided],
) -> tuple[Group, ...]:
    year = bench.steps_a_year
    found = [Group("symbol", s, figures(curve, year)) for s, curve in alone.items()]
    years = np.array([_moment(int(t)).year for t in bench.times_ms])
    for number in sorted(set(years.tolist())):
        inside = years == number
        trades = tuple(t for t in ours.trades if t.decision.as_of.year == number)
        part = Curve(ours.returns[inside], ours.exposure[inside], ours.turnover[inside], trades)
        found.append(Group("year", str(number), figures(part, year)))
    regimes = sorted({d.regime for mine in decided.values() for d in mine.decisions})
    empty = np.zeros(0)
    for regime in regimes:
        trades = tuple(t for t in ours.trades if t.decision.regime == regime)
        part = Curve(empty, empty, empty, trades)
        found.append(Group("regime", regime, figures(part, year), trades_only=True))
    return tuple(found)


def _ablation(
    bench: Bench,
    decided: Mapping[Symbol, Decided],
    ours: Curve,
    indices: np.ndarray,
    task_costs: Mapping[str, TaskCost],
) -> tuple[Ablated, ...]:
    year = bench.steps_a_year
    tasks = sorted({task_id for mine in decided.values() for task_id in mine.without})
    own = sharpe(ours.returns, year)
    found = []
    for task_id in tasks:
        # A symbol whose plan lacks the task decides as it does.
        curve = bench.strategy(
            {s: mine.without.get(task_id, mine.decisions) for s, mine in decided.items()}
        )
        other = sharpe(curve.returns, year)
        cost = task_costs.get(task_id, TaskCost(0.0, 0.0, None))
        both = np.column_stack((ours.returns, curve.returns))
        closed = [trade for trade in curve.trades if trade.hit is not None]
        found.append(
            Ablated(
                task_id=task_id,
                sharpe_without=other,
                return_without=annual_return(curve.returns, year),
                trades_without=len(closed),
                sharpe_added=None if own is None or other is None else own - other,
                interval=interval_of(lambda pair: _sharpe_gap(pair, year), both, indices),
                cost_usd=cost.usd,
                seconds=cost.seconds,
                measured_seconds=cost.measured_seconds,
            )
        )
    found.sort(key=lambda one: -(one.sharpe_added if one.sharpe_added is not None else -1e9))
    return tuple(found)


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)
