"""The recorded world: what was public at a moment, out of a folder of CSV files.

Every value has a moment from which it was public (see publication.py for the economic series);
one that is later than the world's moment does not exist for it. Revised series hold today's
figures: that a number was first published otherwise is not recorded.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from sigmax_tasks.candles import TIMEFRAME_SECONDS, CandleRow, aggregate_candles, bucket_start_ms
from sigmax_tasks.simulator.absent import NothingRecorded
from sigmax_tasks.simulator.publication import bar_visible_at, hash_rate_visible_at, published_at
from sigmax_tasks.simulator.recorded_files import Recordings, utc
from sigmax_tasks.simulator.world import (
    Bar,
    Bars,
    Candle,
    FearGreed,
    Funding,
    Market,
    NotRecorded,
    Observation,
    Point,
)

_STALE_AFTER: Final = 3
_CRYPTO: Final = frozenset(("BTC-USD", "ETH-USD"))
_BARS: Final = {
    "SPY": ("spy_daily.csv", "SPDR S&P 500", "ETF"),
    "QQQ": ("qqq_daily.csv", "Invesco QQQ Trust", "ETF"),
    "GLD": ("gld_daily.csv", "SPDR Gold Shares", "ETF"),
    "TLT": ("tlt_daily.csv", "iShares 20+ Year Treasury Bond ETF", "ETF"),
    "UUP": ("uup_daily.csv", "Invesco DB US Dollar Index Bullish Fund", "ETF"),
    "HYG": ("hyg_daily.csv", "iShares iBoxx $ High Yield Corporate Bond ETF", "ETF"),
    "^VIX": ("vix_daily.csv", "CBOE Volatility Index", "INDEX"),
    "DX-Y.NYB": ("dxy_daily.csv", "US Dollar Index", "INDEX"),
    "BTC-USD": ("btc_daily.csv", "Bitcoin USD", "CRYPTOCURRENCY"),
    "ETH-USD": ("eth_daily.csv", "Ethereum USD", "CRYPTOCURRENCY"),
}
# provider and metric: file and column
_CHAIN: Final = {
    ("blockchain_info", "HashRate"): ("btc_hashrate_daily.csv", ("hashrate_th_s",), 0),
    ("blockchain_info", "DiffMean"): ("btc_difficulty_daily.csv", ("difficulty",), 0),
    **{
        ("coinmetrics", metric): (
            "btc_coinmetrics_100d.csv",
            ("active_addresses", "fees_btc", "tx_count"),
            column,
        )
        for column, metric in enumerate(("AdrActCnt", "FeeTotNtv", "TxCnt"))
    },
}


class RecordedWorld(NothingRecorded):
    """A World (see world.py) over recordings at one moment. Candles are Binance spot."""

    def __init__(self, recordings: Recordings, as_of_ms: int) -> None:
        self._files = recordings
        self._now = as_of_ms
        self._moment = datetime.fromtimestamp(as_of_ms / 1000, UTC)

    @property
    def now_ms(self) -> int:
        return self._now

    def markets(self, venue: str) -> Sequence[Market]:
        """Those with a candle that was complete by now."""
        if venue != "binance":
            raise NotRecorded(
                f"the recorded candles are Binance spot; nothing of {venue} is stored"
            )
        found = []
        for base, quote in sorted(self._files.candle_files):
            first = self._files.first_close_ms(base, quote)
            if first is not None and first <= self._now:
                found.append(Market(base, quote, 8, 8, base))
        return found

    def candles(
        self,
        venue: str,
        market: Market,
        seconds: int,
        *,
        limit: int,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> list[Candle]:
        """Complete candles only, out of the coarsest file that fits and reaches up to now.

        A file reaches up to now when its newest complete candle closed at most three candles of
        the wanted length ago.
        """
        self.markets(venue)
        grain, rows, count = self.current_candles(market, seconds)
        closed_ms = rows[count - 1][0] + grain * 1000
        length = seconds * 1000
        last = bucket_start_ms(closed_ms, seconds) - length
        if end_ms is not None:
            last = min(last, bucket_start_ms(end_ms, seconds))
        first = last - (limit - 1) * length
        if start_ms is not None:
            first = bucket_start_ms(start_ms + length - 1, seconds)
            last = min(last, first + (limit - 1) * length)
        first = max(first, bucket_start_ms(rows[0][0] + length - 1, seconds))
        low = bisect_left(rows, first, hi=count, key=_open)
        high = bisect_left(rows, last + length, hi=count, key=_open)
        part = rows[low:high]
        if grain != seconds:
            part = aggregate_candles(part, grain, seconds, require_complete=False)
        return [Candle(*row) for row in part]

    def current_candles(self, market: Market, seconds: int) -> tuple[int, list[CandleRow], int]:
        """The recording that candles of ``seconds`` come from: its grain, all its rows, and how
        many of them were complete by now. NotRecorded where none reaches up to now.
        """
        grains = self._files.candle_files.get((market.base, market.quote), {})
        fitting = sorted((g for g in grains if g <= seconds and seconds % g == 0), reverse=True)
        name = f"{market.base}/{market.quote}"
        if not fitting:
            raise NotRecorded(f"no candles of {name} as fine as {_name(seconds)} are recorded")
        newest: tuple[int, int] | None = None
        for grain in fitting:
            rows = self._files.candles(market.base, market.quote, grain)
            count = bisect_right(rows, self._now - grain * 1000, key=_open)
            if not count:
                continue
            closed = rows[count - 1][0] + grain * 1000
            if self._now - closed <= _STALE_AFTER * seconds * 1000:
                return grain, rows, count
            if newest is None or closed > newest[0]:
                newest = (closed, grain)
        if newest is None:
            raise NotRecorded(f"no recorded candle of {name} was complete by {utc(self._now)}")
        raise NotRecorded(
            f"newest recorded {_name(newest[1])} candle of {name} closes {utc(newest[0])}, "
            f"{_age(self._now - newest[0])} before as-of"
        )

    def fear_greed(self, limit: int) -> list[FearGreed]:
        """A value is public from 00:00 UTC of its date on; its class was not recorded."""
        rows = self._files.days("fear_greed", "fear_greed_daily.csv", columns=("value",))
        known = [
            FearGreed(_seconds(day), int(value), None)
            for day, (value,) in rows
            if value is not None and _seconds(day) * 1000 <= self._now
        ]
        if not known:
            raise NotRecorded(f"no fear and greed value is recorded by {utc(self._now)}")
        return known[::-1][: limit or None]

    def funding(
        self, provider: str, base: str, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[Funding]:
        """The mean of a day's three rates, as one row at the end of that day."""
        if provider != "binance_futures" or base != "BTC":
            raise NotRecorded(f"no funding rates of {base} at {provider} are recorded")
        columns = ("funding_mean", "funding_abs")
        rows = self._files.days("derivatives", "btc_perp_funding_daily.csv", columns=columns)
        known = [
            Funding((_seconds(day) + 86_400) * 1000, values[0], None)
            for day, values in rows
            if values[0] is not None and (_seconds(day) + 86_400) * 1000 <= self._now
        ]
        if not known:
            raise NotRecorded(f"no funding rate is recorded by {utc(self._now)}")
        if end_ms is not None:
            known = [row for row in known if row.time_ms <= end_ms]
        if start_ms is None:
            return known[-limit:]
        return [row for row in known if row.time_ms >= start_ms][:limit]

    def chain_metric(self, provider: str, asset: str, metric: str) -> Sequence[Point]:
        """A day's value is public two days after that day began."""
        if asset != "btc" or (provider, metric) not in _CHAIN:
            raise NotRecorded(f"{metric} of {asset} at {provider} is not recorded")
        file, columns, column = _CHAIN[provider, metric]
        rows = self._files.days("onchain", file, columns=columns)
        known = bisect_right(rows, self._moment, key=lambda row: hash_rate_visible_at(row[0]))
        points = [
            Point(_seconds(day), value)
            for day, values in rows[:known]
            if (value := values[column]) is not None
        ]
        if not points:
            raise NotRecorded(f"{metric} of {asset} is not recorded by {utc(self._now)}")
        return points

    def economic_series(self, series_id: str) -> Sequence[Observation]:
        if series_id not in self._files.series_files:
            raise NotRecorded(f"the series {series_id} is not recorded")
        name = self._files.series_files[series_id].name
        rows = [
            Observation(day.isoformat(), value)
            for day, (value,) in self._files.days("macro", "fred", name, columns=("value",))
            if published_at(series_id, day) <= self._moment
        ]
        if not rows:
            raise NotRecorded(f"{series_id} is not recorded by {utc(self._now)}")
        return rows

    def bars(self, symbol: str) -> Bars:
        """Complete bars; the dollar index was recorded by its closes only."""
        if symbol not in _BARS:
            raise NotRecorded(f"bars of {symbol} are not recorded")
        file, name, kind = _BARS[symbol]
        crypto = symbol in _CRYPTO
        columns = ("dxy",) if symbol == "DX-Y.NYB" else ("open", "high", "low", "close", "volume")
        bars = []
        for day, values in self._files.days("macro", "market", file, columns=columns):
            if bar_visible_at(day, around_the_clock=crypto) > self._moment:
                continue
            seconds = _seconds(day) + (0 if crypto else 52_200)
            if len(values) == 1:
                if values[0] is not None:
                    bars.append(Bar(seconds, None, None, None, values[0], None))
            else:
                bars.append(Bar(seconds, *values))
        if not bars:
            raise NotRecorded(f"bars of {symbol} are not recorded by {utc(self._now)}")
        return Bars(symbol, name, kind, bars)


def _open(row: CandleRow) -> int:
    return row[0]


def _seconds(day: date) -> int:
    return (day - date(1970, 1, 1)) // timedelta(days=1) * 86_400


def _name(seconds: int) -> str:
    return next((n for n, s in TIMEFRAME_SECONDS.items() if s == seconds), f"{seconds} s")


def _age(span_ms: int) -> str:
    hours = span_ms // 3_600_000
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"
