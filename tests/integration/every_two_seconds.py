"""The application with times two seconds apart, for ``celery -A`` in tests; cron has no seconds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from celery.beat import BeatLazyFunc

from sigmax_tasks.celery import app
from sigmax_tasks.timetable import ZonedCrontab, current_slot

STEP = 2


class EveryTwoSeconds(ZonedCrontab):
    """Even seconds."""

    def next_after(self, moment: datetime) -> datetime:
        return self.latest(moment) + timedelta(seconds=STEP)

    def latest(self, moment: datetime) -> datetime:
        seconds = int(moment.timestamp())
        return datetime.fromtimestamp(seconds - seconds % STEP, UTC)

    def upcoming(self, moment: datetime) -> Iterator[datetime]:
        while True:
            moment = self.next_after(moment)
            yield moment


for entry in app.conf.beat_schedule.values():
    schedule = EveryTwoSeconds("* * * * *")
    entry["schedule"] = schedule
    entry["kwargs"]["slot"] = BeatLazyFunc(current_slot, schedule)
