"""The alert rules of a cluster, made from its configuration: for Prometheus and alert_book."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

import yaml

from sigmax_tasks.settings import Settings
from sigmax_tasks.telemetry.conditions import (
    Changed,
    Condition,
    Now,
    Rose,
    Series,
    Share,
    ShareNow,
)

Severity = Literal["critical", "warning", "info"]

RUNBOOK: Final = "docs/OPERATIONS.md#alerts"
_HEAD: Final = """\
# Alert rules of SIGMAX Tasks for Prometheus, made from the configuration. After a change of
# monitoring.alerts (planning.yaml) or alerts (runtime.yaml) make them again:
#   sigmax metrics --rules > ops/prometheus/rules.yml
"""


@dataclass(frozen=True)
class AlertRule:
    """Fires once its condition has held for ``hold``; rests as soon as it does not."""

    name: str
    severity: Severity
    condition: Condition
    hold: timedelta
    summary: str
    advice: str


def alert_rules(settings: Settings) -> tuple[AlertRule, ...]:
    """All rules, the worst first."""
    per_run = settings.planning.monitoring.alerts
    own = settings.runtime.alerts
    window = timedelta(minutes=own.window_minutes)
    minutes = f"{own.window_minutes:g} minutes"
    tasks, queue = Series("sigmax_tasks_total"), Series("sigmax_queue_messages")
    failed = Series("sigmax_tasks_total", (("status", "failed"),))
    open_breaker = Series("sigmax_provider_breaker", (("simulated", "false"), ("state", "open")))
    today = Series("sigmax_today_usd", (("world", "live"),))
    return (
        AlertRule(
            "SigmaxRedisDown",
            "critical",
            Now("<", 1, Series("sigmax_redis_up")),
            timedelta(minutes=1),
            "The Redis of the cluster does not answer",
            "Look at its process and its disk; nothing runs without it, and nothing is lost.",
        ),
        AlertRule(
            "SigmaxNoWorkers",
            "critical",
            Now("<", 1, Series("sigmax_workers")),
            timedelta(minutes=2),
            "No worker is alive",
            "Start workers; runs that wait end at their deadline with what there is.",
        ),
        AlertRule(
            "SigmaxOverdueRuns",
            "critical",
            Now(">", 0, Series("sigmax_overdue_runs")),
            timedelta(minutes=2),
            "Runs are open past their deadline",
            "The watchdog of the workers ends such runs: look at the workers and their logs.",
        ),
        AlertRule(
            "SigmaxHighFailureRate",
            "warning",
            Share(">", per_run.high_failure_rate, failed, tasks, window),
            timedelta(minutes=1),
            f"More than {per_run.high_failure_rate:.0%} of the tasks failed within {minutes}",
            "sigmax metrics --summary and sigmax doctor --providers show the causes.",
        ),
        AlertRule(
            "SigmaxSlowRuns",
            "warning",
            Share(
                ">",
                per_run.slow_execution,
                Series("sigmax_run_seconds_sum"),
                Series("sigmax_run_seconds_count"),
                window,
            ),
            timedelta(minutes=1),
            f"A run took more than {per_run.slow_execution:g} s on average within {minutes}",
            "Look at the queue depth (more workers) and at the latency of the providers.",
        ),
        AlertRule(
            "SigmaxHighCost",
            "warning",
            Share(
                ">",
                float(per_run.high_cost_per_decision),
                Series("sigmax_decision_cost_usd_sum"),
                Series("sigmax_decision_cost_usd_count"),
                window,
            ),
            timedelta(minutes=1),
            f"A decision cost more than ${per_run.high_cost_per_decision:.2f} on average within "
            f"{minutes}",
            "Set performance.max_cost_per_decision, or look for the source that costs.",
        ),
        AlertRule(
            "SigmaxBudgetNearlySpent",
            "warning",
            ShareNow(">", own.day_budget_share, today, Series("sigmax_day_limit_usd")),
            timedelta(0),
            f"More than {own.day_budget_share:.0%} of max_cost_per_day is spent or held",
            "Tasks that no longer fit are skipped until 00:00 UTC; raise the limit if they matter.",
        ),
        AlertRule(
            "SigmaxQueueGrows",
            "warning",
            Changed(">", own.queue_growth, queue, timedelta(minutes=10)),
            timedelta(minutes=5),
            f"More than {own.queue_growth} more messages wait than 10 minutes before",
            "Start more workers, or submit less.",
        ),
        AlertRule(
            "SigmaxBreakerOpen",
            "warning",
            Now(">", 0, open_breaker),
            timedelta(minutes=5),
            "The circuit breaker of a data provider is open",
            "sigmax doctor --providers shows which one and its last error; others stand in for it.",
        ),
        AlertRule(
            "SigmaxWorkersDie",
            "warning",
            Rose(">", 3, Series("sigmax_task_redispatches_total"), window),
            timedelta(0),
            f"More than 3 tasks lost their worker within {minutes}",
            "Look for out-of-memory kills and crashes in the logs of the workers.",
        ),
        AlertRule(
            "SigmaxDeadLetters",
            "warning",
            Changed(">", 0, Series("sigmax_dead_letters"), window),
            timedelta(0),
            f"A task was set aside within {minutes} because it kills its workers",
            "sigmax status shows it; look at its data and at the memory of the workers.",
        ),
        AlertRule(
            "SigmaxNotificationsFail",
            "warning",
            Rose(">", 0, Series("sigmax_notifications_total", (("result", "failed"),)), window),
            timedelta(0),
            f"A notification was given up within {minutes}",
            "sigmax notify test tries each receiver; the log of the workers has the reason.",
        ),
        AlertRule(
            "SigmaxRunAboveThreshold",
            "info",
            Rose(">", 0, Series("sigmax_run_alerts_total"), window),
            timedelta(0),
            f"A single run was above a threshold of monitoring.alerts within {minutes}",
            "sigmax history and sigmax show RUN tell which one and why.",
        ),
    )


def rules_text(settings: Settings) -> str:
    """The rules as a file for Prometheus."""
    rules = [
        _rule(rule.name, rule.condition.promql, rule.hold, rule.severity, rule.summary, rule.advice)
        for rule in alert_rules(settings)
    ]
    # Who reads the metrics cannot tell that they are gone.
    rules.append(
        _rule(
            "SigmaxMetricsDown",
            'sum(up{job="sigmax"}) < 1',
            timedelta(minutes=2),
            "critical",
            "Prometheus gets no metrics",
            "Look at the process of sigmax metrics.",
        )
    )
    groups = {"groups": [{"name": "sigmax", "interval": "30s", "rules": rules}]}
    return _HEAD + yaml.safe_dump(groups, sort_keys=False, width=100)


def _rule(
    name: str, expr: str, hold: timedelta, severity: Severity, summary: str, advice: str
) -> dict[str, object]:
    return {
        "alert": name,
        "expr": expr,
        "for": f"{round(hold.total_seconds())}s",
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": advice, "runbook": RUNBOOK},
    }
