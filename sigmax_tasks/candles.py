"""Candle arithmetic: the time frames and how fine candles make coarse ones.

A row is ``(open_time_ms, open, high, low, close, volume)``; times are unix milliseconds, UTC.
Buckets start at multiples of their length counted from the unix epoch, except weeks, which start
on Monday 00:00 UTC (the epoch was a Thursday).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

CandleRow = tuple[int, float, float, float, float, float]

TIMEFRAME_SECONDS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "1m": 60,
        "5m": 300,
        "15m": 900,
        "30m": 1_800,
        "1h": 3_600,
        "2h": 7_200,
        "4h": 14_400,
        "6h": 21_600,
        "12h": 43_200,
        "1d": 86_400,
        "1w": 604_800,
    }
)

_WEEK: Final = 604_800
_FIRST_MONDAY_MS: Final = 4 * 86_400_000


def timeframe_seconds(name: str) -> int:
    """Length of a time frame in seconds; ValueError for a name that is not in TIMEFRAME_SECONDS."""
    try:
        return TIMEFRAME_SECONDS[name]
    except KeyError:
        known = ", ".join(TIMEFRAME_SECONDS)
        raise ValueError(f"unknown time frame {name!r}; known: {known}") from None


def bucket_start_ms(time_ms: int, seconds: int) -> int:
    """Open time of the candle of `seconds` length that contains `time_ms`."""
    length = seconds * 1000
    origin = _FIRST_MONDAY_MS if seconds % _WEEK == 0 else 0
    return (time_ms - origin) // length * length + origin


def aggregate_candles(
    rows: Iterable[CandleRow],
    from_seconds: int,
    to_seconds: int,
    *,
    require_complete: bool = True,
) -> list[CandleRow]:
    """Candles of `to_seconds` made of the `from_seconds` candles in `rows`, oldest first.

    `rows` must be in strictly rising time order and aligned to their own length, and `to_seconds` a
    multiple of `from_seconds`; anything else raises ValueError. A bucket that lacks a sub-candle is
    left out. With ``require_complete=False`` every bucket with at least one sub-candle is kept, the
    first and the last, possibly still running, included: cut those yourself.
    """
    if from_seconds <= 0 or to_seconds <= 0 or to_seconds % from_seconds:
        raise ValueError(f"cannot make {to_seconds} s candles of {from_seconds} s candles")
    needed = to_seconds // from_seconds if require_complete else 1
    return [
        _merge(start, members)
        for start, members in _buckets(rows, from_seconds, to_seconds)
        if len(members) >= needed
    ]


def _buckets(
    rows: Iterable[CandleRow], from_seconds: int, to_seconds: int
) -> Iterator[tuple[int, list[CandleRow]]]:
    current: int | None = None
    members: list[CandleRow] = []
    previous: int | None = None
    for row in rows:
        time_ms = row[0]
        if previous is not None and time_ms <= previous:
            raise ValueError(f"candle times must rise: {time_ms} follows {previous}")
        if bucket_start_ms(time_ms, from_seconds) != time_ms:
            raise ValueError(f"candle time {time_ms} is not a multiple of {from_seconds} s")
        previous = time_ms
        start = bucket_start_ms(time_ms, to_seconds)
        if start != current:
            if current is not None:
                yield current, members
            current, members = start, []
        members.append(row)
    if current is not None:
        yield current, members


def _merge(start_ms: int, members: list[CandleRow]) -> CandleRow:
    return (
        start_ms,
        members[0][1],
        max(row[2] for row in members),
        min(row[3] for row in members),
        members[-1][4],
        sum(row[5] for row in members),
    )
