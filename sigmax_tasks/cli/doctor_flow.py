"""The checks of ``sigmax doctor``, and what it prints."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import Any

from sigmax_tasks import clock
from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cluster import running_cluster
from sigmax_tasks.errors import ClusterUnreachableError, ConfigurationError
from sigmax_tasks.llm.readiness import check_key, readiness_line
from sigmax_tasks.redact import redact_url
from sigmax_tasks.report.doctor_view import ClusterHealth, doctor_view
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.settings import Settings
from sigmax_tasks.sources.desk_status import ProviderStatus, desk_status
from sigmax_tasks.store import RunStore, connect, reachable


def examine(settings: Settings, broker: str | None, *, providers: bool, as_json: bool) -> int:
    """Exit code 0 when there are workers, 4 when there are none or the broker is away."""
    cluster = running_cluster(settings, broker)
    if cluster is None:
        raise ClusterUnreachableError(
            "no cluster runs here, and a private one lives only as long as its command",
            advice="start one with: sigmax up, or name its Redis with --broker or "
            "SIGMAX_BROKER_URL",
        )
    url = cluster.broker_url
    seconds = settings.runtime.broker.connect_timeout_seconds
    with closing(connect(url, connect_timeout_seconds=seconds)) as client, reachable(url):
        client.ping()
        began = clock.monotonic()
        server: Any = client.info("server")
        health = ClusterHealth(
            broker=redact_url(url),
            redis_version=str(server.get("redis_version", "unknown")),
            answers_in_ms=round((clock.monotonic() - began) * 1000, 1),
            workers=RunStore(client, settings.runtime).workers(),
            debate=_debate_line(settings),
        )
        found = desk_status(client, settings.sources) if providers else ()
    terminal = Terminal.of_streams()
    if as_json:
        terminal.write_json(_as_json(health, found if providers else None))
    else:
        terminal.result(doctor_view(health, found, clock.now()))
    return ExitCode.OK if health.workers else ExitCode.UNREACHABLE


def _debate_line(settings: Settings) -> str:
    """Who holds the debates; says so where the key is not in the environment here."""
    line = readiness_line(settings.decision.debate).removeprefix("debate: ")
    try:
        check_key(settings.decision.debate)
    except ConfigurationError as error:
        return f"{line}; here {error}: without it a worker lets the rules take over"
    return line


def _as_json(health: ClusterHealth, providers: tuple[ProviderStatus, ...] | None) -> dict[str, Any]:
    shown = {**asdict(health), "workers": list(health.workers)}
    if providers is not None:
        shown["providers"] = [
            {
                **asdict(status),
                "last_error_at": status.last_error_at and status.last_error_at.isoformat(),
                "last_answer_at": status.last_answer_at and status.last_answer_at.isoformat(),
            }
            for status in providers
        ]
    return shown
