"""Candles as numpy arrays, and the price statistics that several families share.

Formulas: log return ln(p_t / p_(t-1)); realised volatility is their sample standard deviation,
annualised with 365 days (crypto trades every day); value at risk and expected shortfall by
historical simulation (Jorion, Value at Risk, ch. 10; Acerbi and Tasche 2002), as positive losses.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sigmax_tasks.candles import aggregate_candles, timeframe_seconds
from sigmax_tasks.models.observations import CandleRow, Candles, Observation
from sigmax_tasks.models.research import ResearchInputs

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAY_MS: Final = 86_400_000
DAYS_A_YEAR: Final = 365
FLAT: Final = 1e-9
"""Relative movements below this are rounding noise, not a market."""

LIMIT_1H: Final = 300
LIMIT_4H: Final = 400
LIMIT_1D: Final = 400
"""Rows asked for by every family alike, so that one fetch serves them all."""


@dataclass(frozen=True)
class CandleSeries:
    """Closed candles, oldest first, as arrays of one length (at least 1), and where they are from.

    ``times`` are open times in unix ms; prices are in the quote, volumes in the base currency.
    """

    symbol: str
    timeframe: str
    observation: Observation
    times: IntArray
    opens: FloatArray
    highs: FloatArray
    lows: FloatArray
    closes: FloatArray
    volumes: FloatArray

    def __len__(self) -> int:
        return int(self.closes.size)

    @property
    def seconds(self) -> int:
        return timeframe_seconds(self.timeframe)

    @property
    def bars_a_day(self) -> float:
        return 86_400 / self.seconds

    @property
    def last_close(self) -> float:
        return float(self.closes[-1])

    @property
    def closed_at_ms(self) -> int:
        """Close time of the last candle, unix ms."""
        return int(self.times[-1]) + self.seconds * 1000

    @property
    def rows(self) -> list[CandleRow]:
        columns = (self.opens, self.highs, self.lows, self.closes, self.volumes)
        return list(zip(self.times.tolist(), *(c.tolist() for c in columns), strict=True))

    def close_days_ago(self, days: float) -> float | None:
        """The last close known ``days`` before the last candle's close; None before the first.

        Found by time, so a gap in the candles does not shift the window. None as well where the
        gap is so wide that the candle found is over a tenth of the window (or one bar) older.
        """
        wanted = self.closed_at_ms - round(days * DAY_MS) - self.seconds * 1000
        index = int(np.searchsorted(self.times, wanted, side="right")) - 1
        if index < 0:
            return None
        slack = max(self.seconds * 1000, 0.1 * days * DAY_MS)
        return float(self.closes[index]) if wanted - int(self.times[index]) <= slack else None


def series_of(observation: Observation, as_of: datetime | None = None) -> CandleSeries | None:
    """Arrays of a candle observation; candles that close after ``as_of`` are left out.

    None for another kind of observation, or where nothing is left.
    """
    if not isinstance(observation.data, Candles):
        return None
    candles = observation.data
    length_ms = timeframe_seconds(candles.timeframe) * 1000
    limit_ms = math.inf if as_of is None else as_of.timestamp() * 1000
    return _series(
        candles.symbol,
        candles.timeframe,
        observation,
        [row for row in candles.rows if row[0] + length_ms <= limit_ms],
    )


def find_candles(
    inputs: ResearchInputs, source: str, timeframe: str, symbol: str | None = None
) -> CandleSeries | None:
    """The candles of that source, time frame and symbol (the asked one unless given), or None.

    Of several, the one that reaches furthest; among equals the longest, then the first.
    """
    wanted = symbol or inputs.symbol
    best: CandleSeries | None = None
    for observation in inputs.observations:
        data = observation.data
        if (
            observation.lineage.source != source
            or not isinstance(data, Candles)
            or data.symbol != wanted
            or data.timeframe != timeframe
        ):
            continue
        series = series_of(observation, inputs.as_of)
        if series is None:
            continue
        if best is None or (series.times[-1], len(series)) > (best.times[-1], len(best)):
            best = series
    return best


def find_observation(inputs: ResearchInputs, source: str, kind: str) -> Observation | None:
    """The first observation of that source and kind about the asked symbol, or None."""
    for observation in inputs.observations:
        if observation.lineage.source != source or observation.data.kind != kind:
            continue
        symbol = getattr(observation.data, "symbol", None)
        if symbol is None or symbol == inputs.symbol:
            return observation
    return None


def daily_series(series: CandleSeries) -> CandleSeries | None:
    """Full UTC days made of finer candles; daily candles as they are; None where no day is full."""
    if series.timeframe == "1d":
        return series
    rows = aggregate_candles(series.rows, series.seconds, 86_400)
    return _series(series.symbol, "1d", series.observation, rows)


def log_returns(prices: FloatArray) -> FloatArray:
    """ln(p_t / p_(t-1)), one shorter than ``prices``."""
    return np.diff(np.log(prices))


def realised_volatility(series: CandleSeries, days: int = 30) -> float | None:
    """Annualised volatility (fraction a year) of the last ``days``; None under 10 returns."""
    returns = log_returns(series.closes)[-max(1, round(days * series.bars_a_day)) :]
    if returns.size < 10:
        return None
    return float(np.std(returns, ddof=1)) * math.sqrt(DAYS_A_YEAR * series.bars_a_day)


def tail_losses(
    closes: FloatArray, share: float = 0.05, lookback: int = 365
) -> tuple[float, float] | None:
    """(value at risk, expected shortfall) of one bar at 1 - ``share``, fractions of price.

    From the simple returns of the last ``lookback`` bars; a loss is positive, and never below 0.
    The shortfall is the mean of the returns at or below the quantile. None under 30 returns.
    """
    returns = (closes[1:] / closes[:-1] - 1.0)[-lookback:]
    if returns.size < 30:
        return None
    quantile = float(np.quantile(returns, share))
    shortfall = float(np.mean(returns[returns <= quantile]))
    return max(0.0, -quantile), max(0.0, -shortfall)


def volume_ratio(volumes: FloatArray, days: int = 30) -> tuple[float, float] | None:
    """(last volume / median, median) over up to ``days`` bars before the last.

    None under 5 earlier bars or where their median is 0.
    """
    earlier = volumes[:-1][-days:]
    if earlier.size < 5:
        return None
    median = float(np.median(earlier))
    return (float(volumes[-1]) / median, median) if median > 0 else None


def percentile_of_last(values: FloatArray) -> float | None:
    """Share of the earlier finite values below the last, ties counted half; None under 20."""
    finite = values[np.isfinite(values)]
    if finite.size < 21 or not math.isfinite(float(values[-1])):
        return None
    earlier, last = finite[:-1], finite[-1]
    slack = FLAT * max(abs(float(last)), float(np.max(np.abs(earlier))))
    below = np.count_nonzero(earlier < last - slack)
    equal = np.count_nonzero(np.abs(earlier - last) <= slack)
    return float(below + 0.5 * equal) / float(earlier.size)


def day_text(time_ms: int) -> str:
    """``2024-11-15`` of a unix time in ms, UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")


def _series(
    symbol: str, timeframe: str, observation: Observation, rows: Iterable[CandleRow]
) -> CandleSeries | None:
    kept = list(rows)
    if not kept:
        return None
    table = np.array([row[1:] for row in kept], dtype=np.float64)
    return CandleSeries(
        symbol,
        timeframe,
        observation,
        np.array([row[0] for row in kept], dtype=np.int64),
        *(np.ascontiguousarray(table[:, column]) for column in range(5)),
    )
