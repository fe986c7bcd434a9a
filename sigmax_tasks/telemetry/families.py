"""A reading of the cluster as Prometheus metrics. Pure.

Every label has a bounded set of values. Those that are known beforehand are shown from the start,
with 0: a counter that appears with its first event hides that event from ``increase()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sigmax_planner.policy import Targets
from sigmax_tasks.envelope import REASONS
from sigmax_tasks.models.decision import Action
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.sources.desk_counts import LATENCY_BOUNDS_MS
from sigmax_tasks.tally import (
    ALERT_KINDS,
    CAUSES,
    COST_USD,
    ENDS,
    RUN_SECONDS,
    SPEEDUP,
    TASK_SECONDS,
    Histogram,
    cumulative,
    histogram_of,
    modes,
)
from sigmax_tasks.telemetry.reading import ProviderReading, Reading

_FINAL: Final = (TaskStatus.COMPLETED.value, TaskStatus.FAILED.value, TaskStatus.SKIPPED.value)
_NOT_COMPLETED: Final = _FINAL[1:]


class ClusterCollector(Collector):
    """Reads the cluster whenever the metrics are asked for."""

    def __init__(
        self,
        read: Callable[[], Reading],
        targets: Targets,
        firing: Callable[[], Mapping[str, bool]] = dict,
    ) -> None:
        self._read = read
        self._targets = targets
        self._firing = firing

    def collect(self) -> Iterator[Metric]:
        yield from families(self._read(), self._targets)
        yield _firing(self._firing())

    def describe(self) -> Iterable[Metric]:
        """Nothing is read when it is registered."""
        return ()


def families(reading: Reading, targets: Targets) -> Iterator[Metric]:
    """All metrics; of a cluster whose Redis does not answer only that, and the targets."""
    up = reading.answers_in_seconds is not None
    yield _gauge("sigmax_redis_up", "Whether the Redis of the cluster answers.", float(up))
    yield _targets(targets)
    if reading.answers_in_seconds is None:
        return
    yield _gauge(
        "sigmax_redis_ping_seconds", "How long Redis took to answer.", reading.answers_in_seconds
    )
    yield from _tasks(reading)
    yield from _runs(reading)
    yield from _notices(reading)
    yield from _load(reading)
    yield from _providers(reading.providers)


def _targets(targets: Targets) -> Metric:
    family = GaugeMetricFamily(
        "sigmax_target",
        "What monitoring.targets of planning.yaml asks for, for comparison.",
        labels=["figure"],
    )
    for figure, value in targets:
        family.add_metric([figure], float(value))
    return family


def _firing(alerts: Mapping[str, bool]) -> Metric:
    family = GaugeMetricFamily(
        "sigmax_alert_firing", "1 for an alert that this process sees firing.", labels=["alert"]
    )
    for name, fires in alerts.items():
        family.add_metric([name], float(fires))
    return family


def _tasks(reading: Reading) -> Iterator[Metric]:
    tally = reading.tally
    yield _counter(
        "sigmax_tasks",
        "Tasks that ended, by how.",
        ["status"],
        {(status,): _number(tally, f"tasks|{status}") for status in _FINAL},
    )
    causes = (*CAUSES, "other")
    yield _counter(
        "sigmax_tasks_not_completed",
        "Tasks that failed or were skipped, by the kind of reason.",
        ["status", "cause"],
        {
            (status, cause): _number(tally, f"causes|{status}|{cause}")
            for status in _NOT_COMPLETED
            for cause in causes
        },
    )
    by_task: dict[tuple[str, ...], float] = {}
    seconds: dict[tuple[str, ...], float] = {}
    for name in reading.task_tally:
        task_id, _, what = name.partition("|")
        if what == "ms":
            seconds[task_id,] = _number(reading.task_tally, name) / 1000
        else:
            by_task[task_id, what] = _number(reading.task_tally, name)
    yield _counter(
        "sigmax_task_outcomes", "Tasks that ended, by task.", ["task", "status"], by_task
    )
    yield _counter("sigmax_task_busy_seconds", "Time spent on each task.", ["task"], seconds)
    yield _histogram(
        "sigmax_task_seconds", "How long tasks took, without skipped ones.", tally, TASK_SECONDS
    )
    yield _counter(
        "sigmax_task_attempts", "Attempts of tasks.", [], {(): _number(tally, "attempts")}
    )
    yield _counter(
        "sigmax_task_redispatches",
        "Tasks that the watchdog sent again because their worker was gone.",
        [],
        {(): _number(tally, "redispatched")},
    )


def _runs(reading: Reading) -> Iterator[Metric]:
    tally = reading.tally
    yield _counter(
        "sigmax_runs_started", "Runs that were submitted.", [], {(): _number(tally, "started")}
    )
    yield _counter(
        "sigmax_runs",
        "Runs that ended, by how: not_validated is a HOLD for want of good research, partial is "
        "past the deadline.",
        ["end"],
        {(end,): _number(tally, f"runs|{end}") for end in ENDS},
    )
    yield _counter(
        "sigmax_decisions",
        "Decisions by action and kind of data.",
        ["action", "data_mode"],
        {
            (action.value, mode): _number(tally, f"decisions|{action.value}|{mode}")
            for action in Action
            for mode in modes()
        },
    )
    yield _histogram("sigmax_run_seconds", "From submission to decision.", tally, RUN_SECONDS)
    yield _histogram("sigmax_decision_cost_usd", "What a decision cost.", tally, COST_USD)
    yield _histogram(
        "sigmax_run_speedup",
        "Time of a run's tasks one by one over the time they took together.",
        tally,
        SPEEDUP,
    )
    yield _counter(
        "sigmax_run_alerts",
        "Runs above a threshold of monitoring.alerts.",
        ["kind"],
        {(kind,): _number(tally, f"alerts|{kind}") for kind in (*ALERT_KINDS, "other")},
    )
    spend = GaugeMetricFamily(
        "sigmax_today_usd",
        "What the runs of this UTC day have spent, and hold for what they are about to ask.",
        labels=["world", "state"],
    )
    for world, day in reading.spend.items():
        spend.add_metric([world, "spent"], float(day.spent_usd))
        spend.add_metric([world, "held"], float(day.held_usd))
    yield spend
    if reading.day_limit_usd is not None:
        yield _gauge(
            "sigmax_day_limit_usd",
            "What performance.max_cost_per_day allows live runs.",
            reading.day_limit_usd,
        )
    yield _gauge("sigmax_open_runs", "Runs without a decision yet.", reading.open_runs)
    yield _gauge("sigmax_overdue_runs", "Open runs past their deadline.", reading.overdue_runs)
    yield _gauge("sigmax_kept_runs", "Finished runs that are kept.", reading.kept_runs)


def _notices(reading: Reading) -> Iterator[Metric]:
    yield _counter(
        "sigmax_notifications",
        "Notifications that were sent, given up after their last try, or dropped unsent.",
        ["result"],
        {
            (result,): _number(reading.tally, f"notices|{result}")
            for result in ("sent", "failed", "dropped")
        },
    )
    yield _gauge("sigmax_outbox_notices", "Notifications that wait to be sent.", reading.outbox)


def _load(reading: Reading) -> Iterator[Metric]:
    yield _gauge("sigmax_workers", "Worker processes heard of lately.", reading.workers)
    depth = GaugeMetricFamily(
        "sigmax_queue_messages",
        "Messages that no worker has taken yet; priority 0 is served first.",
        labels=["queue", "priority"],
    )
    for (queue, priority), number in reading.queued.items():
        depth.add_metric([queue, str(priority)], number)
    yield depth
    yield _counter(
        "sigmax_refused_messages",
        "Messages that workers refused, by reason.",
        ["reason"],
        {(reason,): float(reading.refused.get(reason, 0)) for reason in REASONS},
    )
    yield _gauge(
        "sigmax_parked_messages", "Messages of a newer version that wait for it.", reading.parked
    )
    yield _gauge(
        "sigmax_dead_letters", "Tasks set aside because they kill workers.", reading.dead_letters
    )
    yield _gauge(
        "sigmax_unacknowledged_messages",
        "Messages that workers have taken and not finished.",
        reading.unacknowledged,
    )


def _providers(providers: Iterable[ProviderReading]) -> Iterator[Metric]:
    labels = ["provider", "simulated"]
    named = [((p.provider, str(p.simulated).lower()), p) for p in providers]

    def counted(name: str, text: str, field: str, scale: int = 1) -> Metric:
        values: dict[tuple[str, ...], float] = {
            key: _number(p.counts, field) / scale for key, p in named
        }
        return _counter(name, text, labels, values)

    yield counted("sigmax_provider_requests", "Requests sent to a provider.", "requests")
    yield counted("sigmax_provider_failures", "Requests without a good answer.", "failed")
    cache: dict[tuple[str, ...], float] = {
        (*key, result): _number(p.counts, field)
        for key, p in named
        for result, field in (("hit", "hits"), ("miss", "misses"), ("stale", "stale"))
    }
    yield _counter(
        "sigmax_cache_lookups",
        "Answers that were kept (hit), had to be fetched (miss), or were old and stood in (stale).",
        [*labels, "result"],
        cache,
    )
    yield counted("sigmax_quota_waits", "Requests that waited for their turn.", "waits")
    yield counted("sigmax_quota_wait_seconds", "How long they waited.", "waited_ms", 1000)
    yield counted("sigmax_quota_refusals", "Requests whose turn came too late.", "late")
    latency = HistogramMetricFamily(
        "sigmax_provider_seconds", "How long a provider took to answer.", labels=labels
    )
    for key, p in named:
        buckets = cumulative(
            [(f"{ms / 1000:g}", int(p.counts.get(f"took|{ms}", 0))) for ms in LATENCY_BOUNDS_MS],
            int(p.counts.get("took|inf", 0)),
        )
        latency.add_metric(key, buckets, _number(p.counts, "took_ms") / 1000)
    yield latency
    breaker = GaugeMetricFamily(
        "sigmax_provider_breaker",
        "1 for the state a circuit breaker is in.",
        labels=[*labels, "state"],
    )
    cool = GaugeMetricFamily(
        "sigmax_provider_cool_down_seconds",
        "How long nobody asks because the provider wants so.",
        labels=labels,
    )
    for key, p in named:
        state = "open" if p.open_seconds else "half_open" if p.half_open else "closed"
        for name in ("closed", "half_open", "open"):
            breaker.add_metric([*key, name], float(name == state))
        cool.add_metric(key, p.cool_down_seconds)
    yield breaker
    yield cool


def _number(counts: Mapping[str, str], field: str) -> float:
    return float(counts.get(field, 0))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(
    name: str, text: str, labels: list[str], values: Mapping[tuple[str, ...], float]
) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _histogram(name: str, text: str, tally: Mapping[str, str], histogram: Histogram) -> Metric:
    buckets, total = histogram_of(tally, histogram)
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=total)
