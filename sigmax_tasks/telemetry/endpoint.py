"""The HTTP endpoint that Prometheus scrapes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import redis
from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app

from sigmax_planner.policy import Targets
from sigmax_tasks import clock
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.settings import Settings
from sigmax_tasks.telemetry.families import ClusterCollector
from sigmax_tasks.telemetry.reading import Reading, read_cluster

logger = logging.getLogger(__name__)

_FRESH_SECONDS = 1.0
"""Who asks again within this time gets the same reading."""


class ClusterReader:
    """Reads one cluster for all who ask; thread-safe. A Redis that is away gives an empty reading.

    ``client`` decodes its answers to text.
    """

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._lock = threading.Lock()
        self._latest: tuple[float, Reading] | None = None

    def __call__(self) -> Reading:
        with self._lock:
            if self._latest is not None and clock.monotonic() - self._latest[0] < _FRESH_SECONDS:
                return self._latest[1]
            was_up = self._latest is None or self._latest[1].answers_in_seconds is not None
            try:
                reading = read_cluster(self._client, self._settings)
            except redis.RedisError as error:
                if was_up:
                    logger.warning("metrics: Redis does not answer (%s)", type(error).__name__)
                reading = Reading(answers_in_seconds=None)
            self._latest = (clock.monotonic(), reading)
            return reading


def registry_of(
    read: Callable[[], Reading],
    targets: Targets,
    firing: Callable[[], Mapping[str, bool]] = dict,
) -> CollectorRegistry:
    """A registry of the cluster's metrics alone; ``firing`` gives the alerts by name."""
    registry = CollectorRegistry()
    registry.register(ClusterCollector(read, targets, firing))
    return registry


def as_text(registry: CollectorRegistry) -> str:
    """The metrics in the text format of Prometheus."""
    return generate_latest(registry).decode()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of http.server
        """A scrape is no news."""

    def handle(self) -> None:
        with suppress(ConnectionError, TimeoutError):
            super().handle()


class MetricsServer:
    """Serves a registry on ``http://host:port/metrics`` from a thread, until :meth:`stop`.

    Raises :class:`ConfigurationError` where the port cannot be had.
    """

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        try:
            self._server = make_server(
                host, port, make_wsgi_app(registry), server_class=_Server, handler_class=_Handler
            )
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"metrics cannot be served on {host} port {port}: {error}",
                advice="choose another --port; 0 takes a free one",
            ) from error
        self.url = f"http://{host}:{self._server.server_port}/metrics"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="sigmax-metrics", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
