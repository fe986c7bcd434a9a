"""Observations and inputs for the tests of the price-based research families."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sigmax_planner.models import DataMode
from sigmax_tasks.candles import CandleRow, timeframe_seconds
from sigmax_tasks.models.observations import (
    Candles,
    FundingRates,
    Lineage,
    Observation,
    OrderBook,
    Payload,
    Trades,
)
from sigmax_tasks.models.research import Finding, ResearchInputs

AS_OF = datetime(2024, 11, 15, tzinfo=UTC)
BTC = "BTC/USDT"


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def observe(source: str, data: Payload, observed_at: datetime = AS_OF) -> Observation:
    symbol = getattr(data, "symbol", None)
    name = getattr(data, "timeframe", "")
    body = data.model_dump_json().encode()
    return Observation(
        lineage=Lineage(
            observation_id=f"{source}.{data.kind}.{name}.{symbol}",
            source=source,
            kind=data.kind,
            provider="binance",
            endpoint="/test",
            symbol=symbol,
            observed_at=observed_at,
            fetched_at=observed_at,
            payload_sha256=hashlib.sha256(body).hexdigest(),
            payload_bytes=len(body),
            data_mode=DataMode.REPLAY,
            simulated=False,
        ),
        data=data,
    )


def candles(
    rows: Iterable[CandleRow],
    timeframe: str = "1d",
    *,
    source: str = "price_data",
    symbol: str = BTC,
) -> Observation:
    kept = tuple(rows)
    closed = datetime.fromtimestamp(kept[-1][0] / 1000, UTC)
    closed += timedelta(seconds=timeframe_seconds(timeframe))
    return observe(source, Candles(symbol=symbol, timeframe=timeframe, rows=kept), closed)


def rows_of(
    closes: Sequence[float],
    timeframe: str = "1d",
    *,
    wick: float = 0.002,
    volumes: Sequence[float] | None = None,
    end: datetime = AS_OF,
) -> list[CandleRow]:
    """Candles that end at ``end``; each opens at the close before, wicks a factor 1 +- wick."""
    step = timeframe_seconds(timeframe) * 1000
    first = ms(end) - step * len(closes)
    rows: list[CandleRow] = []
    before = closes[0]
    for index, close in enumerate(closes):
        high, low = max(before, close) * (1 + wick), min(before, close) / (1 + wick)
        volume = 1000.0 if volumes is None else volumes[index]
        rows.append((first + index * step, before, high, low, close, volume))
        before = close
    return rows


def path_of(returns: Iterable[float], start: float = 100.0) -> list[float]:
    """Prices of these log returns."""
    prices = [start]
    for step in returns:
        prices.append(prices[-1] * math.exp(step))
    return prices


def wavy_returns(count: int, size: float = 0.01, drift: float = 0.0) -> list[float]:
    """Uneven, repeatable log returns."""
    return [
        drift + size * (math.sin(1.7 * i) + 0.6 * math.cos(0.37 * i + 1) + 0.4 * math.sin(i * i))
        for i in range(count)
    ]


def inputs_of(
    task_id: str,
    *observations: Observation,
    symbol: str = BTC,
    as_of: datetime = AS_OF,
    watchlist: tuple[str, ...] = (),
    upstream: dict[str, Finding] | None = None,
) -> ResearchInputs:
    return ResearchInputs(
        task_id=task_id,
        symbol=symbol,
        as_of=as_of,
        watchlist=watchlist,
        observations=observations,
        upstream=upstream or {},
    )


def change_candles(
    observation: Observation, change: Callable[[CandleRow], CandleRow]
) -> Observation:
    data = observation.data
    assert isinstance(data, Candles)
    return candles(
        [change(row) for row in data.rows],
        data.timeframe,
        source=observation.lineage.source,
        symbol=data.symbol,
    )


def scaled_by(factor: float) -> Callable[[CandleRow], CandleRow]:
    return lambda r: (r[0], r[1] * factor, r[2] * factor, r[3] * factor, r[4] * factor, r[5])


def upside_down(row: CandleRow) -> CandleRow:
    """Every price p becomes 1e4 / p: log returns change sign, highs and lows change places."""
    return (row[0], 1e4 / row[1], 1e4 / row[3], 1e4 / row[2], 1e4 / row[4], row[5])


def book(
    bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]], symbol: str = BTC
) -> Observation:
    return observe("orderbook", OrderBook(symbol=symbol, bids=tuple(bids), asks=tuple(asks)))


def trades(*rows: tuple[int, float, float, str]) -> Observation:
    return observe("volume_data", Trades.model_validate({"symbol": BTC, "rows": rows}))


def funding(*rates: float, interval_hours: float = 8.0) -> Observation:
    step = round(interval_hours * 3_600_000)
    first = ms(AS_OF) - step * len(rates)
    rows = tuple((first + i * step, rate) for i, rate in enumerate(rates))
    return observe(
        "derivatives", FundingRates(symbol=BTC, interval_hours=interval_hours, rows=rows)
    )


def recorded(
    folder: Path, relative: str, *, until: datetime = AS_OF, limit: int, timeframe: str
) -> list[CandleRow]:
    """The last ``limit`` candles of a recording that are closed at ``until``."""
    step = timeframe_seconds(timeframe) * 1000
    with (folder / "ohlcv" / relative).open(newline="") as stream:
        rows: list[CandleRow] = [
            (int(r[0]), float(r[1]), float(r[2]), float(r[3]), float(r[4]), float(r[5]))
            for r in list(csv.reader(stream))[1:]
            if int(r[0]) + step <= ms(until)
        ]
    return rows[-limit:]
