"""The point-in-time source says what the replay server says."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks.clock import Deadline, RunClock
from sigmax_tasks.evaluation.recorded_desk import Moment, RecordedDesk
from sigmax_tasks.evaluation.walk import bundle_of, decide_step, plan_step, research_step
from sigmax_tasks.handlers import load_handler
from sigmax_tasks.settings import Settings
from sigmax_tasks.simulator.server import SimulatorServer
from sigmax_tasks.sources.addresses import Addresses
from sigmax_tasks.sources.desk import FetchContext, Gathered, RetryPolicy, SourceDesk
from sigmax_tasks.task_work import needs_of

from .builders import at

CASES = (
    ("BTC/USDT", "2022-07-05T00:00"),
    ("BTC/USDT", "2022-03-02T10:00"),
    ("SOL/USDT", "2021-02-20T00:00"),
    ("XRP/USDT", "2022-07-05T00:00"),
)


class ServedDesk:
    """The source desk of a run against the replay server."""

    def __init__(self, settings: Settings, root: str) -> None:
        self._settings, self._root = settings, root
        self._desk = SourceDesk(
            settings.sources, max_concurrent_calls=10, max_response_bytes=100_000_000
        )

    def gather(self, needs: object, moment: Moment) -> Gathered:
        request = AnalysisRequest(
            symbol=moment.symbol,
            risk_profile="balanced",
            data_mode=DataMode.REPLAY,
            as_of=moment.as_of,
            source_root=self._root,
        )
        return self._desk.gather(
            needs,  # type: ignore[arg-type]
            FetchContext(
                symbol=moment.symbol,
                clock=RunClock(moment.as_of),
                deadline=Deadline.after(60),
                data_mode=DataMode.REPLAY,
                addresses=Addresses.of_request(request, self._settings.sources),
                retry=RetryPolicy(0, 0),
                should_stop=lambda: False,
                on_attempt=lambda *_: None,
            ),
        )

    def close(self) -> None:
        self._desk.close()


def decided(settings: Settings, desk: object, symbol: str, moment: datetime) -> list[str]:
    found = []
    for profile in ("conservative", "aggressive"):
        plan = plan_step(settings, symbol, profile, moment, None)
        outcomes = research_step(settings, desk, plan, moment)  # type: ignore[arg-type]
        bundle = bundle_of(plan, outcomes, moment)
        decision = decide_step(bundle, settings.planning.profile(profile), settings.decision)
        found.append(decision.model_dump_json())
    return found


@pytest.mark.parametrize(("symbol", "moment"), CASES)
def test_decisions_are_those_of_the_replay_server_bit_for_bit(
    settings: Settings, recordings: Path, symbol: str, moment: str
) -> None:
    with SimulatorServer(replay_dir=recordings) as server:
        served = ServedDesk(settings, server.url)
        try:
            theirs = decided(settings, served, symbol, at(moment))
        finally:
            served.close()
    assert decided(settings, RecordedDesk(settings.sources, recordings), symbol, at(moment)) == (
        theirs
    )


@pytest.mark.parametrize(("symbol", "moment"), CASES)
def test_tables_say_what_the_adapters_say(
    settings: Settings, recordings: Path, symbol: str, moment: str
) -> None:
    quick = RecordedDesk(settings.sources, recordings)
    slow = RecordedDesk(settings.sources, recordings, quick=False)
    plan = plan_step(settings, symbol, "conservative", at(moment), None)
    for task in plan.tasks:
        handler = load_handler(task.task_id, task.handler)
        needs = needs_of(task, handler, symbol, (), settings.sources)
        mine = quick.gather(needs, Moment(symbol, at(moment)))
        theirs = slow.gather(needs, Moment(symbol, at(moment)))
        assert [o.data for o in mine.observations] == [o.data for o in theirs.observations]
        assert mine.missing == theirs.missing


def test_real_recordings_give_the_same_decisions(settings: Settings, shared_data: Path) -> None:
    quick = RecordedDesk(settings.sources, shared_data)
    slow = RecordedDesk(settings.sources, shared_data, quick=False)
    for symbol, moment in (
        ("BTC/USDT", "2024-02-29T00:00"),
        ("ETH/USDT", "2020-01-03T00:00"),
        ("SOL/USDT", "2020-08-12T00:00"),
        ("XRP/USDT", "2022-07-05T12:00"),
        ("BNB/USDT", "2023-12-21T04:00"),
    ):
        assert decided(settings, quick, symbol, at(moment)) == (
            decided(settings, slow, symbol, at(moment))
        )
