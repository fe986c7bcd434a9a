"""What the watchdog does about each way a run can get stuck."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import fakeredis
import pytest

from sigmax_planner.canvas import CLOSE_BATCH, FINALIZE_RUN
from sigmax_planner.flow import waves
from sigmax_planner.models import Batching
from sigmax_tasks import clock, sweeper
from sigmax_tasks.errors import NewerRunError, RunNotFoundError
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.settings import load_settings
from sigmax_tasks.store import RunStore

from .builders import START, begun, open_run, outcome, runtime, task


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self):
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Watched:
    """A sweeper whose messages are recorded instead of sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fake: FakeClock) -> None:
        self.fake = fake
        self.client = fakeredis.FakeRedis(decode_responses=True)
        self.store = RunStore(self.client, runtime(sweep_interval_seconds=0.001))
        self.sent: list[tuple[object, ...]] = []
        settings = load_settings(shipped_folder(), environ={}).settings
        place = SimpleNamespace(
            store=self.store, settings=settings, recall=self.recall, of=lambda run: (settings, None)
        )
        self.sweeper = sweeper.Sweeper(place)

        def record(_app: object, *what: object) -> SimpleNamespace:
            return SimpleNamespace(apply_async=lambda: self.sent.append(what))

        def dispatch(_store, run, step, outcomes, *, only=None):
            self.sent.append(("chord", run.run_id, step, *sorted(only)))

        monkeypatch.setattr(sweeper, "control_signature", record)
        monkeypatch.setattr(sweeper, "dispatch", dispatch)

    def recall(self, run_id: str) -> OpenRun | None:
        try:
            return self.store.load(run_id)
        except (NewerRunError, RunNotFoundError):
            return None

    def after(self, seconds: float) -> list[tuple[object, ...]]:
        self.fake.sleep(seconds)
        self.client.delete("sigmax:watch")
        self.sent.clear()
        self.sweeper.sweep()
        return list(self.sent)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    fake = FakeClock()
    with clock.use_clock(fake):
        watched = Watched(monkeypatch, fake)
        yield watched
        watched.client.close()


def test_a_run_that_was_never_started_is_started(watched: Watched) -> None:
    run = open_run()
    watched.store.create(run, "{}")
    assert watched.after(0.6) == []
    assert watched.after(3) == [(CLOSE_BATCH, run.run_id, 0)]


def test_a_complete_batch_whose_chord_was_lost_goes_on(watched: Watched) -> None:
    run = open_run()
    watched.store.create(run, "{}")
    watched.store.claim_step(run.run_id, 0)
    watched.store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED))
    assert watched.after(0.6) == []
    assert watched.after(3) == [(CLOSE_BATCH, run.run_id, 1)]


def test_a_task_whose_worker_died_is_sent_again_then_given_up(watched: Watched) -> None:
    run = open_run(seconds=600)
    watched.store.create(run, "{}")
    watched.store.claim_step(run.run_id, 0)
    for again in range(2):
        assert watched.store.start_task(f"owner-{again}", begun(run, "technical", clock.now()))
        assert watched.after(1) == [], "its lease holds"
        watched.client.delete(f"sigmax:lease:{run.run_id}:technical")
        assert watched.after(7) == [("chord", run.run_id, 0, "technical")]
    assert watched.store.start_task("owner-2", begun(run, "technical", clock.now()))
    watched.client.delete(f"sigmax:lease:{run.run_id}:technical")
    watched.after(7)
    lost = watched.store.outcomes(run.run_id)["technical"]
    assert lost.status is TaskStatus.FAILED
    assert lost.reason == "set aside: its worker died 3 times"
    assert lost.attempts == 3
    assert watched.store.count_dead() == 1


def test_a_task_that_nobody_took_is_sent_again_after_the_stall_time(watched: Watched) -> None:
    run = open_run(seconds=600)
    watched.store.create(run, "{}")
    watched.store.claim_step(run.run_id, 0)
    watched.store.mark_sent(run.run_id, 0)
    watched.client.rpush("sigmax.research:3", "a message that waits")
    assert watched.after(20) == []
    assert watched.after(11) == [("chord", run.run_id, 0, "technical")]
    assert watched.after(1) == [], "it is given the same time again"


def test_a_task_missing_from_an_empty_queue_died_with_a_worker(watched: Watched) -> None:
    run = open_run(seconds=600)
    watched.store.create(run, "{}")
    watched.store.claim_step(run.run_id, 0)
    watched.store.mark_sent(run.run_id, 0)
    assert watched.after(5) == []
    assert watched.after(2) == [("chord", run.run_id, 0, "technical")]


def test_a_batch_whose_chord_was_never_published_is_sent_soon(watched: Watched) -> None:
    run = open_run(seconds=600)
    watched.store.create(run, "{}")
    watched.store.claim_step(run.run_id, 0)
    assert watched.after(1) == []
    assert watched.after(2) == [("chord", run.run_id, 0, "technical")]


def test_a_batch_out_of_time_goes_on_without_its_missing_tasks(watched: Watched) -> None:
    run = open_run(seconds=600)
    watched.store.create(run, "{}")
    watched.store.claim_step(run.run_id, 0)
    assert (CLOSE_BATCH, run.run_id, 1) in watched.after(70)
    given_up = watched.store.outcomes(run.run_id)["technical"]
    assert given_up.status is TaskStatus.SKIPPED
    assert "out of time" in given_up.reason


def test_a_run_past_its_deadline_is_finalised_and_not_in_every_round(watched: Watched) -> None:
    run = open_run(seconds=10)
    watched.store.create(run, "{}")
    (message,) = watched.after(9.5)
    assert message[:2] == (FINALIZE_RUN, run.run_id)
    assert "deadline" in str(message[2])
    assert watched.after(1) == []
    assert len(watched.after(5)) == 1


def test_a_finaliser_that_was_lost_is_sent_again(watched: Watched) -> None:
    run = open_run(seconds=600)
    watched.store.create(run, "{}")
    for step in (0, 1, 2):
        watched.store.claim_step(run.run_id, step)
    assert watched.after(0.6) == []
    assert watched.after(6) == [(FINALIZE_RUN, run.run_id)]


def test_a_run_that_is_gone_is_taken_off_the_list(watched: Watched) -> None:
    run = open_run()
    watched.store.create(run, "{}")
    watched.client.delete(f"sigmax:run:{run.run_id}")
    assert watched.after(1) == []
    assert watched.store.live_runs() == ()


def test_one_worker_at_a_time_watches(watched: Watched) -> None:
    watched.store.create(open_run(), "{}")
    watched.store.take_watch("another", 60)
    watched.sweeper.sweep()
    watched.fake.sleep(10)
    watched.sweeper.sweep()
    assert watched.sent == []


def test_a_run_that_cannot_be_read_keeps_nothing_from_the_others(watched: Watched) -> None:
    broken, good = open_run("20250314-120000-0000000a", 10), open_run(seconds=600)
    for run in (broken, good):
        watched.store.create(run, "{}")
    watched.client.hset(f"sigmax:run:{broken.run_id}", "plan", "not a plan")
    assert watched.after(0.6) == []
    assert watched.after(3) == [(CLOSE_BATCH, good.run_id, 0)]
    watched.after(13)
    assert [run_id for run_id, _ in watched.store.live_runs()] == [good.run_id]
    events = watched.store.read_events({broken.run_id: "0-0"}, 0.01)
    assert "cannot be read" in events[-1].detail


def test_a_run_of_a_newer_version_is_ended_by_an_older_one_only_past_its_deadline(
    watched: Watched,
) -> None:
    run = open_run(seconds=10)
    watched.store.create(run, "{}")
    watched.client.hset(f"sigmax:run:{run.run_id}", "protocol", "99")
    assert watched.after(12) == []
    assert watched.store.is_open(run.run_id), "a newer worker may be at it"
    watched.after(4)
    assert not watched.store.is_open(run.run_id)
    events = watched.store.read_events({run.run_id: "0-0"}, 0.01)
    assert "protocol 99" in events[-1].detail


def flow_of(*members, width: int = 2) -> OpenRun:
    run = open_run(seconds=600)
    plan = run.plan.model_copy(
        update={
            "tasks": members,
            "execution_order": waves(members, width),
            "width": width,
            "batching": Batching.CRITICAL_PATH,
        }
    )
    return replace(run, plan=plan)


def test_by_critical_path_only_the_lost_task_is_sent_again(watched: Watched) -> None:
    run = flow_of(task("a"), task("b"), task("c", "a"))
    watched.store.create(run, "{}")
    watched.store.claim_step(run.run_id, 0)
    assert watched.store.claim_tasks(run, ("a", "b")) == ("a", "b")
    watched.store.mark_sent(run.run_id, 0)
    watched.store.start_task("owner", begun(run, "a", watched.fake.now()))
    watched.fake.sleep(3)
    watched.store.hold_lease(run.run_id, "a", "owner")
    assert watched.after(2) == [], "b may be on its way"
    watched.store.hold_lease(run.run_id, "a", "owner")
    assert watched.after(2) == [("chord", run.run_id, 0, "b")]
    watched.store.hold_lease(run.run_id, "a", "owner")
    assert watched.after(4) == [], "b is given the same time again"


def test_by_critical_path_a_lost_step_is_made_up_for(watched: Watched) -> None:
    run = flow_of(task("a"), task("b"), task("c", "a"))
    watched.store.create(run, "{}")
    watched.store.claim_step(run.run_id, 0)
    watched.store.claim_tasks(run, ("a", "b"))
    watched.store.mark_sent(run.run_id, 0)
    watched.store.record_outcome(run, outcome("a", TaskStatus.COMPLETED))
    assert watched.after(0.6) == []
    assert watched.after(3) == [(CLOSE_BATCH, run.run_id, 1)]


def test_by_critical_path_each_task_has_its_own_time(watched: Watched) -> None:
    run = flow_of(task("a"), task("b", "a"))
    watched.store.create(run, "{}")
    watched.store.claim_step(run.run_id, 0)
    watched.store.claim_tasks(run, ("a",))
    watched.store.mark_sent(run.run_id, 0)
    watched.fake.sleep(50)
    watched.store.record_outcome(run, outcome("a", TaskStatus.COMPLETED))
    watched.store.claim_tasks(run, ("b",))
    watched.store.hold_lease(run.run_id, "b", "owner")
    assert watched.after(5) == [], "b has just been sent"
    watched.fake.sleep(60)
    assert (CLOSE_BATCH, run.run_id, 1) in watched.after(1)
    assert watched.store.outcomes(run.run_id)["b"].reason == "it ran out of time"
