"""What is held already, by hand: what moves along, what all of it takes, what an order loses."""

from __future__ import annotations

from typing import Any

import pytest

from sigmax_planner.models import Holding, Portfolio
from sigmax_tasks.models.decision import Action, Analysis, RiskAssessment
from sigmax_tasks.models.research import Circumstances, Metric, ResearchBundle
from sigmax_tasks.stages.chain import run_chain
from sigmax_tasks.stages.risk import assess_risk
from tests.unit.stages.builders import (
    BALANCED,
    bundle,
    finding,
    outcome,
    policy,
    profile,
    shipped_policy,
)

FULL = (*BALANCED, "liquidity", "correlation")
ORDERS = {"10k": 0.0002, "50k": 0.0009, "100k": 0.003}


def portfolio(equity_usd: float | None = None, **holdings: float) -> Portfolio:
    """``portfolio(ETH=0.1)`` holds ETH/USDT."""
    return Portfolio(
        equity_usd=equity_usd,
        holdings=tuple(Holding(symbol=f"{c}/USDT", fraction=f) for c, f in holdings.items()),
    )


def case(held: Portfolio | None, symbol: str = "SOL/USDT", **correlations: float) -> ResearchBundle:
    """SOL with its correlation to the coins named, and its slippage at each order size."""
    own = finding("correlation", symbol=symbol)
    ids = own.evidence[0].observation_ids
    extra = {f"correlation_{coin}_90d": value for coin, value in correlations.items()}
    kept = tuple(m for m in own.metrics if m.name not in extra)
    made = tuple(
        Metric(name=name, value=value, unit="x", observation_ids=ids)
        for name, value in extra.items()
    )
    book = finding("liquidity", symbol=symbol)
    ids = book.metrics[0].observation_ids
    losses = tuple(
        Metric(name=f"slippage_{side}_{tag}", value=value, unit="x", observation_ids=ids)
        for tag, value in ORDERS.items()
        for side in ("buy", "sell")
    )
    whole = bundle(
        outcome(own.model_copy(update={"metrics": (*kept, *made)})),
        outcome(book.model_copy(update={"metrics": (book.metrics[0], *losses)})),
        task_ids=FULL,
        symbol=symbol,
    )
    return whole.model_copy(update={"circumstances": Circumstances(portfolio=held)})


def assessed(given: ResearchBundle, score: float = 0.2, **changes: Any) -> RiskAssessment:
    view = Analysis(
        score=score, confidence=0.5, confidence_cap=0.9, regime="trending", contributions=()
    )
    return assess_risk(given, view, policy(**changes))


@pytest.mark.parametrize(
    ("held", "score", "together", "factor"),
    [
        # 0.10 x 0.8 + 0.10 x 0.5 = 0.13; (0.30 - 0.13) / 0.15 > 1
        ({"ETH": 0.10, "BTC": 0.10}, 0.2, 0.13, 1.0),
        # 0.30 x 0.8 = 0.24; (0.30 - 0.24) / 0.15 = 0.4
        ({"ETH": 0.30}, 0.2, 0.24, 0.4),
        # a fall against what is held long does not move along
        ({"ETH": 0.30}, -0.2, 0.0, 1.0),
        # short and short do
        ({"ETH": -0.30}, -0.2, 0.24, 0.4),
        # its own market counts in full
        ({"SOL": 0.25}, 0.2, 0.25, 1 / 3),
        # unknown counts in full, on both sides
        ({"DOGE": 0.24}, 0.2, 0.24, 0.4),
        ({"DOGE": 0.24}, -0.2, 0.24, 0.4),
        # without a side, whatever moves either way
        ({"ETH": 0.30}, 0.0, 0.24, 0.4),
    ],
)
def test_what_moves_along_by_hand(
    held: dict[str, float], score: float, together: float, factor: float
) -> None:
    risk = assessed(case(portfolio(**held), eth=0.8, btc=0.5), score)
    check = next(c for c in risk.checks if c.name == "held and moving along")
    assert check.value == pytest.approx(together)
    assert check.factor == pytest.approx(factor)
    others = min(c.factor for c in risk.checks if c is not check)
    assert risk.size_cap_fraction == pytest.approx(0.15 * min(factor, others))


def test_the_arithmetic_names_each_holding() -> None:
    risk = assessed(case(portfolio(ETH=0.30, DOGE=0.02), eth=0.8))
    (said,) = [c.arithmetic for c in risk.checks if c.name == "held and moving along"]
    assert said == (
        "held and moving along 26.00% (ETH/USDT 30.00% x 0.80, DOGE/USDT 2.00% x 1 (correlation "
        "unknown)), limit 30.00%: leaves 4.00% for a cap of 15.00%: cap x 0.2667"
    )
    assert said in risk.warnings


def test_no_room_is_a_veto_with_its_reason() -> None:
    given = case(portfolio(SOL=0.30))
    risk = assessed(given)
    assert any(v.startswith("held and moving along leaves no room") for v in risk.vetoes)
    decision = run_chain(given, profile(), shipped_policy())
    assert decision.action is Action.HOLD
    assert decision.size_fraction == 0


def test_all_positions_together_stay_within_their_limit() -> None:
    # hedged, so nothing moves along; 0.45 of 0.5 is taken: 0.05 of a cap of 0.15
    risk = assessed(case(portfolio(ETH=0.45), eth=0.8), -0.2)
    check = next(c for c in risk.checks if c.name == "all positions held")
    assert check.factor == pytest.approx(0.05 / 0.15)


@pytest.mark.parametrize(
    ("equity", "slippage", "factor"),
    [
        # largest position: 0.15 of the equity
        (60_000.0, 0.0002, 1.0),  # 9,000 USD: the 10k order
        (100_000.0, 0.0009, 1.0),  # 15,000 USD: the 50k order
        (600_000.0, 0.003, 0.002 / 0.003),  # 90,000 USD: the 100k order, limit 0.002
        (1_000_000.0, None, 0.1),  # 150,000 USD: no order of that size was looked at
    ],
)
def test_slippage_at_the_proposed_size(
    equity: float, slippage: float | None, factor: float
) -> None:
    risk = assessed(case(portfolio(equity)))
    assert risk.expected_slippage_fraction == slippage
    check = next(c for c in risk.checks if c.name == "slippage")
    assert check.factor == pytest.approx(factor)


def test_without_a_portfolio_nothing_is_checked_and_the_hash_stands_still() -> None:
    plain = run_chain(case(None), profile(), shipped_policy())
    empty = run_chain(case(portfolio()), profile(), shipped_policy())
    assert plain.decision_hash == empty.decision_hash
    assert not any("held" in check.name for check in plain.risk.checks)


@pytest.mark.parametrize("gone", ["correlation_eth_90d", "correlation_btc_90d"])
@pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.9])
@pytest.mark.parametrize("held", [-0.2, 0.2])
def test_an_unknown_correlation_never_leaves_more_room(
    gone: str, correlation: float, held: float
) -> None:
    known = case(portfolio(ETH=held, BTC=0.05), eth=correlation, btc=correlation)
    found = known.finding("correlation")
    assert found is not None
    metrics = tuple(m for m in found.metrics if m.name != gone)
    less = known.model_copy(
        update={
            "outcomes": tuple(
                o.model_copy(update={"finding": found.model_copy(update={"metrics": metrics})})
                if o.task_id == "correlation"
                else o
                for o in known.outcomes
            )
        }
    )
    for score in (0.2, -0.2):
        assert assessed(less, score).size_cap_fraction <= assessed(known, score).size_cap_fraction


@pytest.mark.parametrize("bad", [1.5, -1.2, float("nan"), "0.1", True])
def test_a_share_is_a_number_within_the_equity(bad: Any) -> None:
    with pytest.raises(ValueError, match="fraction"):
        Holding(symbol="ETH/USDT", fraction=bad)
