"""What is counted is counted once, in the step that keeps it, under names that are bounded."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import redis

from sigmax_tasks.errors import HandlerError, OverBudgetError, TaskTimeoutError
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.observations import Missing
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.sources.desk import Gathered
from sigmax_tasks.store import RunStore
from sigmax_tasks.tally import (
    MOST_TASK_FIELDS,
    TALLY_KEY,
    TASK_TALLY_KEY,
    alert_kind,
    cause_of,
    record_tally,
)
from sigmax_tasks.task_work import describe_missing
from tests.unit.engine.builders import START, open_run, outcome, run_of
from tests.unit.report.builders import make_record

OVER_BUDGET = OverBudgetError(
    needed_usd=Decimal("0.02"), left_usd=Decimal("0.01"), limit_usd=Decimal(1), whose="the day"
)


def gathered(*reasons: str, offline: bool = False) -> Gathered:
    missing = tuple(Missing(source="price_data", need="candles", reason=r) for r in reasons)
    return Gathered((), missing, 1, 1, Decimal(0), (), offline=offline)


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (str(TaskTimeoutError(15)), "timeout"),
        ("the batch ran out of time", "timeout"),
        ("its worker died 3 times", "worker_lost"),
        ("dependency technical failed", "dependency"),
        ("no time left in the run", "deadline"),
        ("not finished by the deadline of the run", "deadline"),
        ("not started before the run ended", "stopped"),
        ("critical task technical failed", "stopped"),
        (str(OVER_BUDGET), "budget"),
        ("nothing is paid for any more: the run is over", "budget"),
        ("ZeroDivisionError: division by zero", "handler"),
        ("handler a:b gave int instead of a Finding", "handler"),
        ("something new", "other"),
        ("", "other"),
    ],
)
def test_reasons_have_their_cause(reason: str, cause: str) -> None:
    assert cause_of(reason) == cause


def test_what_the_runner_says_of_missing_data_has_its_cause() -> None:
    assert cause_of(describe_missing(gathered("kraken: 503"))) == "no_data"
    assert cause_of(describe_missing(gathered())) == "no_data"
    assert cause_of(describe_missing(gathered("x", offline=True))) == "offline"
    assert cause_of(str(HandlerError("t", "a.b:c", "has no such function"))) != "no_data"


def test_an_outcome_counts_once_however_often_it_is_delivered(
    store: RunStore, client: redis.Redis
) -> None:
    run = open_run()
    store.create(run, "{}")
    first = outcome("technical", TaskStatus.FAILED, str(TaskTimeoutError(15)))
    assert store.record_outcome(run, first)
    for _ in range(3):
        assert not store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED))
    tally = client.hgetall(TALLY_KEY)
    assert tally == {
        "started": "1",
        "tasks|failed": "1",
        "causes|failed|timeout": "1",
        "attempts": "1",
        "task_seconds|2": "1",
        "task_seconds|sum": "2000",
    }
    assert client.hgetall(TASK_TALLY_KEY) == {"technical|failed": "1", "technical|ms": "2000"}
    assert all(client.ttl(key) > 0 for key in (TALLY_KEY, TASK_TALLY_KEY))


def test_an_outcome_of_a_run_that_is_gone_counts_nothing(
    store: RunStore, client: redis.Redis
) -> None:
    assert not store.record_outcome(open_run(), outcome("technical"))
    assert not client.exists(TALLY_KEY)


def test_only_the_record_that_is_kept_counts(store: RunStore, client: redis.Redis) -> None:
    run = open_run()
    store.create(run, "{}")
    record = make_record(run_id=run.run_id)
    event = ProgressEvent(run_id=run.run_id, kind=EventKind.RUN_FINISHED, at=START)
    assert store.commit(run, record, event)
    assert not store.commit(run, record, event)
    assert not store.cancel(run.run_id)
    tally = client.hgetall(TALLY_KEY)
    assert tally["runs|decided"] == "1"
    assert tally[f"decisions|{record.decision.action.value}|simulated"] == "1"
    assert tally["run_seconds|sum"] == str(round(record.research.duration_seconds * 1000))
    assert "runs|cancelled" not in tally


def test_a_cancelled_run_is_no_decision(store: RunStore, client: redis.Redis) -> None:
    run = open_run()
    store.create(run, "{}")
    assert store.cancel(run.run_id)
    assert client.hgetall(TALLY_KEY) == {"started": "1", "runs|cancelled": "1"}


def test_tasks_of_any_name_do_not_grow_the_hash_without_end(
    store: RunStore, client: redis.Redis
) -> None:
    few = [f"t{number}" for number in range(MOST_TASK_FIELDS)]
    more = [f"more{number}" for number in range(5)]
    run = run_of(*few, *more)
    store.create(open_run(), "{}")
    for task_id in few:
        assert store.record_outcome(run, outcome(task_id, TaskStatus.SKIPPED))
    for task_id in more:
        assert store.record_outcome(run, outcome(task_id))
    assert client.hget(TASK_TALLY_KEY, "other|failed") == "5"
    assert client.hlen(TASK_TALLY_KEY) == MOST_TASK_FIELDS + 2
    assert client.hget(TALLY_KEY, "tasks|failed") == "5"


def test_alerts_of_a_summary_are_counted_by_kind() -> None:
    record = make_record()
    texts = (
        "failure rate 50% is above 30%",
        "took 95 s, more than 90 s",
        "cost $0.40, more than $0.30",
        "no history: it cannot be read",
    )
    research = record.research.model_copy(update={"alerts": texts})
    counted = record_tally(record.model_copy(update={"research": research}))
    assert [alert_kind(text) for text in texts] == ["failure_rate", "duration", "cost", "history"]
    assert all(json.loads(counted)["all"][f"alerts|{alert_kind(text)}"] == 1 for text in texts)
