"""What runs leave behind is what the next plan knows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis

from sigmax_planner.facts import TaskSample
from sigmax_planner.models import AnalysisRequest, DataMode, Volatility
from sigmax_tasks.journal import HOME_IS_FILE, HOME_KEY
from sigmax_tasks.models.research import Finding, Metric, TaskOutcome, TaskStatus
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.planning_facts import FactFinder, market_context
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.settings import Settings, load_settings
from sigmax_tasks.store import RunStore
from sigmax_tasks.task_samples import SAMPLES_KEPT, SampleFile, merged, sample_key, sample_of
from tests.unit.journal.builders import entry

from .builders import START, open_run, outcome, runtime


def settings(*overrides: str) -> Settings:
    return load_settings(shipped_folder(), overrides, {}).settings


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    client = fakeredis.FakeRedis(decode_responses=True)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "sigmax").mkdir()
    return tmp_path / "sigmax"


def finding(task_id: str, labels: dict[str, str], **metrics: float) -> Finding:
    return Finding(
        task_id=task_id,
        symbol="BTC/USDT",
        as_of=START,
        score=0,
        strength=1,
        summary="x",
        labels=labels,
        metrics=tuple(
            Metric(name=name, value=value, unit="x", observation_ids=("o",))
            for name, value in metrics.items()
        ),
        lineage=(),
    )


def worked(task_id: str, seconds: float = 2.0, **facts: Any) -> TaskOutcome:
    """A completed task that found something."""
    return outcome(task_id, TaskStatus.COMPLETED).model_copy(
        update={
            "finding": facts.pop("finding", finding(task_id, {})),
            "duration_seconds": seconds,
            "cost_usd": Decimal("0.004"),
            **facts,
        }
    )


def request(mode: DataMode = DataMode.SIMULATED) -> AnalysisRequest:
    return AnalysisRequest(
        symbol="BTC/USDT",
        risk_profile="balanced",
        data_mode=mode,
        as_of=START + timedelta(hours=1),
        seed=1,
    )


def run_of(client: redis.Redis, number: int, *outcomes: TaskOutcome) -> OpenRun:
    store, run = RunStore(client, runtime()), open_run(f"20250314-1200{number:02}-00000001")
    store.create(run, "{}")
    for each in outcomes:
        store.record_outcome(run, each)
    return run


def test_outcomes_teach_the_next_plan_and_only_of_their_data_mode(client: redis.Redis) -> None:
    for number in range(5):
        run = run_of(client, number, worked("technical", number + 1))
        RunStore(client, runtime()).record_outcome(run, worked("technical", 99))
    known = FactFinder(settings(), client)
    taught = known.of(request()).samples["technical"]
    assert [sample.seconds for sample in taught] == [5, 4, 3, 2, 1], "the first outcome counts"
    assert taught[0].cost_usd == Decimal("0.004")
    assert known.of(request(DataMode.LIVE)).samples["technical"] == ()
    off = FactFinder(settings("planning.learned_estimates=false"), client)
    assert off.of(request()).samples == {}


def test_samples_are_bounded_and_do_not_stay_for_good(client: redis.Redis) -> None:
    for number in range(SAMPLES_KEPT + 3):
        run_of(client, number, worked("technical"))
    key = sample_key(DataMode.SIMULATED, open_run().plan.task("technical"))
    assert client.llen(key) == SAMPLES_KEPT
    assert client.ttl(key) > 0


def test_only_work_that_was_done_teaches() -> None:
    task = open_run().plan.task("technical")
    assert sample_of("r", task, worked("technical")) is not None
    assert sample_of("r", task, outcome("technical", TaskStatus.FAILED)) is None
    assert sample_of("r", task, outcome("technical", TaskStatus.SKIPPED)) is None
    no_op = worked("technical", finding=None)
    assert sample_of("r", task, no_op) is None
    timed_out = outcome("technical").model_copy(update={"duration_seconds": 10.0})
    assert sample_of("r", task, timed_out) == TaskSample("r", 10.0, Decimal(0))


def test_the_data_folder_and_a_private_redis_are_one_memory(
    client: redis.Redis, home: Path
) -> None:
    client.set(HOME_KEY, HOME_IS_FILE)
    run_of(client, 7, worked("technical", 3))
    key = sample_key(DataMode.SIMULATED, open_run().plan.task("technical"))
    kept = [TaskSample(f"20250314-12000{n}-00000001", float(n)) for n in range(8)]
    SampleFile().add({key: kept})
    SampleFile().add({key: kept[:1]})
    here = FactFinder(settings(), client).of(request()).samples["technical"]
    assert [sample.run_id[13:15] for sample in here] == ["07", *(f"0{n}" for n in range(6, -1, -1))]
    alone = FactFinder(settings(), None).of(request()).samples["technical"]
    assert len(alone) == 8


def test_a_damaged_file_of_samples_teaches_nothing_and_is_replaced(home: Path) -> None:
    (home / "task-samples.json").write_text("{]")
    assert SampleFile().read(DataMode.LIVE, open_run().plan.tasks) == {
        "technical": (),
        "momentum": (),
    }
    key = sample_key(DataMode.LIVE, open_run().plan.task("technical"))
    SampleFile().add({key: [TaskSample("r", 1.0)]})
    assert len(SampleFile().read(DataMode.LIVE, open_run().plan.tasks)["technical"]) == 1


def test_samples_of_one_run_count_once_and_the_newest_stay() -> None:
    many = [TaskSample(f"r{n:03}", n) for n in range(SAMPLES_KEPT + 5)]
    assert merged(many, many[:3])[0].run_id == f"r{SAMPLES_KEPT + 4:03}"
    assert len(merged(many, many)) == SAMPLES_KEPT


def test_findings_tell_of_the_market_and_what_they_lack_stays_unknown() -> None:
    technical = worked(
        "technical",
        finding=finding(
            "technical",
            {"volatility": "high"},
            drawdown_from_90d_high=0.25,
            volume_ratio=2.5,
        ),
    )
    market = market_context("r", (technical,))
    assert market is not None
    assert market.volatility is Volatility.HIGH
    assert (market.drawdown_fraction, market.volume_ratio) == (0.25, 2.5)
    assert market.news_tone is None
    assert market.observed_at == START
    assert market_context("r", (worked("macro"),)) is None
    unknown = worked("technical", finding=finding("technical", {"volatility": "unknown"}))
    market = market_context("r", (unknown,))
    assert market is not None
    assert market.volatility is None


def test_the_market_is_that_of_the_last_run_before_the_moment(client: redis.Redis) -> None:
    on = settings("features.enable_auto_prioritization=true")
    assert FactFinder(on, client).of(request()).market is None
    high = finding("technical", {"volatility": "high"})
    run = run_of(client, 1, worked("technical", finding=high))
    store = RunStore(client, runtime())
    store.journal.add(
        entry(
            run_id=run.run_id, symbol="BTC/USDT", data_mode=DataMode.SIMULATED, seed=1, as_of=START
        )
    )
    market = FactFinder(on, client).of(request()).market
    assert market is not None
    assert market.origin == f"run {run.run_id}"
    assert market.volatility is Volatility.HIGH
    same_moment = request().model_copy(update={"as_of": START})
    assert FactFinder(on, client).of(same_moment).market is None
    other_seed = request().model_copy(update={"seed": 2})
    assert FactFinder(on, client).of(other_seed).market is None
    assert FactFinder(settings(), client).of(request()).market is None
