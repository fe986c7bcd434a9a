"""Limits, stops and vetoes by hand."""

from __future__ import annotations

import pytest

from sigmax_tasks.models.decision import Analysis, RiskAssessment
from sigmax_tasks.models.research import ResearchBundle
from sigmax_tasks.stages.risk import assess_risk
from tests.unit.stages.builders import (
    BALANCED,
    bundle,
    failed,
    finding,
    outcome,
    policy,
)

BULLISH = Analysis(
    score=0.2, confidence=0.5, confidence_cap=0.95, regime="trending", contributions=()
)
FULL = (*BALANCED, "liquidity", "correlation")


def assessed(given: ResearchBundle, **changes: object) -> RiskAssessment:
    return assess_risk(given, BULLISH, policy(**changes))


def technical(**metrics: float | None) -> object:
    return outcome(finding("technical", metrics=metrics))


def test_calm_market() -> None:
    risk = assessed(bundle())
    assert risk.reference_price == 50_000.0
    assert risk.stop_distance_fraction == pytest.approx(0.04)  # 2 ATR of 1000 at 50000
    assert risk.take_profit_distance_fraction == pytest.approx(0.08)  # reward to risk 2
    assert risk.size_cap_fraction == 0.15
    assert risk.vetoes == ()


@pytest.mark.parametrize(
    ("name", "cap", "stop"),
    [("conservative", 0.10, 0.05), ("balanced", 0.15, 0.04), ("aggressive", 0.25, 0.03)],
)
def test_caps_and_stops_of_the_profiles(name: str, cap: float, stop: float) -> None:
    risk = assessed(bundle(profile_name=name))
    assert (risk.size_cap_fraction, risk.stop_distance_fraction) == (cap, pytest.approx(stop))


@pytest.mark.parametrize(
    ("metrics", "factor", "words"),
    [
        # balanced limits: volatility 1.0, value at risk 0.07, expected shortfall 0.10; floor 0.25
        ({"realised_volatility_annual": 1.25}, 0.8, "1 / 1.25"),
        ({"value_at_risk_95_1d": 0.14}, 0.5, "0.07 / 0.14"),
        ({"value_at_risk_95_1d": -0.14}, 0.5, "0.07 / 0.14"),
        ({"expected_shortfall_95_1d": 0.125}, 0.8, "0.1 / 0.125"),
        ({"expected_shortfall_95_1d": 0.9}, 0.25, "max(0.25"),
        ({"expected_shortfall_95_1d": None}, 0.25, "expected shortfall unknown: cap x 0.25"),
        # the smallest factor counts
        ({"realised_volatility_annual": 1.25, "value_at_risk_95_1d": 0.14}, 0.5, "0.07 / 0.14"),
    ],
)
def test_limits_shrink_the_cap_with_their_arithmetic(
    metrics: dict[str, float | None], factor: float, words: str
) -> None:
    risk = assessed(bundle(technical(**metrics)))
    assert risk.size_cap_fraction == pytest.approx(0.15 * factor)
    assert any(words in check.arithmetic for check in risk.checks)
    assert any(words in warning for warning in risk.warnings)


@pytest.mark.parametrize(
    ("metrics", "factor"),
    [
        ({"slippage_buy_50k": 0.004}, 0.5),  # limit 0.002; the worse side counts
        ({"slippage_sell_50k": 0.004, "slippage_buy_50k": 0.003}, 0.5),
        ({"slippage_sell_50k": None}, 0.1),  # one side unknown: the floor
    ],
)
def test_liquidity_limit(metrics: dict[str, float | None], factor: float) -> None:
    given = bundle(outcome(finding("liquidity", metrics=metrics)), task_ids=FULL)
    assert assessed(given).size_cap_fraction == pytest.approx(0.15 * factor)


def test_a_figure_of_a_task_outside_the_plan_is_a_warning_and_no_limit() -> None:
    risk = assessed(bundle())
    assert "slippage was not looked at: task liquidity is not in the plan" in risk.warnings
    assert "slippage" not in [check.name for check in risk.checks]


def test_a_planned_figure_whose_task_failed_is_unknown() -> None:
    risk = assessed(bundle(failed("liquidity"), task_ids=FULL))
    assert risk.size_cap_fraction == pytest.approx(0.15 * 0.1)


def test_an_unknown_figure_with_floor_zero_is_a_veto() -> None:
    changes = {"profiles__balanced__limits__slippage__floor": 0.0}
    risk = assessed(bundle(failed("liquidity"), task_ids=FULL), **changes)
    assert risk.size_cap_fraction == 0.0
    assert risk.vetoes == ("slippage is unknown, and this profile does not act without it",)


@pytest.mark.parametrize("value", [0.95, -0.95])
def test_correlation_to_bitcoin_limits_other_coins_only(value: float) -> None:
    closely = outcome(
        finding("correlation", metrics={"correlation_btc_90d": value}, symbol="ETH/USDT")
    )
    ether = bundle(closely, task_ids=FULL, symbol="ETH/USDT")
    assert assessed(ether).size_cap_fraction == pytest.approx(0.15 * 0.9 / 0.95)
    bitcoin = bundle(failed("correlation"), task_ids=FULL)
    assert assessed(bitcoin).size_cap_fraction == 0.15


def test_stops_are_bounded() -> None:
    assert assessed(bundle(technical(atr_14=10.0))).stop_distance_fraction == 0.01
    wide = assessed(bundle(technical(atr_14=20_000.0)))
    assert wide.stop_distance_fraction == 0.15
    assert any("held inside" in warning for warning in wide.warnings)


def test_an_unknown_atr_gives_the_widest_stop() -> None:
    risk = assessed(bundle(technical(atr_14=None)))
    assert (risk.atr, risk.stop_distance_fraction) == (None, 0.15)


def test_no_reference_price_is_a_veto() -> None:
    risk = assessed(bundle(technical(last_close=None)))
    assert risk.reference_price is None
    assert any("no reference price" in veto for veto in risk.vetoes)


def test_a_stale_reference_price_is_a_veto() -> None:
    risk = assessed(bundle(outcome(finding("technical", ages={"price_data": 721}))))
    assert risk.vetoes == ("the reference price is 721 min old, limit 720 min",)


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"realised_volatility_annual": 2.01}, "volatility shock: 2.01 a year, limit 2"),
        ({"realised_volatility_annual": None}, "realised volatility is unknown"),
        ({"realised_volatility_annual": 0.0}, "realised volatility is unknown"),
    ],
)
def test_volatility_vetoes(metrics: dict[str, float | None], words: str) -> None:
    assert any(words in veto for veto in assessed(bundle(technical(**metrics))).vetoes)


@pytest.mark.parametrize(
    ("changes", "veto"),
    [
        ({"risk__blacklist": ["BTC/USDT"]}, "BTC/USDT is on the blacklist"),
        ({"risk__whitelist": ["ETH/USDT"]}, "BTC/USDT is not on the whitelist"),
        (
            {"risk__kill_switch": {"engaged": True, "reason": "exchange audit"}},
            "kill switch: exchange audit",
        ),
    ],
)
def test_lists_and_kill_switch(changes: dict[str, object], veto: str) -> None:
    assert assessed(bundle(), **changes).vetoes == (veto,)


def test_a_symbol_on_the_whitelist_passes() -> None:
    assert assessed(bundle(), risk__whitelist=["BTC/USDT"]).vetoes == ()


def test_a_metric_on_unusable_observations_is_unknown() -> None:
    found = finding("technical")
    bare = found.model_copy(
        update={"lineage": tuple(i for i in found.lineage if i.source != "price_data")}
    )
    assert assessed(bundle(outcome(bare))).reference_price is None
