"""The Celery application: ``celery -A sigmax_tasks worker|beat|flower`` finds it here.

The broker is ``celery -b``, SIGMAX_BROKER_URL, ``broker.url`` of runtime.yaml, or the Redis on
this machine, in that order.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import signals

from sigmax_tasks.application import DEFAULT_BROKER_URL, make_app, survive_broker_restart
from sigmax_tasks.intake import guard_intake
from sigmax_tasks.logs import dress, set_levels
from sigmax_tasks.settings import load_settings
from sigmax_tasks.settings.layers import environment
from sigmax_tasks.timetable import beat_schedule

survive_broker_restart()
loaded = load_settings()
settings = loaded.settings


def dress_logs(logger: logging.Logger, **_: Any) -> None:
    """What Celery has set up gets our form of line, and single loggers their levels."""
    dress(logger, settings.runtime.logging.format)
    set_levels(
        settings.runtime.logging.levels,
        verbose_planning=settings.planning.features.verbose_planning,
    )


signals.after_setup_logger.connect(dress_logs)
signals.after_setup_task_logger.connect(dress_logs)
app = make_app(settings.runtime, settings.runtime.broker.url or DEFAULT_BROKER_URL)
guard_intake(app.tasks, settings.runtime.broker.max_message_bytes)
app.conf.beat_schedule = beat_schedule(settings.schedule, loaded.folder, environment())
