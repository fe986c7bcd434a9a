"""The seeded price engine: regimes over days, days into hours, hours into minutes.

Model: a Markov chain over four regimes sets the daily drift and volatility of one market factor;
the volatility also follows an AR(1) process in logs (clustering). An asset's daily log return is
beta times the factor, plus its own fat-tailed noise, plus a weak pull to its level. Hours are a
bridge between the days' ends and minutes a bridge between the hours' ends, clipped into the
hour's range, so each finer grain adds up to the coarser one exactly. Every draw is a function of
seed, asset and time: the market at a moment does not depend on when it is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sigmax_tasks.simulator import dice
from sigmax_tasks.simulator.assets import ASSETS
from sigmax_tasks.simulator.dice import Floats, Integers

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
EPOCH_MS: Final = 1_546_300_800_000
"""2019-01-01 00:00 UTC, where every simulated market begins."""

REGIMES: Final = ("bull", "bear", "range", "high_volatility")
_DRIFT: Final = (0.0034, -0.0036, 0.0, -0.0006)
_VOLATILITY: Final = (0.021, 0.026, 0.013, 0.045)
_STAY: Final = (0.975, 0.972, 0.968, 0.93)
_NEXT: Final = (
    (0.0, 0.25, 0.50, 0.25),
    (0.20, 0.0, 0.50, 0.30),
    (0.50, 0.35, 0.0, 0.15),
    (0.30, 0.35, 0.35, 0.0),
)
_PULL: Final = 0.0013
_TYPICAL: Final = 0.024
_BEFORE_ALL_DAYS: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class Grain:
    """Candles on one grain in log price relative to the asset's level; `usd` is the dollar volume.

    `first` is the number of the first candle since the epoch of the simulation. Arrays are flat.
    """

    first: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    usd: Floats


class PriceEngine:
    """All assets of one seed up to a horizon. Immutable once built."""

    def __init__(self, seed: int, days: int) -> None:
        self.seed = seed
        self.days = days
        self.regime, self.sigma, drift = _regimes(seed, days)
        stamp = np.arange(days, dtype=np.int64)
        shock = _fat(dice.key(seed, "factor"), stamp)
        self.factor: Floats = drift + self.sigma * shock
        betas = np.array([asset.beta for asset in ASSETS])
        own = np.array([asset.own for asset in ASSETS])
        keys = np.array([dice.key(seed, "own", asset.base) for asset in ASSETS], dtype=np.uint64)
        noise = _fat(keys[None, :], stamp[:, None])
        step = self.factor[:, None] * betas + noise * own * self.sigma[:, None]
        level: Floats = np.empty((days + 1, len(ASSETS)))
        current = 0.4 * _fat(keys, np.full(len(ASSETS), _BEFORE_ALL_DAYS, dtype=np.int64))
        level[0] = current
        for day in range(days):
            current = current * (1.0 - _PULL) + step[day]
            level[day + 1] = current
        self.level = level
        self.spread: Floats = self.sigma[:, None] * np.sqrt(betas**2 + own**2)

    def hours(self, asset: int, first_hour: int, last_hour: int) -> Grain:
        """Hours `first_hour` up to and excluding `last_hour`, counted from the epoch."""
        day0, day1 = first_hour // 24, -(-last_hour // 24)
        base = ASSETS[asset].base
        stamp = np.arange(day0 * 24, day1 * 24, dtype=np.int64).reshape(-1, 24)
        width = _hour_width(dice.key(self.seed, "busy", base), stamp)
        scale = width * self.spread[day0:day1, asset, None] / np.sqrt(24.0)
        draw = dice.normal(dice.key(self.seed, "hour", base), stamp)
        noise = draw * scale
        start, end = self.level[day0:day1, asset], self.level[day0 + 1 : day1 + 1, asset]
        share = scale**2 / np.sum(scale**2, axis=1, keepdims=True)
        gap = np.sum(noise, axis=1, keepdims=True) - (end - start)[:, None]
        close = start[:, None] + np.cumsum(noise - share * gap, axis=1)
        close[:, -1] = end
        open_ = np.concatenate([start[:, None], close[:, :-1]], axis=1)
        above = -np.log(dice.uniform(dice.key(self.seed, "high", base), stamp))
        below = -np.log(dice.uniform(dice.key(self.seed, "low", base), stamp))
        high = np.maximum(open_, close) + 0.35 * scale * np.minimum(above, 6.0)
        low = np.minimum(open_, close) - 0.35 * scale * np.minimum(below, 6.0)
        liveliness = dice.normal(dice.key(self.seed, "volume", base), stamp)
        heat = (self.sigma[day0:day1] / _TYPICAL)[:, None]
        usd = ASSETS[asset].daily_usd / 24.0 * heat**0.8 * width
        usd = usd * (0.45 + 0.7 * np.abs(draw)) * np.exp(0.35 * liveliness - 0.06)
        cut = slice(first_hour - day0 * 24, last_hour - day0 * 24)
        return Grain(
            first_hour,
            open_.ravel()[cut],
            high.ravel()[cut],
            low.ravel()[cut],
            close.ravel()[cut],
            usd.ravel()[cut],
        )

    def minutes(self, asset: int, first_hour: int, last_hour: int) -> tuple[Grain, Grain, Floats]:
        """The minutes of whole hours, those hours, and each minute's cumulative volume share.

        The shares restart every hour and end at exactly 1.
        """
        hours = self.hours(asset, first_hour, last_hour)
        base = ASSETS[asset].base
        stamp = np.arange(first_hour * 60, last_hour * 60, dtype=np.int64).reshape(-1, 60)
        o, h = hours.open[:, None], hours.high[:, None]
        c, low_ = hours.close[:, None], hours.low[:, None]
        scale = np.maximum((h - low_) / np.sqrt(60.0) * 0.6, 1e-9)
        draw = dice.normal(dice.key(self.seed, "minute", base), stamp)
        step = draw * scale
        step = step - (np.sum(step, axis=1, keepdims=True) - (c - o)) / 60.0
        close = np.clip(o + np.cumsum(step, axis=1), low_, h)
        close[:, -1] = hours.close
        open_ = np.concatenate([o, close[:, :-1]], axis=1)
        above = dice.uniform(dice.key(self.seed, "minute high", base), stamp)
        below = dice.uniform(dice.key(self.seed, "minute low", base), stamp)
        high = np.minimum(np.maximum(open_, close) + 0.5 * scale * above**2, h)
        low = np.maximum(np.minimum(open_, close) - 0.5 * scale * below**2, low_)
        rows = np.arange(len(high))
        high[rows, np.argmax(high, axis=1)] = hours.high
        low[rows, np.argmin(low, axis=1)] = hours.low
        weight = (0.25 + np.abs(draw)) * np.exp(0.5 * dice.normal(dice.key("w", base), stamp))
        share = np.cumsum(weight, axis=1)
        share /= share[:, -1:]
        share[:, -1] = 1.0
        usd = np.diff(share, axis=1, prepend=0.0) * hours.usd[:, None]
        grain = Grain(
            first_hour * 60,
            open_.ravel(),
            high.ravel(),
            low.ravel(),
            close.ravel(),
            usd.ravel(),
        )
        return grain, hours, share


def day_number(time_ms: int) -> int:
    return (time_ms - EPOCH_MS) // DAY_MS


def _fat(stream: np.uint64 | dice.Keys, index: Integers) -> Floats:
    """Student t with 4 degrees of freedom, scaled to unit variance and cut at 7."""
    tail = -2.0 * np.log(dice.uniform(stream, index * 4 + 2) * dice.uniform(stream, index * 4 + 3))
    draws: Floats = dice.normal(stream, index * 2) / np.sqrt(tail / 4.0) / np.sqrt(2.0)
    return np.clip(draws, -7.0, 7.0)


def _regimes(seed: int, days: int) -> tuple[Integers, Floats, Floats]:
    stamp = np.arange(days, dtype=np.int64)
    luck = dice.uniform(dice.key(seed, "regime"), stamp).tolist()
    choice = dice.uniform(dice.key(seed, "next regime"), stamp).tolist()
    wobble = dice.normal(dice.key(seed, "volatility"), stamp).tolist()
    state = int(dice.one_uniform(dice.key(seed, "first regime"), 0) * len(REGIMES))
    swing = 0.0
    states, sigmas, drifts = [], [], []
    for day in range(days):
        if luck[day] > _STAY[state]:
            state = _pick(_NEXT[state], choice[day])
        swing = 0.93 * swing + 0.13 * wobble[day]
        states.append(state)
        sigmas.append(_VOLATILITY[state] * float(np.exp(swing)))
        drifts.append(_DRIFT[state])
    return (
        np.array(states, dtype=np.int64),
        np.array(sigmas, dtype=np.float64),
        np.array(drifts, dtype=np.float64),
    )


def _pick(weights: tuple[float, ...], luck: float) -> int:
    total = 0.0
    for number, weight in enumerate(weights):
        total += weight
        if luck < total:
            return number
    return len(weights) - 1


def _hour_width(stream: np.uint64, stamp: Integers) -> Floats:
    """How lively an hour is: busier in the European and American afternoon, plus chance."""
    hour = np.arange(24)
    profile = 1.0 + 0.35 * np.sin((hour - 8.0) / 24.0 * 2.0 * np.pi)
    width: Floats = profile * np.exp(0.3 * dice.normal(stream, stamp))
    return width
