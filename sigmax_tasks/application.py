"""Makes Celery applications of ours. Settings follow the measurements in docs/ARCHITECTURE.md."""

from __future__ import annotations

from typing import Any

import redis
from celery import Celery
from kombu import Queue
from kombu.transport import redis as kombu_redis

from sigmax_planner.canvas import (
    CONTROL_QUEUE,
    PRIORITY_SEPARATOR,
    PRIORITY_STEPS,
    RESEARCH_QUEUE,
)
from sigmax_tasks.broker_url import celery_tls, checked_broker_url
from sigmax_tasks.channel import use_lean_transport
from sigmax_tasks.places import data_folder
from sigmax_tasks.settings.runtime import RuntimeSettings

DEFAULT_BROKER_URL = "redis://127.0.0.1:6379/0"
RESULT_BACKEND = "sigmax_tasks.result_backend.Backend"
EVENTS = "sigmax_tasks.worker_events:Events"
ANSWER_TIMEOUT_SECONDS = 5.0
"""How long Celery waits for an answer of Redis: some times in a row while a worker stops."""


def survive_broker_restart() -> None:
    """Keep a busy worker alive when Redis goes away while it holds unacknowledged messages.

    kombu then asks for connection parameters of a connection that is already gone and dies of an
    AttributeError; a ConnectionError in its place makes the worker reconnect.
    """
    channel: Any = kombu_redis.Channel  # its parameters have no public hook
    original = channel._connparams

    def connparams(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.connection.client is None:
            raise redis.ConnectionError("the broker connection is closed")
        return original(self, *args, **kwargs)

    channel._connparams = connparams


def make_app(runtime: RuntimeSettings, broker_url: str) -> Celery:
    """An application on that broker, which also holds the (tiny, short-lived) results."""
    use_lean_transport()
    broker_url = checked_broker_url(broker_url)
    tls = celery_tls(broker_url)
    app = Celery(
        "sigmax", broker=broker_url, backend=f"{RESULT_BACKEND}+{broker_url}", events=EVENTS
    )
    app.conf.update(
        # For Flower, which does not read it from the address.
        broker_use_ssl=tls,
        include=[
            "sigmax_tasks.tasks",
            "sigmax_tasks.sweeper",
            "sigmax_tasks.schedule",
            "sigmax_tasks.evaluation.chunk_task",
        ],
        # JSON only: a pickled message is refused.
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        task_queues=(Queue(CONTROL_QUEUE), Queue(RESEARCH_QUEUE)),
        task_default_queue=CONTROL_QUEUE,
        task_create_missing_queues=False,
        broker_connection_retry_on_startup=True,
        # A Redis that takes no writes for a while (its disk or memory is full) ends no worker.
        broker_channel_error_retry=True,
        broker_connection_timeout=runtime.broker.connect_timeout_seconds,
        broker_transport_options={
            "visibility_timeout": runtime.broker.visibility_timeout_seconds,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "priority_steps": list(PRIORITY_STEPS),
            "sep": PRIORITY_SEPARATOR,
            "reserved_turn_every": runtime.worker.reserved_turn_every,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "socket_connect_timeout": runtime.broker.connect_timeout_seconds,
            # A connection that is dead at the other end only would be waited for without an end.
            "socket_timeout": ANSWER_TIMEOUT_SECONDS,
        },
        # A message is acknowledged when its work is done, so a dead worker's work is redelivered.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_deduplicate_successful_tasks=False,
        # Header results are stored (ignoring them leaks subscriptions) but live shortly.
        result_expires=900,
        result_backend_thread_safe=True,
        redis_socket_keepalive=True,
        redis_socket_timeout=ANSWER_TIMEOUT_SECONDS,
        redis_socket_connect_timeout=runtime.broker.connect_timeout_seconds,
        redis_backend_health_check_interval=25,
        worker_pool=runtime.worker.pool,
        worker_concurrency=runtime.worker.concurrency,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        enable_utc=True,
        timezone="UTC",
        beat_scheduler="sigmax_tasks.beat:FileScheduler",
        beat_schedule_filename=str(data_folder() / "beat.json"),
        beat_sync_every=1,
        beat_max_loop_interval=30,
    )
    return app
