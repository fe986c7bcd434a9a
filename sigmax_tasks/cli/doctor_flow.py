"""What ``sigmax doctor`` looks at, in which order, and what it prints."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import redis

from sigmax_tasks import clock
from sigmax_tasks.application import make_app
from sigmax_tasks.checkup.broker import BrokerFacts, broker_facts, broker_findings
from sigmax_tasks.checkup.finding import Finding, worst
from sigmax_tasks.checkup.place import data_findings, secret_findings
from sigmax_tasks.checkup.queues import queue_findings
from sigmax_tasks.checkup.workers import worker_findings
from sigmax_tasks.cli.config_flow import check_configuration
from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cluster import running_cluster
from sigmax_tasks.cluster_link import connect, reachable
from sigmax_tasks.errors import ClusterUnreachableError, ConfigurationError, SigmaxError
from sigmax_tasks.llm.readiness import check_key, readiness_line
from sigmax_tasks.models.worker import WorkerFacts
from sigmax_tasks.places import data_folder
from sigmax_tasks.redact import redact_url
from sigmax_tasks.report.doctor_view import doctor_view
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.settings import LoadedSettings, Settings
from sigmax_tasks.sources.desk_status import ProviderStatus, desk_status
from sigmax_tasks.store import RunStore

PING_SECONDS = 3.0
_START = "start one with: sigmax up, or name its Redis with --broker or SIGMAX_BROKER_URL"


@dataclass
class _Examination:
    """What is known so far."""

    broker: str = ""
    facts: BrokerFacts | None = None
    workers: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    providers: tuple[ProviderStatus, ...] = ()


def examine(
    loaded: LoadedSettings, broker: str | None, *, providers: bool, as_json: bool
) -> ExitCode:
    """4 when nothing can be researched, 2 for any other problem, else 0."""
    settings = loaded.settings
    seen = _Examination()
    cluster = running_cluster(settings, broker)
    if cluster is None:
        said = "no cluster runs here; a private one lives only as long as its command"
        seen.findings.append(Finding("broker", "reach", "problem", said, _START, stops_work=True))
    else:
        seen.broker = redact_url(cluster.broker_url)
        try:
            with reachable(cluster.broker_url):
                _examine_cluster(seen, settings, cluster.broker_url, providers=providers)
        except ClusterUnreachableError as error:
            problem = Finding("broker", "reach", "problem", str(error), stops_work=True)
            seen.findings.append(problem)
    seen.findings += _local(loaded)
    terminal = Terminal.of_streams()
    if as_json:
        terminal.write_json(_as_json(seen, providers=providers))
    else:
        terminal.result(doctor_view(seen.broker, seen.findings, seen.providers, clock.now()))
    if any(f.stops_work for f in seen.findings if f.state == "problem"):
        return ExitCode.UNREACHABLE
    return ExitCode.USAGE if worst(seen.findings) == "problem" else ExitCode.OK


def _examine_cluster(seen: _Examination, settings: Settings, url: str, *, providers: bool) -> None:
    seconds = settings.runtime.broker.connect_timeout_seconds
    with closing(connect(url, connect_timeout_seconds=seconds)) as client:
        store = RunStore(client, settings.runtime)
        seen.facts = broker_facts(client)
        seen.workers = store.workers()
        told = store.worker_facts()
        seen.findings += broker_findings(seen.facts, url, len(seen.workers))
        names = sorted({each.name for each in told.values()})
        answered = _pinged(settings, url, names) if seen.workers else frozenset[str]()
        seen.findings += worker_findings(seen.workers, told, answered, _here())
        at_redis: Any = client.time()
        slots = sum(each.concurrency for each in told.values())
        seen.findings += queue_findings(
            client, store, settings.runtime, now=float(at_redis[0]), slots=slots
        )
        if providers:
            seen.providers = desk_status(client, settings.sources)
            seen.findings += _provider_findings(seen.providers)


def _pinged(settings: Settings, url: str, names: list[str]) -> frozenset[str] | None:
    """Those of the named workers that answer; None where this user of Redis may not ask.

    It takes until the last has answered, or ``PING_SECONDS``.
    """
    app = make_app(settings.runtime, url)
    try:
        answers: Sequence[dict[str, Any]] = app.control.ping(
            timeout=PING_SECONDS, destination=names or None, limit=len(names) or None
        )
    except redis.exceptions.NoPermissionError:
        return None
    finally:
        app.close()
    return frozenset(name for answer in answers for name in answer)


def _here() -> WorkerFacts:
    return WorkerFacts(
        name="here",
        package=version("sigmax-tasks"),
        celery=version("celery"),
        python=platform.python_version(),
        pool="",
        concurrency=0,
    )


def _local(loaded: LoadedSettings) -> list[Finding]:
    try:
        check_configuration(loaded)
    except SigmaxError as error:
        found = [Finding("here", "configuration", "problem", str(error))]
    else:
        found = [Finding("here", "configuration", "ok", f"{loaded.folder} is sound")]
    found.append(_debate(loaded.settings))
    origin = loaded.origins.get("broker.url", "")
    found += secret_findings(origin, loaded.settings.runtime.broker.url)
    return found + data_findings(data_folder())


def _debate(settings: Settings) -> Finding:
    """Who holds the debates, and whether the key for it is in the environment here."""
    line = readiness_line(settings.decision.debate).removeprefix("debate: ")
    try:
        check_key(settings.decision.debate)
    except ConfigurationError as error:
        said = f"{line}; without its key a worker lets the rules take over"
        return Finding("here", "debate", "warning", said, str(error))
    return Finding("here", "debate", "ok", line)


def _provider_findings(providers: Sequence[ProviderStatus]) -> list[Finding]:
    asked = [status for status in providers if status.reachable is not None]
    bad = [s.provider for s in asked if s.breaker == "open" or not s.reachable]
    if not bad:
        return [Finding("providers", "answers", "ok", f"{len(asked)} asked lately, all answer")]
    advice = "others stand in for them; the table says since when and why"
    return [Finding("providers", "answers", "warning", f"silent: {', '.join(bad)}", advice)]


def _as_json(seen: _Examination, *, providers: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "broker": seen.broker,
        "redis_version": seen.facts and str(seen.facts.info.get("redis_version", "unknown")),
        "answers_in_ms": seen.facts and seen.facts.ping_ms,
        "workers": list(seen.workers),
        "state": worst(seen.findings),
        "checks": [asdict(finding) for finding in seen.findings],
    }
    if providers:
        shown["providers"] = [
            {
                **asdict(status),
                "last_error_at": status.last_error_at and status.last_error_at.isoformat(),
                "last_answer_at": status.last_answer_at and status.last_answer_at.isoformat(),
            }
            for status in seen.providers
        ]
    return shown
