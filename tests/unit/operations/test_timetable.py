"""Cron expressions in their zones, against a search minute by minute."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from celery.schedules import crontab
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.settings.schedule import ScheduleEntry, ScheduleSettings
from sigmax_tasks.timetable import (
    ZonedCrontab,
    beat_schedule,
    check_data_server,
    crontab_of,
    current_slot,
)

BERLIN = "Europe/Berlin"
FORWARD = datetime(2025, 3, 30, tzinfo=UTC)  # 02:00 becomes 03:00 at 01:00 UTC
BACK = datetime(2025, 10, 26, tzinfo=UTC)  # 03:00 becomes 02:00 at 01:00 UTC


def times(expression: str, zone: str, start: datetime, count: int) -> list[str]:
    found = islice(ZonedCrontab(expression, zone).upcoming(start), count)
    return [f"{at:%m-%d %H:%M}" for at in found]


def entry(**changes: object) -> ScheduleEntry:
    return ScheduleEntry.model_validate({"cron": "0 8 * * *", "symbols": ["btc/usdt"], **changes})


def test_a_time_of_day_follows_the_zone_over_both_clock_changes() -> None:
    assert times("0 8 * * *", BERLIN, FORWARD - timedelta(days=1), 3) == [
        "03-29 07:00", "03-30 06:00", "03-31 06:00",
    ]  # fmt: skip
    assert times("0 8 * * *", BERLIN, BACK - timedelta(days=1), 3) == [
        "10-25 06:00", "10-26 07:00", "10-27 07:00",
    ]  # fmt: skip


def test_a_time_that_the_clock_leaves_out_comes_once_an_hour_later() -> None:
    assert times("30 2 * * *", BERLIN, FORWARD - timedelta(hours=12), 2) == [
        "03-30 01:30", "03-31 00:30",
    ]  # fmt: skip
    assert times("30 2,3 * * *", BERLIN, FORWARD, 2) == ["03-30 01:30", "03-31 00:30"]


def test_a_time_that_occurs_twice_comes_once_but_every_hour_means_every_hour() -> None:
    assert times("30 2 * * *", BERLIN, BACK, 2) == ["10-26 00:30", "10-27 01:30"]
    assert times("30 * * * *", BERLIN, BACK, 4) == [
        "10-26 00:30", "10-26 01:30", "10-26 02:30", "10-26 03:30",
    ]  # fmt: skip


def test_rare_dates_are_found() -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    assert ZonedCrontab("0 0 29 2 *").next_after(start) == datetime(2028, 2, 29, tzinfo=UTC)
    assert ZonedCrontab("0 0 29 2 mon").next_after(start) == datetime(2044, 2, 29, tzinfo=UTC)
    assert ZonedCrontab("0 0 29 2 *").latest(start) == datetime(2024, 2, 29, tzinfo=UTC)


FIELDS = st.tuples(
    st.sampled_from(["0", "*/15", "7,52", "30"]),
    st.sampled_from(["*", "2", "1-3", "*/6", "23,0"]),
    st.sampled_from(["*", "26-30", "1"]),
    st.sampled_from(["*", "3,10"]),
    st.sampled_from(["*", "sun", "mon-fri"]),
)


@settings(max_examples=40, deadline=None)
@given(
    fields=FIELDS,
    zone=st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", BERLIN]),
    day=st.integers(0, 364),
)
def test_away_from_clock_changes_it_is_what_a_search_of_all_minutes_finds(
    fields: tuple[str, ...], zone: str, day: int
) -> None:
    schedule = ZonedCrontab(" ".join(fields), zone)
    known = crontab(fields[0], fields[1], fields[4], fields[2], fields[3])
    start = datetime(2025, 1, 1, 0, 30, tzinfo=UTC) + timedelta(days=day)
    span = [start + timedelta(minutes=n) for n in range(1, 3 * 24 * 60)]
    locals_ = [at.astimezone(ZoneInfo(zone)) for at in span]
    if len({at.utcoffset() for at in locals_}) > 1:
        return
    expected = [
        at
        for at, local in zip(span, locals_, strict=True)
        if local.minute in known.minute
        and local.hour in known.hour
        and local.day in known.day_of_month
        and local.month in known.month_of_year
        and local.isoweekday() % 7 in known.day_of_week
    ]
    found = []
    for at in schedule.upcoming(start):
        if at > span[-1]:
            break
        found.append(at)
    assert found == expected
    if expected:
        assert schedule.latest(span[-1]) == expected[-1]


def test_beat_is_told_when_it_is_due_and_how_long_to_sleep() -> None:
    now = datetime(2025, 6, 2, 6, 0, 10, tzinfo=UTC)
    schedule = ZonedCrontab("0 8 * * *", BERLIN, nowfun=lambda: now)
    day = 86_400
    assert schedule.is_due(now - timedelta(days=3)) == (True, day - 10)
    assert schedule.is_due(now - timedelta(seconds=5)) == (False, day - 10)
    naive = (now - timedelta(days=1)).replace(tzinfo=None)
    assert schedule.is_due(naive) == (True, day - 10), "naive is UTC"
    assert current_slot(schedule) == int(datetime(2025, 6, 2, 6, tzinfo=UTC).timestamp())


def test_two_beats_with_different_clocks_name_the_same_slot() -> None:
    first = datetime(2025, 6, 2, 6, 0, 0, tzinfo=UTC)
    slots = {
        current_slot(
            ZonedCrontab("0 8 * * *", BERLIN, nowfun=lambda at=at: first + timedelta(seconds=at))
        )
        for at in (0, 3, 59)
    }
    assert len(slots) == 1


def test_it_survives_pickling_and_differs_by_zone() -> None:
    schedule = ZonedCrontab("0 8 * * *", BERLIN)
    assert pickle.loads(pickle.dumps(schedule)) == schedule  # noqa: S301  # our own bytes
    assert schedule != ZonedCrontab("0 8 * * *", "UTC")


@pytest.mark.parametrize(
    "cron",
    ["61 * * * *", "* 24 * * *", "* * 31 2 *", "* * * * funday", "*/0 * * * *", "a,b * * * *"],
)
def test_a_wrong_expression_is_one_clear_line(cron: str) -> None:
    with pytest.raises(ConfigurationError, match=r"schedules\.daily\.cron"):
        crontab_of("daily", entry(cron=cron))


def test_the_message_holds_the_entry_with_an_absolute_watchlist(tmp_path: Path) -> None:
    table = beat_schedule(
        ScheduleSettings(
            schedules={
                "daily": entry(watchlist="majors.txt", portfolio="held.yaml", data="simulated")
            }
        ),
        tmp_path,
        {"SIGMAX_SIMULATOR_URL": "http://127.0.0.1:8799/"},
    )
    sent = table["daily"]["kwargs"]
    assert sent["entry"]["watchlist"] == str(tmp_path / "majors.txt")
    assert sent["entry"]["portfolio"] == str(tmp_path / "held.yaml")
    assert sent["source_root"] == "http://127.0.0.1:8799"
    assert ScheduleEntry.model_validate(sent["entry"]).symbols == ("BTC/USDT",)


def test_what_an_entry_leaves_out_is_not_sent_so_that_older_workers_read_it(tmp_path: Path) -> None:
    sent = beat_schedule(ScheduleSettings(schedules={"daily": entry()}), tmp_path, {})
    message = sent["daily"]["kwargs"]["entry"]
    assert "portfolio" not in message
    assert ScheduleEntry.model_validate(message) == entry()


def test_simulated_data_need_a_server_that_is_named() -> None:
    simulated = ScheduleSettings(schedules={"daily": entry(data="simulated")})
    with pytest.raises(ConfigurationError, match="SIGMAX_SIMULATOR_URL is not set"):
        check_data_server(simulated, {})
    with pytest.raises(ConfigurationError, match="not an http address"):
        check_data_server(simulated, {"SIGMAX_SIMULATOR_URL": "127.0.0.1:8799"})
    check_data_server(simulated, {"SIGMAX_SIMULATOR_URL": "http://127.0.0.1:8799"})
    check_data_server(ScheduleSettings(schedules={"daily": entry()}), {})
