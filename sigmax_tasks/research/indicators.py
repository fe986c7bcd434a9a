"""The indicators of one candle series, computed by TA-Lib, as last values and short histories.

RSI, ATR, ADX and DI with Wilder smoothing (J. Welles Wilder, New Concepts in Technical Trading
Systems, 1978); MACD after Gerald Appel (EMA 12 - EMA 26, signal EMA 9); Bollinger bands after John
Bollinger (SMA 20 +- 2 population standard deviations, %b = (close - lower) / (upper - lower),
bandwidth = (upper - lower) / middle); OBV after Joseph Granville.

Prices go into TA-Lib multiplied by a power of two that brings the last close near 65536, and come
out divided by it. That changes no digit, and keeps coins priced far below a cent clear of the
absolute 1e-14 below which TA-Lib takes a number for zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import talib

from sigmax_tasks.research.series import FLAT, CandleSeries, FloatArray, percentile_of_last

RSI_PERIOD = 14
ATR_PERIOD = 14
ADX_PERIOD = 14
OBV_WINDOW = 30


@dataclass(frozen=True)
class Indicators:
    """Last values; None where the series is too short or does not move.

    Prices (averages, bands, MACD, ATR) in the quote currency; RSI, ADX and DI from 0 to 100.
    ``macd_bars_since_cross`` counts the candles since the histogram changed sign (0: on the last).
    ``obv_slope`` is the least-squares slope of OBV over the last 30 candles in mean candle volumes
    a candle, in [-1, 1]. Percentiles are the last value's place in its own history, 0 to 1.
    """

    rows: int
    close: float
    rsi: float | None
    macd: float | None
    macd_signal: float | None
    macd_hist: float | None
    macd_bars_since_cross: int | None
    bollinger_upper: float | None
    bollinger_middle: float | None
    bollinger_lower: float | None
    percent_b: float | None
    bandwidth: float | None
    bandwidth_percentile: float | None
    ema_20: float | None
    ema_50: float | None
    ema_200: float | None
    sma_50: float | None
    sma_200: float | None
    atr: float | None
    atr_percentile: float | None
    adx: float | None
    plus_di: float | None
    minus_di: float | None
    obv_slope: float | None

    @property
    def atr_fraction(self) -> float | None:
        """ATR as a fraction of the last close."""
        return None if self.atr is None else self.atr / self.close

    @property
    def moves(self) -> bool:
        """Whether there is an average range to measure anything by."""
        return self.atr is not None and self.atr > FLAT * self.close


def indicators_of(series: CandleSeries) -> Indicators:
    """All indicators of a series of any length; what cannot be computed is None."""
    scale = power_of_two_scale(series.last_close)
    high, low, close = series.highs * scale, series.lows * scale, series.closes * scale
    macd, signal, histogram = talib.MACD(close, fastperiod=12, slowperiod=26, signalperiod=9)
    upper, middle, lower = talib.BBANDS(close, timeperiod=20, nbdevup=2, nbdevdn=2)
    atr = talib.ATR(high, low, close, timeperiod=ATR_PERIOD)
    bandwidth = (upper - lower) / middle
    width = _last(bandwidth)
    spread = width is not None and width > FLAT * 1e2
    return Indicators(
        rows=len(series),
        close=series.last_close,
        rsi=relative_strength_index(close),
        macd=_last(macd, scale),
        macd_signal=_last(signal, scale),
        macd_hist=_last(histogram, scale),
        macd_bars_since_cross=_bars_since_sign_change(histogram),
        bollinger_upper=_last(upper, scale),
        bollinger_middle=_last(middle, scale),
        bollinger_lower=_last(lower, scale),
        percent_b=_last((close[-1:] - lower[-1:]) / (upper[-1:] - lower[-1:])) if spread else None,
        bandwidth=width,
        bandwidth_percentile=percentile_of_last(bandwidth) if spread else None,
        ema_20=_last(talib.EMA(close, timeperiod=20), scale),
        ema_50=_last(talib.EMA(close, timeperiod=50), scale),
        ema_200=_last(talib.EMA(close, timeperiod=200), scale),
        sma_50=_last(talib.SMA(close, timeperiod=50), scale),
        sma_200=_last(talib.SMA(close, timeperiod=200), scale),
        atr=_last(atr, scale),
        atr_percentile=percentile_of_last(atr / close),
        adx=_last(talib.ADX(high, low, close, timeperiod=ADX_PERIOD)),
        plus_di=_last(talib.PLUS_DI(high, low, close, timeperiod=ADX_PERIOD)),
        minus_di=_last(talib.MINUS_DI(high, low, close, timeperiod=ADX_PERIOD)),
        obv_slope=obv_slope(series.closes, series.volumes),
    )


def power_of_two_scale(price: float) -> float:
    """The power of two that brings ``price`` into [32768, 65536)."""
    return math.ldexp(1.0, 16 - math.frexp(price)[1])


def relative_strength_index(closes: FloatArray, period: int = RSI_PERIOD) -> float | None:
    """Wilder's RSI of the last close; 50 where the last 5 periods did not move at all.

    TA-Lib gives 0 there, which would read as a crash.
    """
    if closes.size <= period:
        return None
    recent = closes[-5 * period - 1 :]
    if float(np.max(recent) - np.min(recent)) <= FLAT * float(recent[-1]):
        return 50.0
    return _last(talib.RSI(closes, timeperiod=period))


def obv_slope(closes: FloatArray, volumes: FloatArray, window: int = OBV_WINDOW) -> float | None:
    """Slope of OBV over the last ``window`` candles, in mean candle volumes a candle."""
    if closes.size < window:
        return None
    flow = talib.OBV(closes, volumes)[-window:]
    mean_volume = float(np.mean(volumes[-window:]))
    if mean_volume <= 0:
        return None
    steps = np.arange(window) - (window - 1) / 2
    slope = float(np.dot(steps, flow - flow.mean()) / np.dot(steps, steps))
    return slope / mean_volume


def trend_score(found: Indicators) -> float | None:
    """Where price and averages stand to each other, in ATR: -1 all falling to 1 all rising.

    Mean of tanh((EMA20 - EMA50) / ATR), tanh((EMA50 - EMA200) / 3 ATR) and
    tanh((close - EMA50) / 2 ATR), of those there are; 0 where the market does not move.
    """
    if found.atr is None or found.ema_20 is None:
        return None
    if not found.moves:
        return 0.0
    parts = [math.tanh((found.close - found.ema_20) / (1.5 * found.atr))]
    if found.ema_50 is not None:
        parts = [
            math.tanh((found.ema_20 - found.ema_50) / found.atr),
            math.tanh((found.close - found.ema_50) / (2.0 * found.atr)),
        ]
        if found.ema_200 is not None:
            parts.append(math.tanh((found.ema_50 - found.ema_200) / (3.0 * found.atr)))
    return math.fsum(parts) / len(parts)


def trend_word(found: Indicators) -> str:
    """``up``, ``down`` or ``sideways``: a score of 0.25 with ADX from 20 on, or of 0.6 without."""
    score = trend_score(found)
    if score is None:
        return "sideways"
    needed = 0.25 if found.adx is not None and found.adx >= 20 else 0.6
    if abs(score) < needed:
        return "sideways"
    return "up" if score > 0 else "down"


def _last(values: FloatArray, scale: float = 1.0) -> float | None:
    value = float(values[-1]) / scale
    return value if math.isfinite(value) else None


def _bars_since_sign_change(histogram: FloatArray) -> int | None:
    finite = histogram[np.isfinite(histogram)]
    if finite.size < 2 or finite[-1] == 0:
        return None
    others = np.flatnonzero(np.sign(finite) != np.sign(finite[-1]))
    return int(finite.size - 2 - others[-1]) if others.size else None
