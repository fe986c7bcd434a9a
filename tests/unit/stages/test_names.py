"""The metrics and labels that decision.yaml names are those that research writes."""

from __future__ import annotations

import math
from datetime import timedelta
from fnmatch import fnmatchcase

import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks.models.observations import (
    CandleRow,
    Candles,
    Lineage,
    Observation,
    OrderBook,
    Payload,
    Ticker,
)
from sigmax_tasks.models.research import Finding, ResearchInputs
from sigmax_tasks.research import correlation, liquidity, technical
from tests.unit.stages.builders import AS_OF, shipped_policy

HOURS = {"4h": 4, "1d": 24}


def observed(source: str, symbol: str, data: Payload, name: str = "") -> Observation:
    return Observation(
        lineage=Lineage(
            observation_id=f"{source}:{symbol}:{data.kind}:{name}",
            source=source,
            kind=data.kind,
            name=name,
            provider="test",
            endpoint="https://example.org",
            observed_at=AS_OF,
            fetched_at=AS_OF,
            payload_sha256="0" * 64,
            payload_bytes=1,
            data_mode=DataMode.REPLAY,
            simulated=False,
        ),
        data=data,
    )


def candles(source: str, symbol: str, timeframe: str, phase: float = 0.0) -> Observation:
    """200 closed candles of a wave on a slope; the last closes at AS_OF."""
    rows: list[CandleRow] = []
    for number in range(200):
        opened = AS_OF - timedelta(hours=HOURS[timeframe] * (200 - number))
        close = 100.0 + 0.1 * number + 5.0 * math.sin(number / 7.0 + phase)
        row = (int(opened.timestamp() * 1000), close - 0.3, close + 1.0, close - 1.0, close, 10.0)
        rows.append(row)
    return observed(
        source, symbol, Candles(symbol=symbol, timeframe=timeframe, rows=tuple(rows)), timeframe
    )


def venue_price(symbol: str, provider: str, last: float) -> Observation:
    made = observed("price_data", symbol, Ticker(symbol=symbol, last=last))
    changes = {
        "provider": provider,
        "observation_id": f"ticker:{provider}:{symbol}:",
        "cross_check": True,
    }
    return made.model_copy(update={"lineage": made.lineage.model_copy(update=changes)})


@pytest.fixture(scope="module")
def written() -> dict[str, Finding]:
    symbol = "ETH/USDT"
    book = OrderBook(
        symbol=symbol,
        bids=tuple((100.0 - 0.01 * n, 100.0) for n in range(1, 50)),
        asks=tuple((100.0 + 0.01 * n, 100.0) for n in range(1, 50)),
    )
    seen = (
        candles("price_data", symbol, "4h"),
        candles("price_data", symbol, "1d"),
        candles("price_data", "BTC/USDT", "1d", phase=0.4),
        candles("volume_data", symbol, "1d"),
        observed("orderbook", symbol, book),
        venue_price(symbol, "kraken", 100.0),
        venue_price(symbol, "coinbase", 100.1),
    )
    return {
        name: module.research(
            ResearchInputs(task_id=name, symbol=symbol, as_of=AS_OF, observations=seen)
        )
        for name, module in (
            ("technical", technical),
            ("liquidity", liquidity),
            ("correlation", correlation),
        )
    }


def test_every_metric_that_the_policy_names_is_written(written: dict[str, Finding]) -> None:
    rules = shipped_policy()
    inputs = rules.risk.inputs
    named = {
        inputs.price,
        inputs.atr,
        inputs.volatility_annual,
        inputs.value_at_risk,
        inputs.expected_shortfall,
        inputs.correlation_to_btc,
        *inputs.slippage,
        *rules.validation.venues.prices,
    }
    for reference in named:
        task_id, _, metric = reference.partition(".")
        names = [m.name for m in written[task_id].metrics]
        assert any(fnmatchcase(name, metric) for name in names), reference


def test_every_label_that_the_policy_names_is_written(written: dict[str, Finding]) -> None:
    rules = shipped_policy()
    for reference in (rules.debate.trend_label, rules.analysis.regime_label):
        task_id, _, label = reference.partition(".")
        assert label in written[task_id].labels, reference


def test_slippage_and_losses_are_fractions_as_the_limits_expect(
    written: dict[str, Finding],
) -> None:
    assert 0 < (written["liquidity"].metric("slippage_buy_50k") or 0) < 0.05
    assert 0 < (written["technical"].metric("value_at_risk_95_1d") or 0) < 0.5
