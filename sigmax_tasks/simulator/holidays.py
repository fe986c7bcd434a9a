"""When American exchanges and bond markets rest.

Bond holidays are the days on which FRED and the Treasury have no yields.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache


@lru_cache(maxsize=256)
def holidays(year: int) -> frozenset[date]:
    """Full holidays of the New York Stock Exchange by today's rules, without days of mourning."""
    found = {
        _nth_weekday(year, 1, 0, 3),
        _nth_weekday(year, 2, 0, 3),
        _easter(year) - timedelta(days=2),
        _nth_weekday(year, 6, 0, 1) - timedelta(days=7),
        _nth_weekday(year, 9, 0, 1),
        _nth_weekday(year, 11, 3, 4),
        _observed(date(year, 7, 4)),
        _observed(date(year, 12, 25)),
    }
    if year >= 2022:
        found.add(_observed(date(year, 6, 19)))
    new_year = date(year, 1, 1)
    if new_year.weekday() != 5:  # on a Saturday it is not moved into the old year
        found.add(_observed(new_year))
    return frozenset(found)


@lru_cache(maxsize=256)
def bond_holidays(year: int) -> frozenset[date]:
    """The days on which bonds rest: those of the exchanges, Columbus Day and Veterans Day."""
    return holidays(year) | {_nth_weekday(year, 10, 0, 2), _observed(date(year, 11, 11))}


def next_business_day(day: date) -> date:
    """The next day from Monday to Friday that is no bond holiday."""
    day += timedelta(days=1)
    while day.weekday() >= 5 or day in bond_holidays(day.year):
        day += timedelta(days=1)
    return day


def _observed(day: date) -> date:
    """Saturday's holiday is kept on Friday, Sunday's on Monday."""
    return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _easter(year: int) -> date:
    """Western Easter by the anonymous Gregorian rule (Meeus, Astronomical Algorithms)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = b // 4, b % 4
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    j = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * j) // 451
    month, day = divmod(h + j - 7 * m + 114, 31)
    return date(year, month, day + 1)
