"""What the indicators argue, each reading weighed by the regime it is made in.

The rule of the regime: an oscillator at its extreme speaks for a turn in a range and says next to
nothing in a strong trend, where it may stay extreme for weeks; a trend reading is the reverse. ADX
from 25 on is a trend, under 20 a range (Wilder).
"""

from __future__ import annotations

import math

from sigmax_tasks.research.candlesticks import CandlePattern
from sigmax_tasks.research.indicators import Indicators, trend_score, trend_word
from sigmax_tasks.research.levels import Level
from sigmax_tasks.research.scoring import Notebook, clip, squash
from sigmax_tasks.research.series import CandleSeries

OVERBOUGHT = 70.0
OVERSOLD = 30.0
TRENDING_ADX = 25.0
FULL_HISTORY = 200


def history_factor(rows: int) -> float:
    """Trust in indicators of a series of that length: full from 200 candles on."""
    return clip(math.sqrt(rows / FULL_HISTORY), 0.0, 1.0)


def price_text(price: float) -> str:
    """A price for a person, with six significant digits."""
    return f"{price:,.2f}" if price >= 1000 else f"{price:.6g}"


def read_trend(notes: Notebook, series: CandleSeries, found: Indicators) -> None:
    """The order of the averages, trusted as far as ADX shows a trend."""
    score = trend_score(found)
    if score is None:
        return
    adx = found.adx if found.adx is not None else 15.0
    strength = "without ADX" if found.adx is None else f"ADX(14) {found.adx:.1f}"
    notes.argue(
        "trend",
        f"{series.timeframe} trend {trend_word(found)}: EMA score {score:+.2f}, {strength}",
        series.observation,
        polarity=score,
        reliability=(0.2 + 0.4 * clip(adx / 40.0, 0.0, 1.0)) * history_factor(found.rows),
        metric_names=("trend_score", "adx_14", "ema_20", "ema_50", "ema_200"),
    )


def read_direction(notes: Notebook, series: CandleSeries, found: Indicators) -> None:
    """Wilder's directional movement: +DI against -DI."""
    if found.plus_di is None or found.minus_di is None or found.adx is None:
        return
    total = found.plus_di + found.minus_di
    balance = (found.plus_di - found.minus_di) / total if total > 0 else 0.0
    notes.argue(
        "directional_movement",
        f"+DI {found.plus_di:.1f} against -DI {found.minus_di:.1f} on {series.timeframe}",
        series.observation,
        polarity=squash(balance, 0.4),
        reliability=0.35 * clip(found.adx / 40.0, 0.1, 1.0) * history_factor(found.rows),
        metric_names=("plus_di_14", "minus_di_14", "adx_14"),
    )


def read_rsi(notes: Notebook, series: CandleSeries, found: Indicators) -> None:
    """RSI: a turn at the extremes, unless the trend carries it; a lean in between."""
    rsi = found.rsi
    if rsi is None:
        return
    claim = f"RSI(14) {series.timeframe} at {rsi:.1f}"
    trending = found.adx is not None and found.adx >= TRENDING_ADX
    with_trend = trend_word(found) == ("up" if rsi > 50 else "down")
    if OVERSOLD < rsi < OVERBOUGHT:
        polarity, reliability = 0.6 * squash(rsi - 50.0, 20.0), 0.2
        claim += ", neutral"
    else:
        beyond = rsi - OVERBOUGHT if rsi >= OVERBOUGHT else rsi - OVERSOLD
        polarity, reliability = -squash(beyond, 10.0), 0.45
        claim += ", overbought" if rsi >= OVERBOUGHT else ", oversold"
        if trending and with_trend:
            reliability = 0.1
            claim += ", of little meaning in a strong trend"
    notes.argue(
        "rsi",
        claim,
        series.observation,
        polarity=polarity,
        reliability=reliability * history_factor(found.rows),
        metric_names=("rsi_14", "adx_14"),
    )


def read_macd(notes: Notebook, series: CandleSeries, found: Indicators) -> None:
    """MACD histogram in ATR; a range makes its crossings unreliable."""
    if found.macd_hist is None or found.atr is None:
        return
    ratio = found.macd_hist / found.atr if found.moves else 0.0
    claim = f"MACD histogram {series.timeframe} at {ratio:+.2f} ATR"
    crossed = found.macd_bars_since_cross
    if found.moves and crossed is not None and crossed <= 3:
        side = "above" if ratio > 0 else "below"
        when = "on the last candle" if crossed == 0 else f"within {crossed + 1} candles"
        claim += f", crossed {side} its signal {when}"
    ranging = found.adx is not None and found.adx < 20
    notes.argue(
        "macd",
        claim,
        series.observation,
        polarity=squash(ratio, 0.4),
        reliability=(0.2 if ranging else 0.35) * history_factor(found.rows),
        metric_names=("macd", "macd_signal", "macd_hist", "atr_14"),
    )


def read_bollinger(notes: Notebook, series: CandleSeries, found: Indicators) -> None:
    """Place within the bands: back to the middle in a range, along the band in a trend."""
    if found.percent_b is None:
        return
    extreme = 2.0 * found.percent_b - 1.0
    trending = found.adx is not None and found.adx >= TRENDING_ADX
    claim = f"Bollinger %b {series.timeframe} at {found.percent_b:.2f}"
    if trending:
        polarity, reliability = 0.4 * squash(extreme, 1.0), 0.15
        claim += ", read along the trend"
    else:
        polarity, reliability = -squash(extreme, 1.0), 0.3 if abs(extreme) > 0.8 else 0.1
        claim += ", read as a range"
    if found.bandwidth_percentile is not None and found.bandwidth_percentile < 0.1:
        reliability *= 0.5
        claim += "; bands squeezed, a break either way is near"
    notes.argue(
        "bollinger",
        claim,
        series.observation,
        polarity=polarity,
        reliability=reliability * history_factor(found.rows),
        metric_names=("bollinger_percent_b", "bollinger_bandwidth", "adx_14"),
    )


def read_obv(notes: Notebook, series: CandleSeries, found: Indicators) -> None:
    """Volume behind the moves of the last 30 candles."""
    if found.obv_slope is None:
        return
    notes.argue(
        "obv",
        f"OBV {series.timeframe} slope {found.obv_slope:+.2f} mean volumes a candle "
        "over 30 candles",
        series.observation,
        polarity=squash(found.obv_slope, 0.3),
        reliability=0.25 * history_factor(found.rows),
        metric_names=("obv_slope",),
    )


def read_patterns(
    notes: Notebook, series: CandleSeries, patterns: tuple[CandlePattern, ...]
) -> None:
    """Candle patterns: one weak argument of all of them, older ones counting less."""
    leaning = [p for p in patterns if p.direction]
    if not leaning:
        return
    total = math.fsum(p.direction * p.weight / (1 + p.candles_ago) for p in leaning)
    notes.argue(
        "candle_patterns",
        f"{series.timeframe}: " + "; ".join(p.text for p in leaning[:4]),
        series.observation,
        polarity=squash(total, 1.5),
        reliability=0.15,
    )


def read_levels(
    notes: Notebook,
    series: CandleSeries,
    found: Indicators,
    supports: tuple[Level, ...],
    resistances: tuple[Level, ...],
) -> None:
    """Nearness of support and resistance, in ATR, weighed by how often price turned there."""
    if not found.moves or found.atr is None:
        return
    pull = 0.0
    touches = 0
    parts = []
    for sign, word, levels in ((1, "support", supports), (-1, "resistance", resistances)):
        if not levels:
            continue
        level = levels[0]
        distance = abs(found.close - level.price) / found.atr
        near = math.exp(-distance)
        pull += sign * near * level.touches / (level.touches + 1)
        touches = max(touches, level.touches)
        parts.append(
            f"{word} {price_text(level.price)} ({level.touches} touches) {distance:.1f} ATR away"
        )
    if not parts:
        return
    trending = found.adx is not None and found.adx >= TRENDING_ADX
    notes.argue(
        "levels",
        "; ".join(parts).replace("(1 touches)", "(1 touch)"),
        series.observation,
        polarity=squash(pull, 0.7),
        reliability=(0.1 if trending else 0.2) * touches / (touches + 1),
        metric_names=("support_1", "resistance_1", "atr_14"),
    )
