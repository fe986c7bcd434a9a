"""The ranges that values of a unit can lie in, and times that can be meant.

What is outside is not what the provider promises: the answer is refused as a whole, because a
number that cannot be says that others may be wrong as well. Zero is no value of a price or an
index; where a provider writes 0 for what it does not know, its adapter leaves that out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from sigmax_tasks.models.observations import DataNeed, Measure, Measures, Observation
from sigmax_tasks.sources.call import Call, from_ms

EARLIEST_MS: Final = 1_230_768_000_000
"""2009-01-01: the newest value of anything asked for here is later."""
LATEST_MS: Final = 4_102_444_800_000
_OLDEST_MS: Final = -6_000_000_000_000
_HUGE: Final = 1e30


class Range(NamedTuple):
    """``low`` itself is allowed where ``closed``."""

    low: float
    high: float
    closed: bool = True


_AMOUNT: Final = Range(0.0, _HUGE)
_PRICE: Final = Range(0.0, _HUGE, closed=False)
RANGES: Final[Mapping[str, Range]] = MappingProxyType(
    {
        "percent": Range(-100.0, 1e7),
        "percentage points": Range(-100.0, 100.0),
        "fraction": Range(0.0, 1.0),
        "points": _PRICE,
        "USD/oz": _PRICE,
        "USD/barrel": Range(-1_000.0, 100_000.0),  # it was negative once, on 2020-04-20
        "sat/vB": Range(0.0, 1e9, closed=False),
        "gwei": Range(0.0, 1e9),
        "rank": Range(1.0, 1e7),
    }
)
"""By unit; amounts of anything else (USD, coins, addresses, ratios) are not negative."""


def check_value(call: Call, name: str, value: float, unit: str) -> None:
    """:class:`BadPayloadError` for a value that this unit cannot have."""
    allowed = RANGES.get(unit, _AMOUNT)
    above = value >= allowed.low if allowed.closed else value > allowed.low
    if not (math.isfinite(value) and above and value <= allowed.high):
        raise call.bad(f"{name[:40]} of {value:g} {unit} is impossible")


def check_newest(call: Call, time_ms: float) -> datetime:
    """The time as a moment; :class:`BadPayloadError` for one in another unit, or no time."""
    if not EARLIEST_MS <= time_ms <= LATEST_MS:
        raise call.bad(f"{time_ms:g} is not a recent time in milliseconds")
    return from_ms(int(time_ms))


def observe_series(need: DataNeed, call: Call, points: Sequence[tuple[int, float]]) -> Observation:
    """:meth:`Call.observe_series` of values that can be, at times that can be."""
    entry = call.series_entry()
    for time_ms, value in points:
        check_value(call, entry.id, value, entry.unit)
        if time_ms < _OLDEST_MS:
            raise call.bad(f"{time_ms} is not a time in milliseconds")
    if points:
        check_newest(call, max(time_ms for time_ms, _ in points))
    return call.observe_series(need, points)


def observe_measures(
    need: DataNeed,
    call: Call,
    subject: str,
    values: Sequence[Measure],
    moment: datetime | None = None,
) -> Observation:
    """:class:`Measures` of values that can be; :class:`BadPayloadError` where there is none."""
    if not values:
        raise call.bad(f"no numbers about {subject[:60]}")
    for measure in values:
        check_value(call, measure.name, measure.value, measure.unit)
    if moment is not None:
        check_newest(call, moment.timestamp() * 1000)
    data = Measures(subject=subject, symbol=need.symbol, values=tuple(values))
    return call.observe(need, data, moment)
