"""Several watchdogs over one Redis, also when the round of one lasts into the round of another."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import fakeredis
import pytest

from sigmax_planner.canvas import CLOSE_BATCH, FINALIZE_RUN
from sigmax_tasks import clock, sweeper
from sigmax_tasks.finalizer import conclude
from sigmax_tasks.models.events import EventKind
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.settings import load_settings
from sigmax_tasks.store import RunStore
from sigmax_tasks.tally import TALLY_KEY

from .builders import begun, open_run, outcome, runtime, task
from .test_sweeper import FakeClock, flow_of

WATCHDOGS = 5
Step = tuple[object, ...]


class Pack:
    """Watchdogs of as many workers: their steps are kept, what they send to tasks stays in Redis.

    With ``together`` all of them look at the runs before any of them does something.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fake: FakeClock, *, together: bool) -> None:
        self.fake = fake
        self.together = together
        self.client = fakeredis.FakeRedis(decode_responses=True)
        self.settings = load_settings(shipped_folder(), environ={}).settings
        self.steps: list[tuple[float, Step]] = []
        self.resent: list[tuple[float, str, str]] = []
        self.store = RunStore(self.client, runtime())
        self._sweepers = [self._watchdog() for _ in range(WATCHDOGS)]
        self._round = 0

        def control(_app: object, *what: object) -> SimpleNamespace:
            return SimpleNamespace(apply_async=lambda: self.steps.append((fake.seconds, what)))

        monkeypatch.setattr(sweeper, "control_signature", control)

    def _watchdog(self) -> sweeper.Sweeper:
        store = RunStore(self.client, runtime())
        place = SimpleNamespace(
            store=store,
            settings=self.settings,
            recall=store.load,
            of=lambda _: (self.settings, None),
        )
        return sweeper.Sweeper(place)

    def watch(self, seconds: int) -> None:
        """A round each second, led by each watchdog in turn."""
        for _ in range(seconds):
            self.fake.sleep(1)
            self.client.delete("sigmax:watch")
            first = self._round % WATCHDOGS
            turns = self._sweepers[first:] + self._sweepers[:first]
            self._round += 1
            if self.together:
                self._all_at_once(turns)
            else:
                for each in turns:
                    each.sweep()
            self._take_messages()

    def _all_at_once(self, turns: list[sweeper.Sweeper]) -> None:
        """The lock of each round has run out while it read the runs."""

        def later(follows: list[sweeper.Sweeper], looks: Callable) -> Callable:
            def look(runs: object) -> object:
                seen = looks(runs)
                self.client.delete("sigmax:watch")
                if follows:
                    follows[0].sweep()
                    self._take_messages()
                return seen

            return look

        stores = [each._store for each in turns]
        with pytest.MonkeyPatch.context() as patch:
            for number, store in enumerate(stores):
                patch.setattr(store, "looks", later(turns[number + 1 : number + 2], store.looks))
            turns[0].sweep()

    def _take_messages(self) -> None:
        """Nobody takes them for work: what was sent is noted, and the lists are empty again."""
        for key in self.client.keys("sigmax.research*"):
            for text in self.client.lrange(key, 0, -1):
                (run_id, task_id), *_ = json.loads(base64.b64decode(json.loads(text)["body"]))
                self.resent.append((self.fake.seconds, run_id, task_id))
            self.client.delete(key)

    def asked(self, kind: str, run: OpenRun) -> list[float]:
        """When that step of the run was sent."""
        return [at for at, step in self.steps if step[:2] == (kind, run.run_id)]

    def sent(self, run: OpenRun, task_id: str) -> list[float]:
        """When that task was sent again."""
        return [at for at, *what in self.resent if what == [run.run_id, task_id]]

    def told(self, run: OpenRun, kind: EventKind) -> int:
        """How many such events the run has."""
        events = self.store.read_events({run.run_id: "0-0"}, 0.01)
        return sum(event.kind is kind for event in events)


@pytest.fixture(params=[False, True], ids=["one after another", "together"])
def pack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pack]:
    fake = FakeClock()
    with clock.use_clock(fake):
        made = Pack(monkeypatch, fake, together=request.param)
        yield made
        made.client.close()


def apart(times: list[float], seconds: float) -> bool:
    """There are some, and none sooner after the one before."""
    gaps = [later - first for first, later in itertools.pairwise(times)]
    return bool(times) and all(gap >= seconds for gap in gaps)


@pytest.mark.parametrize("flow", [False, True], ids=["by levels", "by critical path"])
def test_a_task_that_nobody_took_is_sent_again_by_one_of_them(pack: Pack, flow: bool) -> None:
    run = flow_of(task("technical"), task("other")) if flow else open_run(seconds=600)
    pack.store.create(run, pack.settings.snapshot)
    pack.store.claim_step(run.run_id, 0)
    pack.store.claim_tasks(run, ("technical",) if flow else ())
    pack.store.mark_sent(run.run_id, 0)
    pack.watch(25)
    times = pack.sent(run, "technical")
    assert 3 <= len(times) <= 4, times
    assert apart(times, pack.settings.runtime.engine.lease_seconds), times
    assert pack.told(run, EventKind.TASK_REDISPATCHED) == len(times)


def test_a_task_that_kills_its_workers_is_sent_as_often_as_allowed_by_all_of_them(
    pack: Pack,
) -> None:
    run = open_run(seconds=600)
    pack.store.create(run, pack.settings.snapshot)
    pack.store.claim_step(run.run_id, 0)
    engine = pack.settings.runtime.engine
    for life in range(engine.max_redispatches + 1):
        assert len(pack.sent(run, "technical")) == life
        assert pack.store.start_task(f"owner {life}", begun(run, "technical", clock.now()))
        pack.client.delete(f"sigmax:lease:{run.run_id}:technical")
        pack.watch(int(engine.lease_seconds) + 1)
    assert len(pack.sent(run, "technical")) == engine.max_redispatches
    assert pack.client.hget(TALLY_KEY, "redispatched") == str(engine.max_redispatches)
    assert pack.store.outcomes(run.run_id)["technical"].status is TaskStatus.FAILED
    assert pack.told(run, EventKind.TASK_FINISHED) == 1
    assert pack.store.count_dead() == 1


def test_a_task_taken_after_a_watchdog_looked_is_left_alone(pack: Pack) -> None:
    run = open_run(seconds=600)
    pack.store.create(run, pack.settings.snapshot)
    pack.store.claim_step(run.run_id, 0)
    seen = pack.store.state(run.run_id)
    assert seen is not None
    assert pack.store.start_task("owner", begun(run, "technical", clock.now()))
    assert pack.store.claim_lost(run.run_id, seen, ["technical"], []) == ()
    pack.store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED))
    assert pack.store.claim_lost(run.run_id, seen, ["technical"], []) == ()
    pack.watch(1)
    assert pack.told(run, EventKind.TASK_REDISPATCHED) == 0


def test_a_lost_step_is_sent_again_by_one_of_them(pack: Pack) -> None:
    run = open_run(seconds=600)
    pack.store.create(run, pack.settings.snapshot)
    pack.store.claim_step(run.run_id, 0)
    pack.store.record_outcome(run, outcome("technical", TaskStatus.COMPLETED))
    pack.watch(12)
    assert apart(pack.asked(CLOSE_BATCH, run), sweeper.STALE_STEP_SECONDS)
    assert pack.store.claim_step(run.run_id, 1)
    pack.store.record_outcome(run, outcome("momentum", TaskStatus.COMPLETED))
    assert pack.store.claim_step(run.run_id, 2)
    pack.watch(20)
    assert apart(pack.asked(FINALIZE_RUN, run), sweeper.FINALIZE_AGAIN_SECONDS)
    assert all(first < 14 for first in pack.asked(CLOSE_BATCH, run))


def test_overdue_and_stalled_runs_get_one_decision_each(pack: Pack) -> None:
    ids = [f"20250314-120000-0000000{number}" for number in range(4)]
    runs = [open_run(run_id, seconds=12) for run_id in ids]
    for run in runs:
        pack.store.create(run, pack.settings.snapshot)
    for run in runs[1:]:
        pack.store.claim_step(run.run_id, 0)
    pack.store.start_task("owner", begun(runs[2], "technical", clock.now()))
    pack.store.record_outcome(runs[3], outcome("technical", TaskStatus.COMPLETED))
    pack.watch(24)
    reason = "not finished by the deadline of the run"
    for run in runs:
        asked = pack.asked(FINALIZE_RUN, run)
        assert len(asked) == 3, "nobody concludes it: every 5 s of 13 again"
        assert apart(asked, sweeper.FINALIZE_AGAIN_SECONDS)
        won = [conclude(pack.store, pack.settings, run, reason) for _ in asked]
        assert won == [True, False, False]
        assert pack.told(run, EventKind.RUN_FINISHED) == 1
        assert pack.store.record(run.run_id).decision.action.value == "HOLD"
    pack.steps.clear()
    pack.watch(10)
    assert pack.steps == []
    assert pack.store.live_runs() == ()
