"""One exchange's view of the seeded prices: whole ticks and whole lots, on any time frame.

Prices are rounded to ticks and volumes to lots once, on the finest grain needed, and only then put
together, so a coarser candle is exactly the sum of the finer ones on the same exchange.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from sigmax_tasks.candles import bucket_start_ms
from sigmax_tasks.simulator import dice
from sigmax_tasks.simulator.assets import ASSETS, INDEX, VENUE_SHARE
from sigmax_tasks.simulator.dice import Floats, Integers
from sigmax_tasks.simulator.prices import EPOCH_MS, HOUR_MS, Grain, PriceEngine
from sigmax_tasks.simulator.world import Candle, Market

_MINUTE_MS: Final = 60_000
_TRADE_USD: Final = 1_500.0


@dataclass(frozen=True, slots=True)
class Table:
    """Candles as whole ticks and lots; `quote` is volume times price, in ticks times lots."""

    open_ms: Integers
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    lots: Integers
    quote: Floats


class Tape:
    """The candles and the price path of one market on one exchange."""

    def __init__(self, engine: PriceEngine, venue: str, market: Market) -> None:
        self._engine = engine
        self._asset = INDEX[market.base]
        asset = ASSETS[self._asset]
        tilt = dice.one_normal(dice.key(engine.seed, "basis", venue, market.quote), self._asset)
        self.basis = 2.5e-4 * float(np.tanh(tilt))
        self._scale = asset.level * (1.0 + self.basis) * 10.0**market.price_decimals
        self.share = VENUE_SHARE[venue, market.quote]
        self._lots_per_usd = self.share / asset.level * 10.0**market.amount_decimals
        self.tick = 10.0**-market.price_decimals
        self.lot = 10.0**-market.amount_decimals
        self._price_unit = 10.0**market.price_decimals
        self._lot_unit = 10.0**market.amount_decimals
        per_minute = asset.daily_usd * self.share / 1440.0
        self.usual_half_spread = min(0.5e-4 * (2e4 / max(per_minute, 200.0)) ** 0.35, 0.002)
        self.trade_gap_ms = int(min(max(_TRADE_USD / per_minute * _MINUTE_MS, 100), 30_000))
        self._minutes = lru_cache(maxsize=4)(self._make_minutes)

    def candles(
        self, seconds: int, start_ms: int | None, end_ms: int | None, limit: int, now_ms: int
    ) -> list[Candle]:
        """See World.candles. `seconds` is a multiple of 60; below an hour it divides the hour."""
        length = seconds * 1000
        last = bucket_start_ms(min(now_ms, now_ms if end_ms is None else end_ms), seconds)
        first = last - (limit - 1) * length
        if start_ms is not None:
            first = bucket_start_ms(start_ms + length - 1, seconds)
            last = min(last, first + (limit - 1) * length)
        first = max(first, bucket_start_ms(EPOCH_MS + length - 1, seconds))
        if last < first:
            return []
        table = self.table(seconds, first, min(last + length, now_ms), now_ms)
        return self._rows(table, seconds, now_ms)

    def table(self, seconds: int, first_ms: int, until_ms: int, now_ms: int) -> Table:
        """Candles from `first_ms`, an open time, up to `until_ms`; the running one ends now."""
        hour0 = (first_ms - EPOCH_MS) // HOUR_MS
        now_hour = (now_ms - EPOCH_MS) // HOUR_MS
        if seconds < 3600:
            hour1 = min((until_ms - EPOCH_MS - 1) // HOUR_MS, now_hour) + 1
            fine = _cut(self._minutes(hour0, max(hour1, hour0 + 1)), now_ms, self)
            keep = (fine.open_ms >= first_ms) & (fine.open_ms < max(until_ms, first_ms + 1))
            return _merge(_select(fine, keep), seconds)
        if until_ms >= now_ms:
            running = _merge(_cut(self._minutes(now_hour, now_hour + 1), now_ms, self), 3600)
            if now_hour <= hour0:
                return _merge(running, seconds)
            return _merge(_join(self._hours(hour0, now_hour), running), seconds)
        return _merge(self._hours(hour0, -(-(until_ms - EPOCH_MS) // HOUR_MS)), seconds)

    def path(self, times_ms: Integers) -> Floats:
        """Price in quote units at moments in time: a straight line through each minute."""
        hour0 = int((times_ms.min() - EPOCH_MS) // HOUR_MS)
        hour1 = int((times_ms.max() - EPOCH_MS) // HOUR_MS) + 1
        grain, _, _ = self._engine.minutes(self._asset, hour0, hour1)
        offset = times_ms - EPOCH_MS
        index = offset // _MINUTE_MS - grain.first
        part = (offset % _MINUTE_MS) / _MINUTE_MS
        logs = grain.open[index] + (grain.close[index] - grain.open[index]) * part
        prices: Floats = self._ticks(logs) / self._price_unit
        return prices

    def minute_volume(self, times_ms: Integers) -> Floats:
        """Base volume of the whole minute around each moment."""
        hour0 = int((times_ms.min() - EPOCH_MS) // HOUR_MS)
        hour1 = int((times_ms.max() - EPOCH_MS) // HOUR_MS) + 1
        table = self._minutes(hour0, hour1)
        lots = table.lots[(times_ms - EPOCH_MS) // _MINUTE_MS - hour0 * 60]
        volume: Floats = lots / self._lot_unit
        return volume

    def _hours(self, first: int, last: int) -> Table:
        grain = self._engine.hours(self._asset, first, last)
        return self._table(grain, HOUR_MS, self._hour_lots(grain))

    def _make_minutes(self, first: int, last: int) -> Table:
        grain, hours, share = self._engine.minutes(self._asset, first, last)
        total = self._hour_lots(hours)
        reached = np.floor(total[:, None] * share).astype(np.int64)
        reached[:, -1] = total
        lots = np.diff(reached, axis=1, prepend=0).ravel()
        return self._table(grain, _MINUTE_MS, lots)

    def _hour_lots(self, hours: Grain) -> Integers:
        middle = np.exp((hours.high + hours.low) / 2.0)
        lots: Integers = np.maximum(hours.usd / middle * self._lots_per_usd, 1.0).astype(np.int64)
        return lots

    def _ticks(self, logs: Floats) -> Integers:
        ticks: Integers = np.maximum(np.rint(np.exp(logs) * self._scale), 1.0).astype(np.int64)
        return ticks

    def _table(self, grain: Grain, length_ms: int, lots: Integers) -> Table:
        open_ms = EPOCH_MS + length_ms * (grain.first + np.arange(len(lots), dtype=np.int64))
        open_, high = self._ticks(grain.open), self._ticks(grain.high)
        low, close = self._ticks(grain.low), self._ticks(grain.close)
        quote = lots * ((open_ + high + low + close) / 4.0)
        return Table(open_ms, open_, high, low, close, lots, quote)

    def _rows(self, table: Table, seconds: int, now_ms: int) -> list[Candle]:
        price, lot = self._price_unit, self._lot_unit
        span = np.minimum(table.open_ms + seconds * 1000, now_ms) - table.open_ms
        trades = np.where(table.lots > 0, np.maximum(span // self.trade_gap_ms, 1), 0)
        reach = np.maximum(table.high - table.low, 1)
        bought = table.lots * (0.5 + 0.15 * np.tanh((table.close - table.open) / reach))
        columns = (
            table.open_ms.tolist(),
            (table.open / price).tolist(),
            (table.high / price).tolist(),
            (table.low / price).tolist(),
            (table.close / price).tolist(),
            (table.lots / lot).tolist(),
            (table.quote / price / lot).tolist(),
            trades.tolist(),
            (np.floor(bought) / lot).tolist(),
        )
        return [Candle(*row) for row in zip(*columns, strict=True)]


def _cut(table: Table, now_ms: int, tape: Tape) -> Table:
    """Drop what opens after `now_ms` and shorten the minute that is running."""
    if int(table.open_ms[-1]) + _MINUTE_MS <= now_ms:
        return table
    count = int(np.searchsorted(table.open_ms, now_ms, side="right"))
    kept = _select(table, slice(0, count))
    last = count - 1
    part = (now_ms - int(kept.open_ms[last])) / _MINUTE_MS
    now = round(float(tape.path(np.array([now_ms], dtype=np.int64))[0]) / tape.tick)
    open_ = int(kept.open[last])
    lots = int(int(kept.lots[last]) * part)
    high, low, close = kept.high.copy(), kept.low.copy(), kept.close.copy()
    volume, quote = kept.lots.copy(), kept.quote.copy()
    high[last], low[last], close[last] = max(open_, now), min(open_, now), now
    volume[last], quote[last] = lots, lots * (open_ + now) / 2.0
    return Table(kept.open_ms, kept.open, high, low, close, volume, quote)


def _select(table: Table, keep: slice | np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Table:
    return Table(
        table.open_ms[keep],
        table.open[keep],
        table.high[keep],
        table.low[keep],
        table.close[keep],
        table.lots[keep],
        table.quote[keep],
    )


def _join(first: Table, second: Table) -> Table:
    return Table(
        np.concatenate([first.open_ms, second.open_ms]),
        np.concatenate([first.open, second.open]),
        np.concatenate([first.high, second.high]),
        np.concatenate([first.low, second.low]),
        np.concatenate([first.close, second.close]),
        np.concatenate([first.lots, second.lots]),
        np.concatenate([first.quote, second.quote]),
    )


def _merge(table: Table, seconds: int) -> Table:
    origin = bucket_start_ms(0, seconds)
    length = seconds * 1000
    bucket = (table.open_ms - origin) // length
    edges = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
    ends = np.append(edges[1:], len(bucket)) - 1
    return Table(
        bucket[edges] * length + origin,
        table.open[edges],
        np.maximum.reduceat(table.high, edges),
        np.minimum.reduceat(table.low, edges),
        table.close[ends],
        np.add.reduceat(table.lots, edges),
        np.add.reduceat(table.quote, edges),
    )
