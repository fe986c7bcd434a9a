"""Holds the debate of a run by a model: one worker at a time, within the time of the run.

The worker that debates holds a lease, which it renews. A finaliser that finds the lease taken
leaves the run alone while there is time; once there is none, it decides by the rules. A worker that
dies loses its lease, the next one starts over, and what the model had answered is found in the
cache, so that no answer is paid for twice.
"""

from __future__ import annotations

import logging
import secrets
import threading
import traceback
from dataclasses import dataclass
from decimal import Decimal

import redis

from sigmax_tasks import clock
from sigmax_tasks.budget import Account
from sigmax_tasks.clock import Deadline
from sigmax_tasks.llm.answer_cache import AnswerCache
from sigmax_tasks.llm.chat import ChatEndpoint
from sigmax_tasks.llm.hearing import Hearing
from sigmax_tasks.llm.interview import Interview
from sigmax_tasks.models.debate import ModelAnswer
from sigmax_tasks.models.decision import DebateRecord, ValidationReport
from sigmax_tasks.models.research import ResearchBundle
from sigmax_tasks.redact import redact
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.settings import Settings
from sigmax_tasks.store import RunStore

logger = logging.getLogger(__name__)

LEASE_NAME = ITEM = "the debate"
"""No task can have this id."""
POLL_SECONDS = 0.3
GRACE_SECONDS = 0.5
SHORTEST_SECONDS = 1.0
"""With less time left than this no question is asked."""


@dataclass(frozen=True)
class Held:
    """A debate that is over, the answers it rests on, and what it cost this run."""

    record: DebateRecord
    answers: tuple[ModelAnswer, ...] = ()
    spent_usd: Decimal = Decimal(0)


class Debates:
    """Holds the debates of one set of settings. Thread-safe; one per worker process and settings.

    Without ``endpoint`` no model can be asked from here.
    """

    def __init__(
        self,
        store: RunStore,
        settings: Settings,
        endpoint: ChatEndpoint | None,
        client: redis.Redis | None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._endpoint = endpoint
        hours = settings.decision.debate.llm.cache_hours
        self._cache = AnswerCache(client, hours) if client is not None else None

    def hold(
        self, run: OpenRun, bundle: ResearchBundle, report: ValidationReport, account: Account
    ) -> Held | None:
        """The debate of a run; None where another worker is at it, or the run is over.

        ``account`` pays for it, as item ``ITEM`` of the run.
        """
        policy = self._settings.decision
        left = (run.deadline_at - clock.now()).total_seconds()
        reserve = self._settings.runtime.engine.finalize_reserve_seconds
        owner = secrets.token_hex(8)
        mine = self._endpoint is None or self._store.hold_lease(run.run_id, LEASE_NAME, owner)
        if not mine and left > reserve / 2:
            return None
        hearing = Hearing(bundle, report, policy, self._store.observations(run.run_id))
        if self._endpoint is None:
            return Held(hearing.by_rules("no worker was left to ask it"))
        if not mine:
            return Held(hearing.by_rules("it was still under way at the deadline of the run"))
        seconds = min(policy.debate.llm.time_limit_seconds, left - reserve)
        if seconds < SHORTEST_SECONDS:
            return Held(hearing.by_rules("no time was left in the run"))
        purse = self._store.ledger.allowance(account, ITEM)
        stop = threading.Event()
        deadline = Deadline.after(seconds)
        cache = self._cache
        interview = Interview(
            self._endpoint, policy, purse, deadline, stopped=stop.is_set, cache=cache
        )
        debate = _Debate(hearing, interview)
        try:
            if not self._wait(run, debate, deadline, owner):
                purse.leave()
                return None
        finally:
            stop.set()
        record = debate.record or hearing.by_rules(
            debate.error or f"not over after {seconds:.0f} s"
        )
        # Settled: a question that is still under way somewhere is the last one that was paid for.
        return Held(record, tuple(hearing.answers), purse.settle())

    def _wait(self, run: OpenRun, debate: _Debate, deadline: Deadline, owner: str) -> bool:
        """Until it is over or out of time; False when the run is no longer this worker's."""
        debate.start()
        while debate.is_alive() and clock.monotonic() < deadline.at + GRACE_SECONDS:
            debate.join(POLL_SECONDS)
            try:
                mine = self._store.hold_lease(run.run_id, LEASE_NAME, owner)
                if not mine or not self._store.is_open(run.run_id):
                    return False
            except redis.RedisError as error:
                # Away for a moment: the debate goes on, and the decision is committed later.
                logger.warning("run %s: no lease (%s)", run.run_id, type(error).__name__)
        return True


class _Debate(threading.Thread):
    """A hearing in a thread of its own. ``record`` is there once it is over."""

    def __init__(self, hearing: Hearing, interview: Interview) -> None:
        super().__init__(name="sigmax-debate", daemon=True)
        self._hearing = hearing
        self._interview = interview
        self.record: DebateRecord | None = None
        self.error = ""

    def run(self) -> None:
        try:
            self.record = self._hearing.hold(self._interview.ask)
        except Exception as error:  # noqa: BLE001  # a bug in it must not cost the decision
            # logger.exception() would log the texts of the error as they are.
            logger.error("a debate failed\n%s", redact(traceback.format_exc()).text)  # noqa: TRY400
            self.error = f"{type(error).__name__} in the debate"
