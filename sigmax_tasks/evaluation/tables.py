"""The two bulk answers of a replay, cut from tables: closed candles and FRED series.

What is cut is what the adapters would parse out of the recorded server's answers, value for value.
Whatever is not plain (nothing known yet, a stale or damaged file, another quote currency) is left
to the adapters: :meth:`Tables.answer` gives None.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from sigmax_planner.models import DataMode
from sigmax_tasks import clock
from sigmax_tasks.candles import (
    TIMEFRAME_SECONDS,
    CandleRow,
    aggregate_candles,
    bucket_start_ms,
)
from sigmax_tasks.evaluation.lookahead import refuse_future
from sigmax_tasks.models.observations import (
    Candles,
    DataNeed,
    Lineage,
    Observation,
    Payload,
    Series,
)
from sigmax_tasks.settings.sources import SeriesEntry, SourceSettings
from sigmax_tasks.simulator.protocols.binance import INTERVALS
from sigmax_tasks.simulator.publication import published_at
from sigmax_tasks.simulator.recorded import RecordedWorld
from sigmax_tasks.simulator.world import Market, NotRecorded
from sigmax_tasks.simulator.worlds import Worlds
from sigmax_tasks.sources.call import newest_time, observation_id
from sigmax_tasks.sources.candidates import Candidate
from sigmax_tasks.sources.domains import RANGES, Range
from sigmax_tasks.sources.venues import VENUES

_VENUE: Final = "binance"
_STALE_AFTER: Final = 3
_LONGEST_START_DAYS: Final = 40_000
_ANY_AMOUNT: Final = Range(0.0, 1e30)


@dataclass(frozen=True)
class _Series:
    """``public_ms`` is when each row became public; both rise."""

    rows: tuple[tuple[int, float], ...]
    times_ms: tuple[int, ...]
    public_ms: tuple[int, ...]
    digest: str


@dataclass(frozen=True)
class _Candles:
    rows: tuple[CandleRow, ...]
    opens_ms: tuple[int, ...]
    digest: str


class Tables:
    """Parsed once, asked at any moment."""

    def __init__(self, worlds: Worlds, settings: SourceSettings) -> None:
        self._worlds = worlds
        self._settings = settings
        self._candles: dict[tuple[str, str, int, int], _Candles] = {}
        self._series: dict[tuple[str, str], _Series | None] = {}

    def answer(self, need: DataNeed, candidate: Candidate, as_of: datetime) -> Observation | None:
        """The provider's answer at that moment; None where its adapter must be asked."""
        adapter = self._settings.providers[candidate.provider_id].adapter
        if need.kind == "candles" and candidate.provider_id == _VENUE and adapter == "exchange":
            return self._candles_at(need, candidate, as_of)
        if need.kind == "series" and adapter == "fred" and candidate.series is not None:
            return self._series_at(need, candidate, candidate.series, as_of)
        return None

    def _candles_at(
        self, need: DataNeed, candidate: Candidate, as_of: datetime
    ) -> Observation | None:
        seconds = TIMEFRAME_SECONDS.get(need.name)
        skipped = VENUES[_VENUE].skip_timeframes
        if seconds is None or need.name not in INTERVALS or need.name in skipped:
            return None
        base, _, quote = (need.symbol or "").partition("/")
        now_ms = _ms(as_of)
        world = self._worlds.world(None, now_ms)
        if not isinstance(world, RecordedWorld):
            return None
        try:
            market = next(m for m in world.markets(_VENUE) if (m.base, m.quote) == (base, quote))
            grain, rows, count = world.current_candles(market, seconds)
        except (NotRecorded, StopIteration):
            return None
        table = self._table(market, grain, seconds, rows)
        length = seconds * 1000
        closed_ms = rows[count - 1][0] + grain * 1000
        last = bucket_start_ms(closed_ms, seconds) - length
        high = bisect_right(table.opens_ms, min(last, now_ms - length))
        first = bucket_start_ms(now_ms, seconds) - need.limit * length
        low = max(bisect_left(table.opens_ms, first), high - need.limit)
        kept = table.rows[low:high]
        if not kept or now_ms - kept[-1][0] - length > _STALE_AFTER * length:
            return None
        data = Candles(symbol=need.symbol or "", timeframe=need.name, rows=kept)
        return _observed(need, candidate, data, as_of, f"{table.digest}:{kept[0][0]}:{kept[-1][0]}")

    def _table(self, market: Market, grain: int, seconds: int, rows: list[CandleRow]) -> _Candles:
        key = (market.base, market.quote, grain, seconds)
        if key not in self._candles:
            whole = rows
            if grain != seconds:
                whole = aggregate_candles(rows, grain, seconds, require_complete=False)
                first = bucket_start_ms(rows[0][0] + seconds * 1000 - 1, seconds)
                whole = [row for row in whole if row[0] >= first]
            served = tuple(_as_served(row) for row in whole)
            self._candles[key] = _Candles(
                served, tuple(row[0] for row in served), _digest(repr(served))
            )
        return self._candles[key]

    def _series_at(
        self, need: DataNeed, candidate: Candidate, entry: SeriesEntry, as_of: datetime
    ) -> Observation | None:
        key = (entry.id, entry.unit)
        if key not in self._series:
            self._series[key] = self._read_series(entry)
        series = self._series[key]
        if series is None:
            return None
        days = min(need.limit * entry.step_days * 1.5 + 60, _LONGEST_START_DAYS)
        start = (as_of - timedelta(days=days)).date()
        start_ms = _ms(datetime(start.year, start.month, start.day, tzinfo=UTC))
        high = bisect_right(series.public_ms, _ms(as_of))
        low = max(bisect_left(series.times_ms, start_ms), high - need.limit)
        kept = series.rows[low:high]
        if not kept:
            return None
        data = Series(name=need.name, unit=entry.unit, symbol=need.symbol, rows=kept)
        return _observed(need, candidate, data, as_of, f"{series.digest}:{kept[0]}:{kept[-1]}")

    def _read_series(self, entry: SeriesEntry) -> _Series | None:
        """None for what is not recorded, or not as a series of that unit can be."""
        world = self._worlds.world(None, _LAST_MS)
        try:
            observations = world.economic_series(entry.id)
        except NotRecorded:
            return None
        allowed = RANGES.get(entry.unit, _ANY_AMOUNT)
        rows, public = [], []
        for item in observations:
            if item.value is None:
                continue
            above = item.value >= allowed.low if allowed.closed else item.value > allowed.low
            if not above or item.value > allowed.high:
                return None
            day = datetime.fromisoformat(item.date).replace(tzinfo=UTC)
            rows.append((_ms(day), item.value))
            public.append(_ms(published_at(entry.id, day.date())))
        times = tuple(row[0] for row in rows)
        if any(a >= b for a, b in pairwise(times)) or any(a > b for a, b in pairwise(public)):
            return None
        return _Series(tuple(rows), times, tuple(public), _digest(repr(rows)))


_LAST_MS: Final = 4_102_444_800_000 - 1


def _as_served(row: CandleRow) -> CandleRow:
    """The candle after it was written with eight decimals, as Binance does, and read again."""
    time_ms, *prices = row
    opened, high, low, close, volume = (float(f"{value:.8f}") for value in prices)
    return time_ms, opened, high, low, close, volume


def _observed(
    need: DataNeed, candidate: Candidate, data: Payload, as_of: datetime, cut: str
) -> Observation:
    newest = newest_time(data) or as_of
    refuse_future(newest, as_of, need.label)
    lineage = Lineage(
        observation_id=observation_id(need, candidate.provider_id),
        source=need.source,
        kind=need.kind,
        name=need.name,
        provider=candidate.provider_id,
        endpoint="recordings",
        symbol=need.symbol,
        observed_at=newest,
        fetched_at=clock.now(),
        payload_sha256=_digest(cut),
        payload_bytes=0,
        data_mode=DataMode.REPLAY,
        simulated=False,
    )
    return Observation(lineage=lineage, data=data)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
