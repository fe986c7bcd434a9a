"""Critical-path batching on a pool that is played: each task goes once, when it may."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest
import redis

from sigmax_planner.canvas import FINALIZE_RUN
from sigmax_planner.flow import waves
from sigmax_planner.models import Batching, ResearchPlan, ResearchTask
from sigmax_tasks import tasks
from sigmax_tasks.models.events import EventKind
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.release import companions, sendable, steps_of
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.settings import Settings, load_settings
from sigmax_tasks.store import RunStore

from .builders import START, open_run, outcome, runtime, task


def flow_run(*members: ResearchTask, width: int = 2) -> OpenRun:
    made = open_run()
    plan = ResearchPlan(
        symbol="BTC/USDT",
        risk_profile="balanced",
        tasks=members,
        execution_order=waves(members, width),
        width=width,
        batching=Batching.CRITICAL_PATH,
        created_at=START,
    )
    return OpenRun(
        run_id=made.run_id,
        request=made.request,
        plan=plan,
        settings_hash=made.settings_hash,
        created_at=START,
        deadline_at=START + timedelta(seconds=600),
    )


class Pool:
    """Messages are kept in hand; the test says which is delivered, and how a task ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
        self.client: redis.Redis = fakeredis.FakeRedis(decode_responses=True)
        self.store = RunStore(self.client, runtime())
        own = ("engine.lean_chords=false", *overrides)
        self.settings: Settings = load_settings(shipped_folder(), own, {}).settings
        self.place: Any = SimpleNamespace(
            store=self.store, settings=self.settings, of=lambda _: (self.settings, None)
        )
        self.in_work: list[str] = []
        self.sent: list[str] = []
        self.finalised: list[str] = []
        monkeypatch.setattr(tasks, "batch_chord", self._chord)
        monkeypatch.setattr(tasks, "control_signature", self._control)

    def _chord(
        self, _app: Any, _run_id: str, _step: int, group: list[ResearchTask], **_: Any
    ) -> Any:
        def send() -> None:
            assert len(group) == 1, "its end alone lets the next ones go"
            self.in_work.append(group[0].task_id)
            self.sent.append(group[0].task_id)

        return SimpleNamespace(apply_async=send)

    def _control(self, _app: Any, name: str, _run_id: str, *rest: Any) -> Any:
        assert name == FINALIZE_RUN
        return SimpleNamespace(apply_async=lambda: self.finalised.append(str(rest[0])))

    def end(self, run: OpenRun, task_id: str, status: TaskStatus = TaskStatus.COMPLETED) -> None:
        self.in_work.remove(task_id)
        self.store.record_outcome(run, outcome(task_id, status))


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    made = Pool(monkeypatch)
    yield made
    made.client.close()


def test_a_task_goes_when_its_own_dependencies_are_done(pool: Pool) -> None:
    run = flow_run(task("a"), task("b"), task("c", "a"), task("d", "b", "c"), width=3)
    pool.store.create(run, "{}")
    tasks.go_on(pool.place, run)
    assert pool.in_work == ["a", "b"]
    pool.end(run, "a")
    tasks.go_on(pool.place, run)
    assert pool.in_work == ["b", "c"], "b is not waited for"
    pool.end(run, "b")
    tasks.go_on(pool.place, run)
    assert pool.in_work == ["c"]
    pool.end(run, "c")
    tasks.go_on(pool.place, run)
    assert pool.in_work == ["d"]
    pool.end(run, "d")
    for _ in range(3):
        tasks.go_on(pool.place, run)
    assert len(pool.finalised) == 1


def test_what_depends_on_a_failure_is_skipped_all_the_way(pool: Pool) -> None:
    run = flow_run(task("a"), task("b", "a"), task("c", "b"), task("d"), width=1)
    pool.store.create(run, "{}")
    tasks.go_on(pool.place, run)
    pool.end(run, "a", TaskStatus.FAILED)
    tasks.go_on(pool.place, run)
    found = pool.store.outcomes(run.run_id)
    assert found["b"].reason == "dependency a failed"
    assert found["c"].reason == "dependency b skipped"
    assert pool.in_work == ["d"]


def test_a_failed_critical_task_stops_what_is_not_in_work_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = Pool(monkeypatch, "task_execution.fail_on_critical_error=true")
    members = (task("a", priority="CRITICAL"), task("b"), task("c", "b"))
    run = flow_run(*members, width=2)
    pool.store.create(run, "{}")
    tasks.go_on(pool.place, run)
    pool.end(run, "a", TaskStatus.FAILED)
    tasks.go_on(pool.place, run)
    assert pool.finalised == [], "b is in work"
    pool.end(run, "b")
    tasks.go_on(pool.place, run)
    assert pool.finalised == ["critical task a failed"]
    assert pool.sent == ["a", "b"]


@pytest.mark.parametrize("seed", range(12))
def test_any_graph_in_any_order_of_ends_and_repeats_sends_each_task_once(
    pool: Pool, seed: int
) -> None:
    dice = random.Random(seed)
    members = []
    for number in range(dice.randint(1, 14)):
        needed = dice.sample(range(number), min(number, dice.randint(0, 3)))
        members.append(task(f"t{number}", *(f"t{n}" for n in needed)))
    width = dice.randint(1, 4)
    run = flow_run(*members, width=width)
    pool.store.create(run, "{}")
    tasks.go_on(pool.place, run)
    while pool.in_work:
        assert len(pool.in_work) <= width
        # Several may end before the first of their steps is taken, and steps may come twice.
        for _ in range(dice.randint(1, len(pool.in_work))):
            good = dice.random() < 0.85
            status = TaskStatus.COMPLETED if good else TaskStatus.FAILED
            pool.end(run, dice.choice(pool.in_work), status)
        for _ in range(dice.randint(1, 3)):
            tasks.go_on(pool.place, run)
    assert len(pool.sent) == len(set(pool.sent))
    assert set(pool.store.outcomes(run.run_id)) == {t.task_id for t in members}
    assert len(pool.finalised) == 1


def test_two_steps_at_the_same_moment_share_the_places(pool: Pool) -> None:
    run = flow_run(*(task(name) for name in "abcdef"), width=3)
    pool.store.create(run, "{}")
    ready = sendable(run.plan, ())
    first = pool.store.claim_tasks(run, ready[:4])
    second = pool.store.claim_tasks(run, ready)
    assert (first, second) == (("a", "b", "c"), ())
    pool.store.record_outcome(run, outcome("b"))
    assert pool.store.claim_tasks(run, ready) == ("d",)
    pool.store.cancel(run.run_id)
    pool.store.record_outcome(run, outcome("a"))
    assert pool.store.claim_tasks(run, ready) == ()


def test_its_events_name_what_was_sent(pool: Pool) -> None:
    run = flow_run(task("a"), task("b"), width=2)
    pool.store.create(run, "{}")
    tasks.go_on(pool.place, run)
    events = pool.store.read_events({run.run_id: "0-0"}, 0.01)
    (sent,) = [event for event in events if event.kind is EventKind.BATCH_STARTED]
    assert (sent.batch_index, sent.detail) == (None, "a, b")


def test_steps_and_companions_by_either_batching() -> None:
    levels, flow = open_run().plan, flow_run(task("a"), task("b", "a"), task("c")).plan
    assert steps_of(levels) == levels.execution_order
    assert companions(levels, "momentum") == ("momentum",)
    assert [sorted(step) for step in steps_of(flow)] == [["a", "b", "c"]]
    assert companions(flow, "a") == ("a", "c"), "b cannot end before it"
