"""Momentum: returns over windows, rate of change, breakouts, acceleration and crowding.

Time-series momentum, each return measured in its own volatility, after Moskowitz, Ooi and Pedersen
(Time series momentum, 2012): r_w / (s x sqrt(w)), s the root mean square of daily log returns.
Breakouts are closes beyond the Donchian channel of the N days before (N = 20 and 55, the two of
the Turtle rules). All on log prices, so that a mirrored market gives the mirrored score.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from sigmax_tasks.models.observations import DataNeed, FundingRates, Observation
from sigmax_tasks.models.research import Finding, ResearchInputs
from sigmax_tasks.research.scoring import (
    InsufficientDataError,
    Notebook,
    clip,
    sample_reliability,
    squash,
)
from sigmax_tasks.research.series import (
    FLAT,
    LIMIT_1D,
    LIMIT_4H,
    CandleSeries,
    FloatArray,
    daily_series,
    find_candles,
    find_observation,
    log_returns,
)

WINDOWS_DAYS: Final = (1, 3, 7, 14, 30)
CHANNELS_DAYS: Final = (20, 55)
ROC_DAYS: Final = 10
MIN_DAYS: Final = 10
CROWDED_8H_RATE: Final = 0.0003
"""A funding rate of 0.03 % per 8 h is three times the 0.01 % at which perpetuals rest."""


def needs(symbol: str, watchlist: tuple[str, ...]) -> tuple[DataNeed, ...]:  # noqa: ARG001 (common signature)
    """Daily candles above all; 4h ones for the present, daily volumes, funding if at hand."""
    return (
        DataNeed(
            source="price_data",
            kind="candles",
            name="1d",
            symbol=symbol,
            limit=LIMIT_1D,
            required=True,
        ),
        DataNeed(source="price_data", kind="candles", name="4h", symbol=symbol, limit=LIMIT_4H),
        DataNeed(source="volume_data", kind="candles", name="1d", symbol=symbol, limit=LIMIT_1D),
        DataNeed(source="derivatives", kind="funding", symbol=symbol, limit=90),
    )


def research(inputs: ResearchInputs) -> Finding:
    """The momentum finding; InsufficientDataError under 11 daily candles (given or made of 4h)."""
    present = find_candles(inputs, "price_data", "4h")
    days = find_candles(inputs, "price_data", "1d")
    if days is None and present is not None:
        days = daily_series(present)
    if days is None or len(days) <= MIN_DAYS:
        count = 0 if days is None else len(days)
        raise InsufficientDataError(
            f"momentum of {inputs.symbol} needs {MIN_DAYS + 1} daily candles, there are {count}"
        )
    if present is None or present.closed_at_ms < days.closed_at_ms:
        present = days
    notes = Notebook(inputs)
    daily_move = float(np.sqrt(np.mean(log_returns(days.closes)[-90:] ** 2)))
    moves = daily_move > FLAT
    notes.measure("daily_move_rms", daily_move, "log return a day", days.observation)
    _read_windows(notes, present, days, daily_move)
    _read_rate_of_change(notes, days)
    volumes = find_candles(inputs, "volume_data", "1d") or days
    for channel in CHANNELS_DAYS:
        _read_channel(notes, days, volumes, channel, daily_move)
    _read_acceleration(notes, days, daily_move)
    funding = find_observation(inputs, "derivatives", "funding")
    if funding is not None:
        _read_funding(notes, funding)
    _label(notes)
    against_trend = notes.labels.get("with_trend") == "no"
    factor = 0.3 if not moves else 0.85 if against_trend else 1.0
    return notes.finding(_summary(inputs, notes), strength_factor=factor)


def _read_windows(
    notes: Notebook, present: CandleSeries, days: CandleSeries, daily_move: float
) -> None:
    """Returns over 1 to 30 days up to the last closed candle, the finest that reaches back."""
    for window in WINDOWS_DAYS:
        for series in (present, days):
            start = series.close_days_ago(window)
            if start is not None:
                break
        else:
            continue
        change = math.log(series.last_close / start)
        notes.measure(
            f"return_{window}d", math.expm1(change), "fraction of price", series.observation
        )
        scaled = change / (daily_move * math.sqrt(window)) if daily_move > FLAT else 0.0
        notes.measure(f"scaled_return_{window}d", scaled, "volatilities", series.observation)
        notes.argue(
            f"return_{window}d",
            f"{math.expm1(change):+.1%} over {window} d, {scaled:+.2f} of its usual move",
            series.observation,
            days.observation,
            polarity=squash(scaled, 1.5),
            reliability=0.35 * sample_reliability(len(days), 60) * (1.0 if window >= 7 else 0.6),
            metric_names=(f"return_{window}d", f"scaled_return_{window}d"),
        )


def _read_rate_of_change(notes: Notebook, days: CandleSeries) -> None:
    """The 10-day log change against all earlier 10-day changes."""
    logs = np.log(days.closes)
    changes = logs[ROC_DAYS:] - logs[:-ROC_DAYS]
    if changes.size < 30:
        return
    spread = float(np.std(changes[:-1], ddof=1))
    last = float(changes[-1])
    z_score = (last - float(np.mean(changes[:-1]))) / spread if spread > FLAT else 0.0
    notes.measure(f"roc_{ROC_DAYS}d", math.expm1(last), "fraction of price", days.observation)
    notes.measure(
        f"roc_{ROC_DAYS}d_z", z_score, "standard deviations of its history", days.observation
    )
    notes.argue(
        "rate_of_change",
        f"{ROC_DAYS}-day change {math.expm1(last):+.1%}, z {z_score:+.2f} against "
        f"{changes.size - 1} earlier ones",
        days.observation,
        polarity=squash(z_score, 2.0),
        reliability=0.3 * sample_reliability(changes.size, 60),
        metric_names=(f"roc_{ROC_DAYS}d", f"roc_{ROC_DAYS}d_z"),
    )


def _read_channel(
    notes: Notebook, days: CandleSeries, volumes: CandleSeries, channel: int, daily_move: float
) -> None:
    """The last daily close against the channel of the days before, volume as the witness."""
    if len(days) <= channel:
        return
    top = math.log(float(days.highs[-channel - 1 : -1].max()))
    bottom = math.log(float(days.lows[-channel - 1 : -1].min()))
    close = math.log(days.last_close)
    name = f"donchian_{channel}"
    place = clip((close - bottom) / (top - bottom), 0.0, 1.0) if top - bottom > FLAT else 0.5
    notes.measure(f"{name}_high", math.exp(top), "quote currency", days.observation)
    notes.measure(f"{name}_low", math.exp(bottom), "quote currency", days.observation)
    notes.measure(f"{name}_place", place, "fraction of the channel", days.observation)
    side = 1 if close > top + FLAT else -1 if close < bottom - FLAT else 0
    trust = sample_reliability(len(days), 60)
    if side == 0:
        notes.argue(
            f"channel_{channel}d",
            f"close at {place:.0%} of its {channel}-day range, no breakout",
            days.observation,
            polarity=0.5 * (2.0 * place - 1.0),
            reliability=0.15 * trust,
            metric_names=(f"{name}_place",),
        )
        return
    beyond = abs(close - (top if side > 0 else bottom))
    ratio = _volume_against_median(volumes, days, channel)
    confirmed = ratio is not None and ratio > 1.0
    witness = (
        "volume unknown"
        if ratio is None
        else f"volume {ratio:.1f}x its median, {'confirmed' if confirmed else 'not confirmed'}"
    )
    cited = [days.observation]
    if ratio is not None:
        notes.measure(f"{name}_volume_ratio", ratio, "times the median", volumes.observation)
        cited.append(volumes.observation)
    notes.labels[f"breakout_{channel}d"] = f"{'up' if side > 0 else 'down'}, {witness}"
    notes.argue(
        f"breakout_{channel}d",
        f"close {math.expm1(beyond):.1%} {'above the high' if side > 0 else 'below the low'} of "
        f"the {channel} days before, {witness}",
        *cited,
        polarity=side * (0.6 + 0.4 * squash(beyond / daily_move if daily_move > FLAT else 0.0, 1)),
        reliability=(0.45 if confirmed else 0.2) * trust * (1.1 if channel >= 55 else 1.0),
        metric_names=(f"{name}_high", f"{name}_low", f"{name}_volume_ratio"),
    )


def _volume_against_median(volumes: CandleSeries, days: CandleSeries, channel: int) -> float | None:
    """Volume of the breakout's day over the median of the days before; None where not known."""
    index = int(np.searchsorted(volumes.times, days.times[-1]))
    if index >= len(volumes) or volumes.times[index] != days.times[-1]:
        return None
    earlier: FloatArray = volumes.volumes[max(0, index - channel) : index]
    if earlier.size < 5:
        return None
    median = float(np.median(earlier))
    return float(volumes.volumes[index]) / median if median > 0 else None


def _read_acceleration(notes: Notebook, days: CandleSeries, daily_move: float) -> None:
    """The last 7 days' mean log return less that of the 7 before, in its standard error."""
    returns = log_returns(days.closes)
    if returns.size < 14:
        return
    change = float(returns[-7:].mean() - returns[-14:-7].mean())
    scaled = change / (daily_move * math.sqrt(2 / 7)) if daily_move > FLAT else 0.0
    notes.measure("acceleration_7d", change, "log return a day", days.observation)
    notes.argue(
        "acceleration",
        f"mean daily return {'up' if change >= 0 else 'down'} by {abs(change):.2%} on the week "
        f"before ({scaled:+.2f} standard errors)",
        days.observation,
        polarity=squash(scaled, 2.0),
        reliability=0.15 * sample_reliability(len(days), 60),
        metric_names=("acceleration_7d",),
    )


def _read_funding(notes: Notebook, observation: Observation) -> None:
    """Crowding: who pays much to hold a position is many; speaks against the crowd, and only it."""
    data = observation.data
    if not isinstance(data, FundingRates):
        return
    limit_ms = notes.inputs.as_of.timestamp() * 1000
    rates = [rate for time_ms, rate in data.rows if time_ms <= limit_ms]
    if not rates:
        return
    recent = math.fsum(rates[-3:]) / len(rates[-3:]) * 8.0 / data.interval_hours
    notes.measure("funding_8h", recent, "fraction per 8 h", observation)
    crowded = abs(recent) >= CROWDED_8H_RATE
    side = "longs" if recent > 0 else "shorts"
    notes.labels["crowding"] = side if crowded else "none"
    notes.argue(
        "funding",
        f"funding {recent:+.4%} per 8 h, "
        + (f"{side} are crowded" if crowded else "no side is crowded"),
        observation,
        polarity=-squash(recent, 2.0 * CROWDED_8H_RATE) if crowded else 0.0,
        reliability=0.25 if crowded else 0.05,
        metric_names=("funding_8h",),
    )


def _label(notes: Notebook) -> None:
    scaled = notes.value("scaled_return_14d")
    if scaled is None:
        scaled = notes.value("scaled_return_7d") or 0.0
    notes.labels["momentum"] = "up" if scaled > 0.5 else "down" if scaled < -0.5 else "flat"
    technical = notes.inputs.upstream.get("technical")
    if technical is None or "trend" not in technical.labels:
        return
    trend, momentum = technical.labels["trend"], notes.labels["momentum"]
    if trend == "sideways" or momentum == "flat":
        notes.labels["with_trend"] = "open"
    else:
        notes.labels["with_trend"] = "yes" if trend == momentum else "no"


def _summary(inputs: ResearchInputs, notes: Notebook) -> str:
    shown = []
    for window in WINDOWS_DAYS:
        value = notes.value(f"return_{window}d")
        if value is not None:
            shown.append(f"{window} d {value:+.1%}")
    text = f"{inputs.symbol}: momentum {notes.labels['momentum']}; " + ", ".join(shown)
    for channel in CHANNELS_DAYS:
        word = notes.labels.get(f"breakout_{channel}d")
        if word is not None:
            text += f"; {channel}-day breakout {word}"
    crowding = notes.labels.get("crowding", "none")
    return text + (f"; {crowding} crowded." if crowding != "none" else ".")
