"""What happens to a cluster, minute by minute, so that each alert fires and rests again.

Each series is written as in a rule test of Prometheus: ``start+stepxN`` are N further minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]


def labels(**named: str) -> Labels:
    return tuple(named.items())


@dataclass(frozen=True)
class Scenario:
    """``fires_at`` and ``rests_at`` are minutes at which the alert fires, and does not."""

    alert: str
    series: dict[tuple[str, Labels], str]
    rests_at: tuple[int, ...]
    fires_at: tuple[int, ...]
    overrides: tuple[str, ...] = ()


FAILED, COMPLETED = labels(status="failed"), labels(status="completed")
OPEN = labels(provider="kraken", simulated="false", state="open")
SIMULATED_OPEN = labels(provider="okx", simulated="true", state="open")
SPENT, HELD = labels(world="live", state="spent"), labels(world="live", state="held")
PLAY = labels(world="play", state="spent")
RESEARCH = labels(queue="sigmax.research", priority="6")
CONTROL = labels(queue="sigmax.control", priority="0")

SCENARIOS = (
    Scenario(
        "SigmaxRedisDown",
        {("sigmax_redis_up", ()): "1x4 0x9 1x20"},
        rests_at=(0, 4, 5, 20),
        fires_at=(8, 12),
    ),
    Scenario(
        "SigmaxNoWorkers",
        {("sigmax_workers", ()): "2x4 0x9 3x20"},
        rests_at=(0, 4, 6, 20),
        fires_at=(9, 13),
    ),
    Scenario(
        "SigmaxOverdueRuns",
        {("sigmax_overdue_runs", ()): "0x4 1x9 0x20"},
        rests_at=(0, 4, 6, 20),
        fires_at=(9, 13),
    ),
    Scenario(
        "SigmaxHighFailureRate",
        # A third of twelve tasks a minute fail from minute 20 to 40.
        {
            ("sigmax_tasks_total", FAILED): "0x20 4+4x19 80x40",
            ("sigmax_tasks_total", COMPLETED): "0+12x20 248+8x19 412+12x40",
        },
        rests_at=(10, 20, 58, 75),
        fires_at=(37, 40),
    ),
    Scenario(
        "SigmaxSlowRuns",
        # One run a minute: of 10 s, then of 95 s, then of 10 s.
        {
            ("sigmax_run_seconds_count", ()): "0+1x80",
            ("sigmax_run_seconds_sum", ()): "0+10x20 295+95x19 2110+10x40",
        },
        rests_at=(10, 20, 58, 75),
        fires_at=(37, 40),
    ),
    Scenario(
        "SigmaxHighCost",
        # A decision a minute: for $0.10, then for $0.31, then for $0.10.
        {
            ("sigmax_decision_cost_usd_count", ()): "0+1x80",
            ("sigmax_decision_cost_usd_sum", ()): "0+0.1x20 2.31+0.31x19 8.3+0.1x40",
        },
        rests_at=(10, 20, 58, 75),
        fires_at=(37, 40),
    ),
    Scenario(
        "SigmaxBudgetNearlySpent",
        {
            ("sigmax_day_limit_usd", ()): "10x40",
            ("sigmax_today_usd", SPENT): "0+0.5x20 0x19",
            ("sigmax_today_usd", HELD): "0.1x20 0x19",
            ("sigmax_today_usd", PLAY): "500x40",
        },
        rests_at=(0, 15, 21, 30),
        fires_at=(16, 20),
        overrides=("performance.max_cost_per_day=10",),
    ),
    Scenario(
        "SigmaxQueueGrows",
        {
            ("sigmax_queue_messages", RESEARCH): "5x20 5+10x20 205x30",
            ("sigmax_queue_messages", CONTROL): "0x72",
        },
        rests_at=(10, 20, 30, 55, 70),
        fires_at=(33, 41),
    ),
    Scenario(
        "SigmaxBreakerOpen",
        {
            ("sigmax_provider_breaker", OPEN): "0x4 1x9 0x20",
            ("sigmax_provider_breaker", SIMULATED_OPEN): "1x40",
        },
        rests_at=(0, 4, 8, 20, 30),
        fires_at=(11, 13),
    ),
    Scenario(
        "SigmaxWorkersDie",
        {("sigmax_task_redispatches_total", ()): "0x10 2x2 5x60"},
        rests_at=(5, 11, 35),
        fires_at=(15, 20),
    ),
    Scenario(
        "SigmaxDeadLetters",
        {("sigmax_dead_letters", ()): "2x20 3x50"},
        rests_at=(15, 20, 40, 60),
        fires_at=(21, 30),
    ),
    Scenario(
        "SigmaxNotificationsFail",
        {
            ("sigmax_notifications_total", labels(result="sent")): "0+1x70",
            ("sigmax_notifications_total", labels(result="failed")): "0x10 1x60",
        },
        rests_at=(5, 10, 35),
        fires_at=(12, 20),
    ),
    Scenario(
        "SigmaxRunAboveThreshold",
        {("sigmax_run_alerts_total", labels(kind="duration")): "0x10 1x60"},
        rests_at=(5, 10, 35),
        fires_at=(12, 20),
    ),
)


def minutes_of(written: str) -> list[float]:
    """The values a series has, one a minute."""
    values: list[float] = []
    for part in written.split():
        step_and_start, _, times = part.partition("x")
        start, _, step = step_and_start.partition("+")
        values += [float(start) + float(step or 0) * n for n in range(int(times) + 1)]
    return values
