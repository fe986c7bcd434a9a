"""What Prometheus gets: from a cluster at work, at rest, and without its Redis."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import inf
from urllib.request import ProxyHandler, build_opener

import fakeredis
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from sigmax_planner.policy import Targets
from sigmax_tasks import clock
from sigmax_tasks.budget import day_of
from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import ConfigurationError, TransientSourceError
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.refusals import DEAD_KEY, REFUSED_KEY
from sigmax_tasks.settings import Settings
from sigmax_tasks.sources.desk_counts import count
from sigmax_tasks.sources.gate import Gate, Visit
from sigmax_tasks.sources.redis_link import RedisLink
from sigmax_tasks.sources.renewals import Renewals
from sigmax_tasks.store import RunStore
from sigmax_tasks.telemetry.endpoint import ClusterReader, MetricsServer, as_text, registry_of
from sigmax_tasks.telemetry.figures import Figure, figures_of
from sigmax_tasks.telemetry.reading import Reading, read_cluster
from tests.unit.engine.builders import START, open_run, outcome, run_of
from tests.unit.report.builders import make_record

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(client: redis.Redis, settings: Settings) -> Values:
    text = as_text(registry_of(ClusterReader(client, settings), Targets()))
    return parsed(text)


def parsed(text: str) -> Values:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(values: Values, name: str, **labels: str) -> float:
    return values[name, frozenset(labels.items())]


def entered(client: redis.Redis, settings: Settings, provider: str) -> Visit:
    gate = Gate(RedisLink(client), settings.sources, Renewals(5))
    base_url = settings.sources.providers[provider].base_url
    visit = gate.visit(gate.lane(provider, base_url, None, live=True), "/")
    assert visit.try_enter(10, Deadline.after(0)) == 0
    return visit


def test_a_cluster_at_rest_shows_every_known_label_with_zero(
    client: redis.Redis, settings: Settings
) -> None:
    values = scraped(client, settings)
    assert value(values, "sigmax_redis_up") == 1
    assert value(values, "sigmax_workers") == 0
    assert value(values, "sigmax_tasks_total", status="failed") == 0
    assert value(values, "sigmax_run_alerts_total", kind="cost") == 0
    assert value(values, "sigmax_run_seconds_count") == 0
    assert value(values, "sigmax_queue_messages", queue="sigmax.research", priority="7") == 0
    assert value(values, "sigmax_target", figure="completion_rate") == 0.9
    assert value(values, "sigmax_target", figure="cost_per_decision") == 0.25


def test_runs_and_tasks_are_counted(
    store: RunStore, client: redis.Redis, settings: Settings
) -> None:
    run = open_run()
    store.create(run, "{}")
    store.greet("host:1", 30)
    store.record_outcome(run, outcome("technical", TaskStatus.FAILED, "timed out after 15 s"))
    store.record_outcome(
        run, outcome("momentum", TaskStatus.SKIPPED, "dependency technical failed")
    )
    client.lpush("sigmax.research:6", "m1", "m2")
    client.hset(REFUSED_KEY, "oversized", 3)
    client.xadd(DEAD_KEY, {"task": "technical"})
    values = scraped(client, settings)
    assert value(values, "sigmax_open_runs") == 1
    assert value(values, "sigmax_overdue_runs") == 1, "its deadline lies in 2025"
    assert value(values, "sigmax_workers") == 1
    assert value(values, "sigmax_queue_messages", queue="sigmax.research", priority="6") == 2
    assert value(values, "sigmax_refused_messages_total", reason="oversized") == 3
    assert value(values, "sigmax_dead_letters") == 1
    skipped = {"status": "skipped", "cause": "dependency"}
    assert value(values, "sigmax_tasks_not_completed_total", **skipped) == 1
    assert value(values, "sigmax_task_seconds_bucket", le="1") == 0
    assert value(values, "sigmax_task_seconds_bucket", le="2") == 1, "skipped ones took no time"
    assert value(values, "sigmax_task_seconds_bucket", le="+Inf") == 1
    assert value(values, "sigmax_task_busy_seconds_total", task="technical") == 2

    event = ProgressEvent(run_id=run.run_id, kind=EventKind.RUN_FINISHED, at=START)
    record = make_record(run_id=run.run_id)
    store.commit(run, record, event)
    values = scraped(client, settings)
    assert value(values, "sigmax_open_runs") == 0
    assert value(values, "sigmax_kept_runs") == 1
    assert value(values, "sigmax_run_speedup_sum") == pytest.approx(record.research.speedup)
    actual = float(record.cost.actual_usd)
    assert value(values, "sigmax_decision_cost_usd_sum") == pytest.approx(actual)
    action = record.decision.action.value
    assert value(values, "sigmax_decisions_total", action=action, data_mode="simulated") == 1


def test_what_today_has_cost_is_shown_by_world(
    store: RunStore, client: redis.Redis, settings: Settings
) -> None:
    account = replace(store.account(open_run()), day=day_of(clock.now()), expires_at=inf)
    store.create(open_run(), "{}")
    allowance = store.ledger.allowance(account, "technical")
    allowance.reserve(Decimal("0.05"))
    allowance.spend(Decimal("0.02"))
    values = scraped(client, settings)
    assert value(values, "sigmax_today_usd", world="play", state="spent") == 0.02
    assert value(values, "sigmax_today_usd", world="play", state="held") == 0.03
    assert value(values, "sigmax_today_usd", world="live", state="spent") == 0


def test_providers_with_latency_cache_quota_and_breaker(
    client: redis.Redis, settings: Settings
) -> None:
    entered(client, settings, "kraken").answered({}, None)
    for what in ("hits", "hits", "misses", "late"):
        count(RedisLink(client), "kraken", what, live=True)
    for _ in range(settings.sources.breaker.failures):
        visit = entered(client, settings, "okx")
        visit.failed(TransientSourceError("okx", "503"), timed_out=False)
    values = scraped(client, settings)
    kraken = {"provider": "kraken", "simulated": "false"}
    assert value(values, "sigmax_provider_requests_total", **kraken) == 1
    assert value(values, "sigmax_provider_seconds_count", **kraken) == 1
    assert value(values, "sigmax_provider_seconds_bucket", **kraken, le="30") == 1
    assert value(values, "sigmax_cache_lookups_total", **kraken, result="hit") == 2
    assert value(values, "sigmax_quota_refusals_total", **kraken) == 1
    assert value(values, "sigmax_provider_breaker", **kraken, state="closed") == 1
    okx = {"provider": "okx", "simulated": "false"}
    assert value(values, "sigmax_provider_breaker", **okx, state="open") == 1
    assert value(values, "sigmax_provider_breaker", **okx, state="closed") == 0
    assert value(values, "sigmax_provider_failures_total", **okx) >= 3
    named = {dict(labels)["provider"] for _, labels in values if "provider" in dict(labels)}
    assert named == {"kraken", "okx"}, "nothing is shown of those that were never asked"


def test_the_text_is_what_the_parser_of_prometheus_reads(
    store: RunStore, client: redis.Redis, settings: Settings
) -> None:
    run = run_of('odd"name\\')
    store.create(open_run(), "{}")
    store.record_outcome(run, outcome('odd"name\\', TaskStatus.COMPLETED))
    values = scraped(client, settings)
    odd = {"task": 'odd"name\\', "status": "completed"}
    assert value(values, "sigmax_task_outcomes_total", **odd) == 1


def test_a_redis_that_is_away_is_a_metric_and_comes_back(settings: Settings) -> None:
    server = fakeredis.FakeServer()
    client = fakeredis.FakeRedis(server=server, decode_responses=True)
    server.connected = False
    assert value(scraped(client, settings), "sigmax_redis_up") == 0
    assert "sigmax_workers" not in {name for name, _ in scraped(client, settings)}
    server.connected = True
    assert value(scraped(client, settings), "sigmax_redis_up") == 1


def test_the_endpoint_serves_and_gives_its_port_back(
    client: redis.Redis, settings: Settings
) -> None:
    registry = registry_of(ClusterReader(client, settings), Targets())
    server = MetricsServer(registry, "127.0.0.1", 0)
    server.start()
    try:
        with build_opener(ProxyHandler({})).open(server.url, timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert value(parsed(answer.read().decode()), "sigmax_redis_up") == 1
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(ConfigurationError, match=f"port {port}"):
            MetricsServer(registry, "127.0.0.1", port)
    finally:
        server.stop()
    again = MetricsServer(registry, "127.0.0.1", port)
    again.start()
    again.stop()


def test_figures_stand_beside_their_targets(
    store: RunStore, client: redis.Redis, settings: Settings
) -> None:
    assert all(f.value is None and f.met is None for f in figures_of(Reading(0.0), Targets()))
    run = open_run()
    store.create(run, "{}")
    store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED, ""))
    store.record_outcome(run, outcome("momentum", TaskStatus.FAILED, "timed out after 10 s"))
    targets = Targets.model_validate({"cost_per_decision": Decimal("0.01")})
    found = {f.name: f for f in figures_of(read_cluster(client, settings), targets)}
    assert (found["task completion rate"].value, found["task completion rate"].met) == (0.5, False)
    assert (found["timeouts"].value, found["timeouts"].met) == (0.5, False)
    assert found["cost per decision"].value is None
    assert Figure("cost", 0.01, 0.01, at_least=False).met
