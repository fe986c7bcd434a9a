"""The times of schedule.yaml: cron expressions in their zones, and the table beat reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from celery.beat import BeatLazyFunc
from celery.schedules import ParseException, crontab, schedstate

from sigmax_planner.canvas import CONTROL_PRIORITY, CONTROL_QUEUE
from sigmax_tasks.data_choice import SIMULATOR_URL, check_server_url
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.settings.schedule import ScheduleEntry, ScheduleSettings

SUBMIT_SCHEDULED = "sigmax.submit_scheduled"
MESSAGE_HOURS = 24
"""A message that no worker took for this long is dropped."""

_ONE_DAY = timedelta(days=1)
_LONGEST_SEARCH_DAYS = 41 * 366  # a 29th of February on a given weekday, over a century


class ZonedCrontab(crontab):  # type: ignore[misc]  # Celery is untyped
    """Celery's crontab with a time zone of its own.

    Celery computes with one zone for all entries. Here each date's times are turned into UTC by
    the entry's zone. A local time that a clock change leaves out keeps its distance from the hour
    before; one that occurs twice counts once, unless every hour is asked for.
    """

    def __init__(self, expression: str, zone: str = "UTC", **kwargs: Any) -> None:
        minute, hour, day, month, weekday = expression.split()
        super().__init__(minute, hour, weekday, day, month, **kwargs)
        self.expression = expression
        self.zone = zone
        self._zone = ZoneInfo(zone)

    def next_after(self, moment: datetime) -> datetime:
        """The first time later than ``moment``, in UTC; ``ValueError`` when there is none."""
        day = moment.astimezone(self._zone).date() - _ONE_DAY
        for _ in range(_LONGEST_SEARCH_DAYS):
            for found in self._times_of(day):
                if found > moment:
                    return found
            day += _ONE_DAY
        raise ValueError(f"{self.expression!r} never comes")

    def latest(self, moment: datetime) -> datetime:
        """The last time up to ``moment``, in UTC; ``ValueError`` when there is none."""
        day = moment.astimezone(self._zone).date() + _ONE_DAY
        for _ in range(_LONGEST_SEARCH_DAYS):
            for found in reversed(self._times_of(day)):
                if found <= moment:
                    return found
            day -= _ONE_DAY
        raise ValueError(f"{self.expression!r} never came")

    def upcoming(self, moment: datetime) -> Iterator[datetime]:
        """All times later than ``moment``, in UTC."""
        while True:
            moment = self.next_after(moment)
            yield moment

    def remaining_estimate(self, last_run_at: datetime, **_: Any) -> timedelta:
        """Time until the first occurrence after ``last_run_at``; negative when it is over."""
        return self.next_after(_aware(last_run_at)) - _aware(self.now())

    def is_due(self, last_run_at: datetime) -> Any:
        """(due, seconds until the next time), as beat asks for it."""
        now = _aware(self.now())
        coming = self.next_after(_aware(last_run_at))
        if coming <= now:
            return schedstate(True, (self.next_after(now) - now).total_seconds())
        return schedstate(False, (coming - now).total_seconds())

    def _times_of(self, day: date) -> list[datetime]:
        if (
            day.month not in self.month_of_year
            or day.day not in self.day_of_month
            or day.isoweekday() % 7 not in self.day_of_week
        ):
            return []
        found = set()
        for hour in self.hour:
            for minute in self.minute:
                local = datetime.combine(day, time(hour, minute), self._zone)
                found.add(local.astimezone(UTC))
                again = local.replace(fold=1)
                if len(self.hour) == 24 and _utc_offset(again) < _utc_offset(local):
                    found.add(again.astimezone(UTC))
        return sorted(found)

    def __repr__(self) -> str:
        return f"<crontab: {self.expression} {self.zone}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ZonedCrontab):
            return NotImplemented
        return (self.expression, self.zone) == (other.expression, other.zone)

    __hash__ = None  # type: ignore[assignment]  # as Celery's

    def __reduce__(self) -> tuple[type[ZonedCrontab], tuple[str, str]]:
        return type(self), (self.expression, self.zone)


def crontab_of(name: str, entry: ScheduleEntry) -> ZonedCrontab:
    """The times of an entry; :class:`ConfigurationError` for an expression that is none."""
    try:
        return ZonedCrontab(entry.cron, entry.timezone)
    except (ValueError, TypeError, ParseException, IndexError) as error:
        raise ConfigurationError(
            f"schedules.{name}.cron {entry.cron!r} is not a cron expression: {error}",
            advice="write it like '0 8-20/4 * * mon-fri' (minute hour day month weekday)",
        ) from error


def current_slot(schedule: ZonedCrontab) -> int:
    """The time (unix seconds) that beat sends an entry for: the same on every beat."""
    return int(schedule.latest(_aware(schedule.now())).timestamp())


def beat_schedule(
    settings: ScheduleSettings, folder: Path, environ: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Celery's ``beat_schedule``. Its files are relative to ``folder``.

    The message holds the entry itself, so that workers need no schedule.yaml; not what is left out,
    so that older workers read all but what is new to them.
    """
    source_root = environ.get(SIMULATOR_URL, "").strip().rstrip("/") or None
    table = {}
    for name, entry in settings.schedules.items():
        schedule = crontab_of(name, entry)
        table[name] = {
            "task": SUBMIT_SCHEDULED,
            "schedule": schedule,
            "args": (name,),
            "kwargs": {
                "entry": entry.resolved(folder).model_dump(mode="json", exclude_none=True),
                "slot": BeatLazyFunc(current_slot, schedule),
                "source_root": source_root if entry.data == "simulated" else None,
            },
            "options": {
                "queue": CONTROL_QUEUE,
                "priority": CONTROL_PRIORITY,
                "expires": MESSAGE_HOURS * 3600,
            },
        }
    return table


def check_data_server(settings: ScheduleSettings, environ: Mapping[str, str]) -> None:
    """:class:`ConfigurationError` when an entry on simulated data has no data server."""
    url = environ.get(SIMULATOR_URL, "").strip()
    for name, entry in settings.schedules.items():
        if entry.data == "simulated":
            check_source_root(name, url)


def check_source_root(name: str, url: str | None) -> None:
    """:class:`ConfigurationError` unless ``url`` can be the data server of that entry."""
    if not url:
        raise ConfigurationError(
            f"schedule {name!r} is on simulated data and {SIMULATOR_URL} is not set",
            advice=f"start a data server with: sigmax simulate, and set {SIMULATOR_URL} to its "
            "address where beat starts",
        )
    check_server_url(url)


def _aware(moment: datetime) -> datetime:
    """In UTC; Celery takes times without a zone for UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _utc_offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()
