"""Order book, trades and ticker around the last price of a Tape.

The book's half spread and the slope of its depth follow the volume of the hour and the regime's
volatility, and it leans with the last hour's momentum. Trades sit on a fixed grid of slots, one in
each, so the trade at a moment is the same whenever it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sigmax_tasks.simulator import dice
from sigmax_tasks.simulator.dice import Floats, Integers
from sigmax_tasks.simulator.prices import DAY_MS, EPOCH_MS
from sigmax_tasks.simulator.tape import Table, Tape
from sigmax_tasks.simulator.world import Book, Level, Market, Ticker, Trade, Window

_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Mood:
    """What the book depends on: half spread (fraction), base volume a minute, lean in -1..1."""

    half_spread: float
    per_minute: float
    lean: float


class Microstructure:
    def __init__(self, seed: int, venue: str, market: Market, tape: Tape, now_ms: int) -> None:
        self._key = dice.key(seed, "book", venue, market.base, market.quote)
        self._tape = tape
        self._market = market
        self._now = now_ms

    def book(self, depth: int) -> Book:
        mood, last = self._mood(), self._last()
        steps = np.arange(depth, dtype=np.int64)
        second = self._now // 1000
        offset = mood.half_spread + 2.5e-5 * np.arange(depth) ** 1.15
        sides = []
        for side, sign in (("bid", -1.0), ("ask", 1.0)):
            stream = dice.key(int(self._key), side, second)
            jitter = dice.uniform(stream, steps)
            raw = last * (1.0 + sign * (offset + 1e-5 * jitter))
            whole = (np.floor if sign < 0 else np.ceil)(raw / self._tape.tick)
            ticks = _distinct(whole.astype(np.int64), int(sign))
            size = mood.per_minute * 0.02 * (1.0 + steps / 8.0) ** 0.45
            size = size * (1.0 - sign * 0.45 * mood.lean)
            size = size * np.exp(0.7 * dice.normal(stream, steps + 10_000) - 0.2)
            age = (dice.uniform(stream, steps + 90_000) * 60_000).astype(np.int64)
            sides.append(self._levels(ticks, size, age))
        return Book(self._now, sides[0], sides[1], self._now - EPOCH_MS)

    def trades(self, limit: int, start_ms: int | None, end_ms: int | None) -> list[Trade]:
        """The last `limit` up to now, or from `start_ms` on the first `limit`."""
        gap = self._tape.trade_gap_ms
        last = (min(self._now, self._now if end_ms is None else end_ms) - EPOCH_MS) // gap
        first = last - limit
        if start_ms is not None:
            first = max(start_ms - EPOCH_MS, 0) // gap
            last = min(last, first + limit + 1)
        if last < first:
            return []
        slots = np.arange(max(first, 0), last + 1, dtype=np.int64)
        luck = dice.uniform(self._key, slots * 4)
        times = EPOCH_MS + slots * gap + (luck * gap).astype(np.int64)
        keep = times <= min(self._now, self._now if end_ms is None else end_ms)
        if start_ms is not None:
            keep &= times >= start_ms
        slots, times = slots[keep], times[keep]
        if not len(slots):
            return []
        prices = self._tape.path(times)
        bought = dice.uniform(self._key, slots * 4 + 1) < 0.5
        shifted = prices * (1.0 + np.where(bought, 1.0, -1.0) * self._tape.usual_half_spread)
        ticks = np.maximum(np.rint(shifted / self._tape.tick), 1.0)
        mean = self._tape.minute_volume(times) * gap / 60_000.0
        size = mean * -np.log(dice.uniform(self._key, slots * 4 + 2))
        lots = np.maximum(np.rint(size / self._tape.lot), 1.0)
        rows = zip(
            slots.tolist(),
            times.tolist(),
            (ticks / 10.0**self._market.price_decimals).tolist(),
            (lots / 10.0**self._market.amount_decimals).tolist(),
            bought.tolist(),
            strict=True,
        )
        return [Trade(*row) for row in list(rows)[-limit if start_ms is None else None :][:limit]]

    def ticker(self) -> Ticker:
        book = self.book(1)
        minute = self._now // 60_000 * 60_000
        day = self._tape.table(60, max(minute - DAY_MS + 60_000, EPOCH_MS), self._now, self._now)
        midnight = self._now // DAY_MS * DAY_MS
        today = self._tape.table(60, midnight, self._now, self._now)
        latest = self.trades(1, None, None)
        last = self._last()
        return Ticker(
            now_ms=self._now,
            last=last,
            last_size=latest[-1].size if latest else self._tape.lot,
            bid=book.bids[0].price,
            bid_size=book.bids[0].size,
            ask=book.asks[0].price,
            ask_size=book.asks[0].size,
            day=self._window(day, self._now - DAY_MS),
            today=self._window(today, midnight),
        )

    def _last(self) -> float:
        return float(self._tape.path(np.array([self._now], dtype=np.int64))[0])

    def _mood(self) -> Mood:
        first = self._now // _HOUR_MS * _HOUR_MS - 24 * _HOUR_MS
        table = self._tape.table(3600, max(first, EPOCH_MS), self._now, self._now)
        moves = np.diff(np.log(table.close.astype(np.float64)))
        spread = float(np.std(moves)) if len(moves) > 1 else 0.005
        recent = float(np.sum(moves[-2:]))
        volume = float(np.mean(table.lots[:-1])) if len(table.lots) > 1 else float(table.lots[0])
        per_minute = volume * self._tape.lot / 60.0
        half = self._tape.usual_half_spread * (0.5 + spread / 0.006)
        return Mood(min(half, 0.004), per_minute, float(np.tanh(recent / (2.0 * spread + 1e-9))))

    def _levels(self, ticks: Integers, size: Floats, age: Integers) -> list[Level]:
        lots = np.maximum(np.rint(size / self._tape.lot), 1.0)
        keep = ticks > 0
        rows = zip(
            (ticks[keep] / 10.0**self._market.price_decimals).tolist(),
            (lots[keep] / 10.0**self._market.amount_decimals).tolist(),
            (self._now - age[keep]).tolist(),
            strict=True,
        )
        return [Level(*row) for row in rows]

    def _window(self, table: Table, since_ms: int) -> Window:
        price = 10.0**self._market.price_decimals
        lots = int(np.sum(table.lots))
        vwap = float(np.sum(table.quote)) / lots / price if lots else float(table.close[-1]) / price
        return Window(
            open=int(table.open[0]) / price,
            high=int(np.max(table.high)) / price,
            low=int(np.min(table.low)) / price,
            vwap=vwap,
            volume=lots / 10.0**self._market.amount_decimals,
            trades=int((self._now - since_ms) // self._tape.trade_gap_ms),
        )


def _distinct(ticks: Integers, sign: int) -> Integers:
    """Push each level at least one tick further out than the one before it."""
    steps = np.arange(len(ticks), dtype=np.int64)
    outward: Integers = sign * (np.maximum.accumulate(sign * ticks - steps) + steps)
    return outward
