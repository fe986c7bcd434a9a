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

Rule = Callable[[date], datetime]


def _at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), UTC)


def next_business_day(day: date) -> date:
    """The next Monday to Friday; public holidays are not known here."""
    day += timedelta(days=1)
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return day


def _next_business_evening(day: date) -> datetime:
    return _at(next_business_day(day), 22)


def _days(count: int, hour: int = 22) -> Rule:
    return lambda day: _at(day + timedelta(days=count), hour)


def _week_after(day: date) -> datetime:
    """Daily values that are published once a week: 21:00 UTC on the Monday after their week."""
    return _at(day + timedelta(days=7 - day.weekday()), 21)


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
        # Board of Governors H.10, Monday 20:15 UTC; after a holiday Monday it comes on Tuesday
        "DTWEXBGS": _week_after,
        # Wednesday level, published Thursday 20:30 UTC: an hour and a half late
        "WALCL": _days(1),
        "WTREGEN": _days(1),
        # week ending Saturday, published Thursday 12:30 UTC: ten hours late
        "ICSA": _days(5),
        # week ending Friday, published the Thursday after
        "STLFSI4": _days(7),
        # monthly, counted from the first of the month the value is for: one to eight days late
        "CPIAUCSL": _days(45),
        "CPILFESL": _days(45),
        "UNRATE": _days(37),
        "PAYEMS": _days(37),
        "M2SL": _days(56),
        "PCEPILFE": _days(60),
        "FEDFUNDS": _days(33),
        # final reading at the end of its own month
        "UMCSENT": _days(30),
        # quarterly, from the first day of the quarter: the first estimate, some days late
        "GDP": _days(120),
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
