"""The shipped age limits against the calendars by which macro series are published."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest

from sigmax_tasks.research.macro import FACTORS
from sigmax_tasks.settings import load_settings
from sigmax_tasks.simulator.holidays import bond_holidays
from sigmax_tasks.simulator.publication import RULES

SETTINGS = load_settings(environ={}).settings
IDS = {
    name: entry.id
    for name, entries in SETTINGS.sources.series["macro_data"].items()
    for entry in entries
    if entry.provider == "fred" and name in {factor.name for factor in FACTORS}
}
STEPS = {"fed_funds": "monthly", "m2": "monthly", "fed_balance_sheet": "wednesdays"}


def days_of(name: str) -> Iterator[date]:
    """The days that a series has values for, ten years of them."""
    day = date(2016, 1, 1)
    while day.year < 2026:
        step = STEPS.get(name)
        if step == "monthly":
            wanted = day.day == 1
        elif step == "wednesdays":
            wanted = day.weekday() == 2
        else:
            wanted = day.weekday() < 5 and day not in bond_holidays(day.year)
        if wanted:
            yield day
        day += timedelta(days=1)


def oldest_minutes(name: str) -> float:
    """The age of the newest public value right before the next one is published, at most."""
    rule = RULES[IDS[name]]
    return max(
        (rule(after) - datetime.combine(before, time(), UTC)).total_seconds() / 60
        for before, after in pairwise(days_of(name))
        if rule(after) > rule(before)
    )


@pytest.mark.parametrize("name", sorted(IDS))
def test_no_macro_series_is_stale_by_its_calendar_alone(name: str) -> None:
    limit = SETTINGS.decision.validation.age_limit_minutes("macro_data", "series", name)
    assert oldest_minutes(name) <= limit


def test_a_weekly_release_that_fails_to_come_is_seen_within_days() -> None:
    """A limit that allows for everything would show nothing."""
    limits = SETTINGS.decision.validation
    for name in ("dollar_index", "oil"):
        slack = limits.age_limit_minutes("macro_data", "series", name) - oldest_minutes(name)
        assert slack < 1440
