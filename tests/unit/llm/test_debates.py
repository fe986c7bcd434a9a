"""Who debates, for how long, and who pays: one worker at a time, within the time of the run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import fakeredis
import pytest

from sigmax_planner.models import AnalysisRequest
from sigmax_tasks import clock
from sigmax_tasks.debates import LEASE_NAME, Debates, Held
from sigmax_tasks.finalizer import conclude
from sigmax_tasks.llm.chat import ChatEndpoint
from sigmax_tasks.llm.interview import Interview
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.settings import Settings, load_settings
from sigmax_tasks.sources.http import HttpClient
from sigmax_tasks.stages.validate import validate
from sigmax_tasks.store import RunStore
from tests.chat_server import ChatServer, chat_server, sensible

from .builders import case, profile


class World:
    """A store, an open run whose research is :func:`case`, and a model on loopback."""

    def __init__(self, server: ChatServer, seconds: float = 30, *overrides: str) -> None:
        self.redis = fakeredis.FakeRedis(decode_responses=True)
        values = (
            "method=llm",
            f"llm.base_url={server.url}",
            "llm.model=test-model",
            "llm.input_usd_per_million_tokens=2",
            "llm.output_usd_per_million_tokens=10",
            *overrides,
        )
        self.settings: Settings = load_settings(
            shipped_folder(), [f"decision.debate.{value}" for value in values], environ={}
        ).settings
        self.store = RunStore(self.redis, self.settings.runtime)
        self.http = HttpClient(
            user_agent="test", max_concurrent_calls=4, resolve_timeout_seconds=1, max_redirects=0
        )
        made = case()
        now = clock.now()
        self.run = OpenRun(
            run_id="20261008-120000-4f9c2a7b",
            request=AnalysisRequest(symbol=made.symbol, risk_profile="balanced", as_of=made.as_of),
            plan=made.plan,
            settings_hash=self.settings.snapshot_hash,
            created_at=now,
            deadline_at=now + timedelta(seconds=seconds),
        )
        self.store.create(self.run, self.settings.snapshot)
        for outcome in made.outcomes:
            self.store.record_outcome(self.run, outcome)

    def debates(self) -> Debates:
        """Those of one worker."""
        llm = self.settings.decision.debate.llm
        endpoint = ChatEndpoint(llm, self.http, self.settings.sources, jitter=lambda: 0.01)
        return Debates(self.store, self.settings, endpoint, self.redis)

    def hold(self, debates: Debates | None = None) -> Held | None:
        made = case()
        report = validate(made, profile(), self.settings.decision)
        account = self.store.account(self.run)
        return (debates or self.debates()).hold(self.run, made, report, account)

    def conclude(self) -> bool:
        return conclude(self.store, self.settings, self.run, "late", debates=self.debates())

    def close(self) -> None:
        self.http.close()
        self.redis.close()


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


@pytest.fixture
def world(server: ChatServer) -> Iterator[World]:
    made = World(server)
    yield made
    made.close()


def test_a_decision_after_a_debate_holds_its_answers_and_its_cost(
    world: World, server: ChatServer
) -> None:
    assert world.conclude()
    record = world.store.record(world.run.run_id)
    debate = record.decision.debate
    assert debate.method == "llm"
    assert debate.llm is not None
    # 5 answers of 1000 and 200 tokens: 5 x (0.002 + 0.002)
    assert debate.llm.cost_usd == record.cost.llm_usd == Decimal("0.02")
    assert record.cost.actual_usd == Decimal("0.02")
    assert len(record.model_answers) == len(server.requests) == 5
    assert all(world.redis.ttl(key) > 0 for key in world.redis.keys("sigmax:llm:*"))


def test_a_second_finaliser_leaves_a_run_alone_while_another_debates(
    world: World, server: ChatServer
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def say(body):
        begun.set()
        go_on.wait(10)
        return sensible(body)

    server.say = say
    first = threading.Thread(target=world.conclude)
    first.start()
    assert begun.wait(10)
    assert not world.conclude()
    assert world.store.is_open(world.run.run_id)
    go_on.set()
    first.join(20)
    assert world.store.record(world.run.run_id).decision.debate.method == "llm"
    assert len(server.requests) == 5
    assert not world.conclude()


def test_near_the_deadline_the_rules_decide_although_another_still_debates(
    server: ChatServer,
) -> None:
    world = World(server, 0.5)
    assert world.store.hold_lease(world.run.run_id, LEASE_NAME, "another worker")
    assert world.conclude()
    llm = world.store.record(world.run.run_id).decision.debate.llm
    assert llm is not None
    assert llm.fallback == "it was still under way at the deadline of the run"
    assert server.requests == []
    world.close()


def test_without_time_left_nothing_is_asked(server: ChatServer) -> None:
    world = World(server, 2.5)  # 2 s of it are kept for the finaliser
    held = world.hold()
    assert held is not None
    assert held.record.llm is not None
    assert held.record.llm.fallback == "no time was left in the run"
    assert server.requests == []
    world.close()


def test_a_worker_after_one_that_died_pays_for_no_answer_twice(
    world: World, server: ChatServer
) -> None:
    """The first dies in the middle: its lease runs out, its answers are in the cache."""
    server.say = _fails_at_the_judge(server)
    dead = world.hold()
    assert dead is not None
    assert dead.record.method == "rules"
    asked = len(server.requests)
    world.redis.delete(f"sigmax:lease:{world.run.run_id}:{LEASE_NAME}")
    server.say = sensible
    assert world.conclude()
    record = world.store.record(world.run.run_id)
    assert record.decision.debate.method == "llm"
    assert len(server.requests) == asked + 1
    assert record.decision.debate.llm is not None
    assert record.decision.debate.llm.cost_usd == Decimal("0.02")
    # The answer that could not be used was paid for as well.
    assert record.cost.llm_usd == Decimal("0.024")


def _fails_at_the_judge(server: ChatServer):
    def say(body):
        return "" if "You are the judge" in body["messages"][0]["content"] else sensible(body)

    return say


def test_a_debate_without_money_is_held_by_rules(world: World, server: ChatServer) -> None:
    plan = world.run.plan.model_copy(update={"max_cost_usd": Decimal("0.01")})
    world.run = replace(world.run, plan=plan)
    held = world.hold()
    assert held is not None
    assert held.record.method == "rules"
    assert held.record.llm is not None
    assert held.record.llm.fallback.startswith("over_budget: needs $0.0")
    assert held.spent_usd <= Decimal("0.01")
    assert len(server.requests) <= 1


def test_a_cancelled_run_is_debated_no_longer(world: World, server: ChatServer) -> None:
    def say(body):
        world.store.cancel(world.run.run_id)
        return sensible(body)

    server.say = say
    server.delay_seconds = 0.1
    assert not world.conclude()
    assert len(server.requests) < 5


def test_a_debate_that_is_too_slow_ends_by_rules(server: ChatServer) -> None:
    server.delay_seconds = 3
    world = World(server, 30, "llm.time_limit_seconds=1")
    assert world.conclude()
    debate = world.store.record(world.run.run_id).decision.debate
    assert debate.method == "rules"
    assert debate.llm is not None
    assert "in the time left" in debate.llm.fallback
    world.close()


def test_a_debate_that_does_not_stop_pays_for_nothing_more(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread is stuck past its time; what it asks afterwards is refused."""
    go_on, done = threading.Event(), threading.Event()
    ask = Interview.ask

    def stuck(self, prompts):
        go_on.wait(20)
        try:
            return ask(self, prompts)
        finally:
            done.set()

    monkeypatch.setattr(Interview, "ask", stuck)
    world = World(server, 30, "llm.time_limit_seconds=1")
    held = world.hold()
    assert held is not None
    assert held.record.llm is not None
    assert held.record.llm.fallback == "not over after 1 s"
    go_on.set()
    assert done.wait(10)
    assert server.requests == []
    world.close()


def test_a_client_that_ends_a_run_without_workers_decides_by_rules(world: World) -> None:
    assert conclude(world.store, world.settings, world.run, "no worker finished it in time")
    debate = world.store.record(world.run.run_id).decision.debate
    assert debate.llm is not None
    assert debate.llm.fallback == "no worker was left to ask it"


def test_a_bug_in_a_debate_costs_no_decision(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug with password=hunter22x")

    monkeypatch.setattr("sigmax_tasks.llm.interview.Interview.ask", broken)
    assert world.conclude()
    debate = world.store.record(world.run.run_id).decision.debate
    assert debate.llm is not None
    assert debate.llm.fallback == "RuntimeError in the debate"
