"""The Celery application: ``celery -A sigmax_tasks worker|beat|flower`` finds it here.

The broker is ``celery -b``, SIGMAX_BROKER_URL, ``broker.url`` of runtime.yaml, or the Redis on
this machine, in that order.
"""

from __future__ import annotations

from sigmax_tasks.application import DEFAULT_BROKER_URL, make_app, survive_broker_restart
from sigmax_tasks.settings import load_settings

survive_broker_restart()
settings = load_settings().settings
app = make_app(settings.runtime, settings.runtime.broker.url or DEFAULT_BROKER_URL)
