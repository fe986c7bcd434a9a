"""How a watchlist shares the equity, by hand."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmax_planner.models import DataMode
from sigmax_tasks.models.decision import Action, Decision
from sigmax_tasks.models.observations import Candles, Observation
from sigmax_tasks.models.policy import DecisionPolicy
from sigmax_tasks.stages.allocate import allocate, daily_closes
from sigmax_tasks.stages.covariance import (
    DAYS_A_YEAR,
    LEAST_RETURNS,
    DailyCloses,
    covariance_of,
    shrunk_correlations,
)
from tests.unit.report.builders import make_decision
from tests.unit.stages.builders import lineage, policy

DAY_MS = 86_400_000
Rows = list[tuple[int, float]]


def decision(symbol: str, size: float, action: Action = Action.BUY, **risk: Any) -> Decision:
    base = make_decision(symbol)
    return base.model_copy(
        update={
            "action": action,
            "size_fraction": size,
            "risk": base.risk.model_copy(update={"size_cap_fraction": 0.25, **risk}),
        }
    )


def loose(**sizing: Any) -> DecisionPolicy:
    """The shipped policy with a volatility target that never binds."""
    shipped = policy()
    balanced = shipped.profiles["balanced"].model_copy(update={"volatility_target_annual": 9.0})
    return shipped.model_copy(
        update={
            "profiles": {**shipped.profiles, "balanced": balanced},
            "sizing": shipped.sizing.model_copy(update={"max_total_fraction": 1.0, **sizing}),
        }
    )


def history(returns: list[float]) -> Rows:
    closes = 100.0 * np.cumprod([1.0, *(1.0 + np.array(returns))])
    return [(day * DAY_MS, float(close)) for day, close in enumerate(closes)]


UP_DOWN = [0.02, -0.02] * 40
TWO_TWO = [0.02, 0.02, -0.02, -0.02] * 20
"""Uncorrelated with UP_DOWN, of the same variance."""


def fractions(*decisions: Decision, closes: dict[str, DailyCloses], rules: DecisionPolicy) -> Any:
    found = allocate(decisions, closes, rules)
    return [share.fraction for share in found.shares], found


def test_two_prices_that_move_as_one_share_one_position() -> None:
    closes = {"A/USDT": history(UP_DOWN), "B/USDT": history(UP_DOWN)}
    (a, b), found = fractions(
        decision("A/USDT", 0.08), decision("B/USDT", 0.08), closes=closes, rules=loose()
    )
    assert a == b == pytest.approx(0.04)
    assert found.total_fraction == pytest.approx(0.08)
    deviation = 0.02 * math.sqrt(DAYS_A_YEAR)
    assert found.volatility_annual == pytest.approx(0.08 * deviation, rel=0.01)
    assert [share.of_total for share in found.shares] == [0.5, 0.5]


def test_two_independent_prices_keep_their_sizes() -> None:
    closes = {"A/USDT": history(UP_DOWN), "B/USDT": history(TWO_TWO)}
    (a, b), found = fractions(
        decision("A/USDT", 0.08), decision("B/USDT", 0.04), closes=closes, rules=loose()
    )
    assert a == pytest.approx(0.08, rel=0.01)
    assert b == pytest.approx(0.04, rel=0.01)
    assert found.shares[0].of_total == pytest.approx(2 / 3, rel=0.01)


def test_half_correlated_prices_of_equal_risk_get_two_thirds_each() -> None:
    """w0 / (1 + c), with the correlation of 0.5 of a common and an own part."""
    common, own = np.array(UP_DOWN), np.array(TWO_TWO)
    third = np.array([*([0.02] * 4), *([-0.02] * 4)] * 10)
    a, b = (common + own) / 2, (common + third) / 2
    closes = {"A/USDT": history(list(a)), "B/USDT": history(list(b))}
    (first, second), found = fractions(
        decision("A/USDT", 0.09), decision("B/USDT", 0.09), closes=closes, rules=loose()
    )
    _, delta = shrunk_correlations(np.column_stack([a, b]))
    assert 0 < delta < 0.1
    assert first == pytest.approx(0.09 / (1 + 0.5 * (1 - delta)))
    assert second == pytest.approx(first)
    assert f"shrinkage {delta:.2f}): {first + second:.2%} in place of 18.00%" in found.steps[1]


def test_a_long_and_a_short_that_move_together_do_not_crowd_each_other() -> None:
    closes = {"A/USDT": history(UP_DOWN), "B/USDT": history(UP_DOWN)}
    sizes, found = fractions(
        decision("A/USDT", 0.08),
        decision("B/USDT", 0.08, Action.SELL),
        closes=closes,
        rules=loose(),
    )
    assert sizes == pytest.approx([0.08, 0.08])
    assert found.volatility_annual == pytest.approx(0.0, abs=1e-6)


def test_a_small_position_hardly_crowds_a_large_one() -> None:
    closes = {"A/USDT": history(UP_DOWN), "B/USDT": history(UP_DOWN)}
    (large, small), _ = fractions(
        decision("A/USDT", 0.10),
        decision("B/USDT", 0.01),
        closes=closes,
        rules=loose(min_size_fraction=0.0005),
    )
    # As one: x = r^2 / sqrt(sum of r^2), k = (sum of r^3) / (sum of r^2)^1.5.
    part = (0.10**3 + 0.01**3) / (0.10**2 + 0.01**2) ** 2
    assert large == pytest.approx(0.10**2 * part)
    assert small == pytest.approx(0.01**2 * part)


def test_without_returns_positions_count_as_one() -> None:
    sizes, found = fractions(
        *(decision(f"{name}/USDT", 0.09, realised_volatility_annual=0.5) for name in "ABC"),
        closes={},
        rules=loose(),
    )
    assert sizes == pytest.approx([0.03, 0.03, 0.03])
    assert found.volatility_annual == pytest.approx(0.09 * 0.5)
    assert "returns not known, counted as moving with all: A/USDT, B/USDT, C/USDT" in found.steps


def test_one_symbol_with_a_short_history_does_not_spoil_the_others() -> None:
    closes = {
        "A/USDT": history(UP_DOWN),
        "B/USDT": history(TWO_TWO),
        "C/USDT": history(UP_DOWN)[-10:],
    }
    risk = {"realised_volatility_annual": 0.02 * math.sqrt(DAYS_A_YEAR)}
    (a, b, c), _ = fractions(
        *(decision(f"{name}/USDT", 0.06, **risk) for name in "ABC"), closes=closes, rules=loose()
    )
    # a (a + c) = 1 and c (2 a + c) = 1 give a^2 = (sqrt(5) - 1) / 2; and k = (2 a + c) / 3.
    x = math.sqrt((math.sqrt(5) - 1) / 2)
    y = 1 / x - x
    assert a == pytest.approx(0.06 * x * (2 * x + y) / 3, rel=1e-4), "not like B, as one with C"
    assert b == pytest.approx(a, rel=1e-4)
    assert c == pytest.approx(0.06 * y * (2 * x + y) / 3, rel=1e-4)


def test_the_sum_stays_within_the_cap_on_all_positions() -> None:
    closes = {"A/USDT": history(UP_DOWN), "B/USDT": history(TWO_TWO)}
    rules = loose(max_total_fraction=0.06)
    (a, b), found = fractions(
        decision("A/USDT", 0.08), decision("B/USDT", 0.04), closes=closes, rules=rules
    )
    assert a + b == pytest.approx(0.06)
    assert a / b == pytest.approx(2.0, rel=0.01)
    assert found.total_fraction == pytest.approx(0.06)
    assert any("above the most of 6.00%" in step for step in found.steps)


def test_the_volatility_of_all_stays_within_the_target_of_the_profile() -> None:
    closes = {"A/USDT": history(UP_DOWN), "B/USDT": history(TWO_TWO)}
    shipped = policy()
    target = shipped.profiles["balanced"].volatility_target_annual
    decisions = [decision("A/USDT", 0.25), decision("B/USDT", 0.25)]
    wild = {name: [(t, p) for t, p in rows] for name, rows in closes.items()}
    jumpy = {
        name: history(list(5 * np.diff(np.log([p for _, p in rows]))))
        for name, rows in wild.items()
    }
    found = allocate(decisions, jumpy, shipped)
    assert found.volatility_annual == pytest.approx(target)
    assert any("above the target" in step for step in found.steps)


def test_no_position_is_larger_than_its_own_cap() -> None:
    sizes, _ = fractions(decision("A/USDT", 0.20, size_cap_fraction=0.05), closes={}, rules=loose())
    assert sizes == pytest.approx([0.05])


def test_what_is_too_small_is_not_taken_and_makes_room() -> None:
    sizes, found = fractions(
        decision("A/USDT", 0.10), decision("B/USDT", 0.003), closes={}, rules=loose()
    )
    assert sizes == [0.10, 0.0]
    assert [share.of_total for share in found.shares] == [1.0, 0.0]
    assert any(
        step.startswith("B/USDT: 0.01% is below the minimum of 0.20%") for step in found.steps
    )
    nothing, all_small = fractions(
        decision("A/USDT", 0.003), decision("B/USDT", 0.003), closes={}, rules=loose()
    )
    assert nothing == [0.0, 0.0]
    assert (all_small.total_fraction, all_small.volatility_annual) == (0.0, None)


def test_a_volatility_of_nothing_known_counts_as_the_largest() -> None:
    """Two as one, of which the unknown one counts as no calmer than the other."""
    sizes, found = fractions(
        decision("A/USDT", 0.08, realised_volatility_annual=0.5),
        decision("B/USDT", 0.08, realised_volatility_annual=None),
        closes={},
        rules=loose(),
    )
    assert sizes == pytest.approx([0.04, 0.04])
    assert found.volatility_annual == pytest.approx(0.08 * 0.5)
    without, unmeasured = fractions(
        *(decision(f"{name}/USDT", 0.08, realised_volatility_annual=None) for name in "AB"),
        closes={},
        rules=loose(),
    )
    assert without == pytest.approx([0.04, 0.04])
    assert unmeasured.volatility_annual is None


def test_hold_gets_nothing_and_only_holds_say_so() -> None:
    hold = decision("H/USDT", 0.0, Action.HOLD)
    sizes, found = fractions(hold, decision("A/USDT", 0.08), closes={}, rules=loose())
    assert sizes == pytest.approx([0.0, 0.08])
    nothing = allocate([hold], {}, loose())
    assert (nothing.total_fraction, nothing.volatility_annual) == (0.0, None)
    assert nothing.steps == ("no decision takes a position",)
    assert found.share_of("H/USDT") is not None
    assert found.share_of("X/USDT") is None


def market_of(
    sizes: list[float], seed: int, shorts: int
) -> tuple[list[Decision], dict[str, DailyCloses]]:
    """Decisions on prices with a part in common."""
    draw = np.random.default_rng(seed)
    market = draw.normal(0, 0.03, 60)
    decisions: list[Decision] = []
    closes: dict[str, DailyCloses] = {}
    for number, size in enumerate(sizes):
        symbol = f"S{number}/USDT"
        side = Action.SELL if shorts >> number & 1 else Action.BUY
        decisions.append(decision(symbol, size, side))
        closes[symbol] = history(list(market * draw.uniform(-1, 1) + draw.normal(0, 0.02, 60)))
    return decisions, closes


MARKETS = {
    "sizes": st.lists(st.floats(0.001, 0.25), min_size=1, max_size=6),
    "seed": st.integers(0, 10_000),
    "shorts": st.integers(0, 63),
}


@settings(max_examples=60, deadline=None)
@given(**MARKETS)
def test_limits_hold_whatever_the_market(sizes: list[float], seed: int, shorts: int) -> None:
    decisions, closes = market_of(sizes, seed, shorts)
    rules = policy()
    found = allocate(decisions, closes, rules)
    assert found == allocate(decisions, closes, rules)
    assert found.total_fraction <= rules.sizing.max_total_fraction + 1e-9
    for share, size in zip(found.shares, sizes, strict=True):
        assert 0.0 <= share.fraction <= size
        assert share.fraction == 0 or share.fraction >= rules.sizing.min_size_fraction
    target = rules.profiles["balanced"].volatility_target_annual
    assert (found.volatility_annual is None) == (found.total_fraction == 0)
    assert (found.volatility_annual or 0.0) <= target * (1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(**MARKETS, random=st.randoms(use_true_random=False))
def test_the_order_of_the_symbols_changes_nothing(
    sizes: list[float], seed: int, shorts: int, random: Random
) -> None:
    decisions, closes = market_of(sizes, seed, shorts)
    found = allocate(decisions, closes, policy())
    mixed = random.sample(decisions, len(decisions))
    other = allocate(mixed, {d.symbol: closes[d.symbol] for d in reversed(mixed)}, policy())
    assert [other.share_of(d.symbol) for d in decisions] == list(found.shares)
    assert other.steps == found.steps
    assert other.volatility_annual == found.volatility_annual


def test_the_shrinkage_is_that_of_the_paper() -> None:
    """Against the formulas of Ledoit and Wolf (2004) written out index by index."""
    draw = np.random.default_rng(3)
    returns = draw.normal(0, 1, (50, 4)) @ draw.normal(0, 0.02, (4, 4))
    count, assets = returns.shape
    pairs = [(i, j) for i in range(assets) for j in range(assets)]
    y = [
        [(returns[t, i] - returns[:, i].mean()) / returns[:, i].std() for i in range(assets)]
        for t in range(count)
    ]
    s = {(i, j): sum(row[i] * row[j] for row in y) / count for i, j in pairs}
    d = sum((s[i, j] - (i == j)) ** 2 for i, j in pairs)
    b = sum((row[i] * row[j] - s[i, j]) ** 2 for row in y for i, j in pairs) / count**2
    delta = min(b, d) / d
    assert 0 < delta < 1
    found, shrinkage = shrunk_correlations(returns)
    assert shrinkage == pytest.approx(delta)
    for i, j in pairs:
        assert found[i, j] == pytest.approx(1.0 if i == j else (1 - delta) * s[i, j])


def test_a_price_that_never_moved_is_like_no_other() -> None:
    returns = np.column_stack([UP_DOWN, np.zeros(80), UP_DOWN, np.array(UP_DOWN) * -3])
    found, _ = shrunk_correlations(returns)
    assert found[1] == pytest.approx([0, 1, 0, 0])
    assert found[0, 2] == pytest.approx(-found[0, 3])
    assert found[0, 2] > 0.9
    one, delta = shrunk_correlations(returns[:, :1])
    assert (one, delta) == (np.array([[1.0]]), 0.0)


def test_histories_are_matched_by_day() -> None:
    long = history(UP_DOWN)
    late = [(t, p) for t, p in history(TWO_TWO) if t >= 20 * DAY_MS]
    found = covariance_of({"A/USDT": long, "B/USDT": late}, days=40)
    assert found is not None
    assert found.symbols == ("A/USDT", "B/USDT")
    assert found.days == 40
    rows = np.array(UP_DOWN[40:]), np.array(TWO_TWO[40:])
    assert found.annual == pytest.approx(np.cov(rows, bias=True) * DAYS_A_YEAR)
    assert covariance_of({"A/USDT": long[:LEAST_RETURNS]}, days=40) is None
    assert covariance_of({}, days=40) is None


def test_daily_closes_are_read_from_the_longest_daily_history() -> None:
    def candles(symbol: str, timeframe: str, rows: int) -> Observation:
        data = tuple((day * DAY_MS, 1.0, 2.0, 0.5, 1.0 + day, 3.0) for day in range(rows))
        return Observation(
            lineage=lineage("price_data", data_mode=DataMode.LIVE),
            data=Candles(symbol=symbol, timeframe=timeframe, rows=data),
        )

    seen = [
        candles("A/USDT", "1d", 2), candles("A/USDT", "1d", 3), candles("A/USDT", "4h", 9),
        candles("B/USDT", "1d", 9),
    ]  # fmt: skip
    assert daily_closes("A/USDT", seen) == ((0, 1.0), (DAY_MS, 2.0), (2 * DAY_MS, 3.0))
    assert daily_closes("C/USDT", seen) == ()
