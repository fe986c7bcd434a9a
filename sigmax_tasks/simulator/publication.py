"""When an economic value becomes public, so that no world shows it too early.

The rules stand for the usual release calendars, with no table of the actual release days. Where a
release time varies, the rule takes a late one, so a value may appear some hours or days after it
really did (conservative) but not before it, except after an unusual delay such as a closed
government. Revisions are not known to the recordings: a value is the last revision, from its first
release on.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Final

from sigmax_tasks.simulator.holidays import next_business_day

Rule = Callable[[date], datetime]


def _at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), UTC)


def _next_business_evening(day: date) -> datetime:
    return _at(next_business_day(day), 22)


def _days(count: int, hour: int = 22) -> Rule:
    return lambda day: _at(day + timedelta(days=count), hour)


def _week_after(day: date) -> datetime:
    """Daily values published once a week: 22:00 UTC on the first business day after their week."""
    return _at(next_business_day(day + timedelta(days=6 - day.weekday())), 22)


# Rule, and how late it is against the usual release of the series:
RULES: Final = MappingProxyType(
    {
        # daily rates and markets come the next business day about 20:15 UTC: about two hours late
        **dict.fromkeys(
            (
                *("DGS1MO", "DGS3MO", "DGS6MO", "DGS1", "DGS2", "DGS3", "DGS5", "DGS7"),
                *("DGS10", "DGS20", "DGS30", "T10Y2Y", "T10Y3M", "T10YIE"),
                *("VIXCLS", "SP500", "NASDAQCOM", "DJIA", "RRPONTSYD"),
            ),
            _next_business_evening,
        ),
        # oil prices lag by some business days: a week
        "DCOILWTICO": _days(7),
        # H.10, Monday 20:15 UTC or 21:15 in winter, Tuesday after a holiday: up to two hours late
        "DTWEXBGS": _week_after,
        # Wednesday level, H.4.1 on Thursday 20:30 or 21:30 UTC, Friday after a holiday
        "WALCL": _next_business_evening,
        "WTREGEN": _next_business_evening,
        # week ending Saturday, published Thursday 12:30 UTC: ten hours late
        "ICSA": _days(5),
        # week ending Friday, published the Thursday after: a day late
        "STLFSI4": _days(7),
        # Monthly, counted from the first of the month the value is for. Each is the latest
        # regular release day since 2017, so in most months it is some days late.
        # 10th to 15th of the next month
        "CPIAUCSL": _days(45),
        "CPILFESL": _days(45),
        # first Friday, but up to the 10th of January for December
        "UNRATE": _days(40),
        "PAYEMS": _days(40),
        # fourth Tuesday of the next month
        "M2SL": _days(58),
        # end of the next month, at times the first of the one after
        "PCEPILFE": _days(62),
        # first business days of the next month
        "FEDFUNDS": _days(35),
        # FRED shows it a month after the source does, at the source's wish
        "UMCSENT": _days(61),
        # quarterly, from the first day of the quarter: the first estimate
        "GDP": _days(123),
    }
)

_UNLISTED: Final = _days(60)


def published_at(series_id: str, day: date) -> datetime:
    """First moment the value of `day` may be seen; a series without a rule waits sixty days."""
    return RULES.get(series_id, _UNLISTED)(day)


def bar_visible_at(day: date, *, around_the_clock: bool) -> datetime:
    """When a daily bar is final: a quarter past the New York close in winter, or UTC midnight."""
    if around_the_clock:
        return _at(day + timedelta(days=1), 0)
    return _at(day, 21, 15)


def hash_rate_visible_at(day: date) -> datetime:
    """Daily chain statistics appear in the course of the next day: the day after that is safe."""
    return _at(day + timedelta(days=2), 0)
