"""What ``sigmax metrics`` serves and prints."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click
import redis

from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cli.options import config_path
from sigmax_tasks.cluster import running_cluster
from sigmax_tasks.cluster_link import connect, reachable
from sigmax_tasks.errors import ClusterUnreachableError, ConfigurationError
from sigmax_tasks.logs import log_to_stderr, set_levels
from sigmax_tasks.notifications.alerts import AlertTeller
from sigmax_tasks.notifications.courier import start_courier
from sigmax_tasks.report.metrics_view import metrics_view
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.settings import Settings, load_settings
from sigmax_tasks.store import RunStore
from sigmax_tasks.telemetry.alert_book import AlertChange
from sigmax_tasks.telemetry.alert_rules import rules_text
from sigmax_tasks.telemetry.endpoint import ClusterReader, MetricsServer, as_text, registry_of
from sigmax_tasks.telemetry.figures import figures_of
from sigmax_tasks.telemetry.reading import Reading, read_cluster
from sigmax_tasks.telemetry.watch import AlertWatch, sentence

_ANSWER_SECONDS = 3.0
"""A scrape lasts no longer than about twice this, whatever Redis does."""


def serve(
    host: str,
    port: str,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> int:
    """Until Ctrl-C. A Redis that is away is a metric and no reason to stop."""
    if not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or int(port) > 65_535:
        raise ConfigurationError(f"--port {port!r} is not a port from 0 to 65535")
    settings = load_settings(config_path(config_dir), overrides).settings
    log_to_stderr(settings.runtime.logging.level, settings.runtime.logging.format)
    set_levels(settings.runtime.logging.levels)
    url = _address(settings, broker)
    with _client(url, settings) as client:
        reader = ClusterReader(client, settings)
        targets = settings.planning.monitoring.targets
        stop = threading.Event()
        teller = AlertTeller(settings.runtime.notifications, client)
        start_courier(
            client, RunStore(client, settings.runtime), settings.runtime.notifications, stop
        )

        def tell(change: AlertChange) -> None:
            teller.tell(change.rule.name, sentence(change), firing=change.firing)

        watch = AlertWatch(settings, reader, tell, teller.known())
        registry = registry_of(reader, targets, lambda: watch.firing)
        server = MetricsServer(registry, host, int(port))
        server.start()
        try:
            click.echo(f"metrics on {server.url}")
            watch.run(stop)
        finally:
            stop.set()
            server.stop()
    return ExitCode.OK


def print_metrics(broker: str | None, config_dir: str | None, overrides: tuple[str, ...]) -> int:
    """The text that Prometheus would get."""
    settings, reading = _read(broker, config_dir, overrides)
    targets = settings.planning.monitoring.targets
    click.echo(as_text(registry_of(lambda: reading, targets)), nl=False)
    return ExitCode.OK


def print_summary(broker: str | None, config_dir: str | None, overrides: tuple[str, ...]) -> int:
    """The main figures since counting began, beside their targets."""
    settings, reading = _read(broker, config_dir, overrides)
    figures = figures_of(reading, settings.planning.monitoring.targets)
    Terminal.of_streams().result(metrics_view(reading, figures))
    return ExitCode.OK


def print_rules(config_dir: str | None, overrides: tuple[str, ...]) -> int:
    """The alert rules of this configuration, for Prometheus."""
    settings = load_settings(config_path(config_dir), overrides).settings
    click.echo(rules_text(settings), nl=False)
    return ExitCode.OK


def _read(
    broker: str | None, config_dir: str | None, overrides: tuple[str, ...]
) -> tuple[Settings, Reading]:
    settings = load_settings(config_path(config_dir), overrides).settings
    url = _address(settings, broker)
    with _client(url, settings) as client, reachable(url):
        return settings, read_cluster(client, settings)


def _address(settings: Settings, broker: str | None) -> str:
    cluster = running_cluster(settings, broker)
    if cluster is None:
        raise ClusterUnreachableError(
            "no cluster runs here, and a private one lives only as long as its command",
            advice="start one with: sigmax up, or name its Redis with --broker or "
            "SIGMAX_BROKER_URL",
        )
    return cluster.broker_url


@contextmanager
def _client(url: str, settings: Settings) -> Iterator[redis.Redis]:
    client = connect(
        url,
        connect_timeout_seconds=settings.runtime.broker.connect_timeout_seconds,
        answer_timeout_seconds=_ANSWER_SECONDS,
    )
    try:
        yield client
    finally:
        client.close()
