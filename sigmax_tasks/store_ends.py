"""The part of the run store that ends a run: its money, the try to conclude it, its record."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import cast

import redis

from sigmax_tasks import clock
from sigmax_tasks.budget import Account, Ledger, day_of, lower, spend_key, usd_of, world_of
from sigmax_tasks.journal import (
    Journal,
    RedisJournal,
    entry_arguments,
    entry_keys,
    journal_on,
)
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.journal import JournalEntry
from sigmax_tasks.outbox import OUTBOX_KEY, TRIES_KEY
from sigmax_tasks.run_state import (
    STATE_CANCELLED,
    STATE_FINISHED,
    Conclusion,
    OpenRun,
    outcomes_of,
)
from sigmax_tasks.settings.runtime import RuntimeSettings
from sigmax_tasks.store_scripts import BEGIN_CONCLUSION, COMMIT, NUDGE, pack_text
from sigmax_tasks.store_tasks import TaskStore
from sigmax_tasks.tally import TALLY_KEY, TASK_TALLY_KEY, cancelled_tally, record_tally

SPEND_GRACE_SECONDS = 30.0
"""How long past its deadline a run may still spend what it holds: its decision may be late."""
TOGETHER_SECONDS = 2.0
"""Shorter than the time after which a finaliser that was lost is sent again."""
_ANY_NUMBER = 10**12


class EndStore(TaskStore):
    """The decision of a run is committed once. ``ledger`` is the money of all runs."""

    def __init__(self, client: redis.Redis, runtime: RuntimeSettings) -> None:
        super().__init__(client, runtime)
        self._commit_script = client.register_script(COMMIT)
        self._conclusion_script = client.register_script(BEGIN_CONCLUSION)
        self._nudge_script = client.register_script(NUDGE)
        self.ledger = Ledger(client)

    def account(self, run: OpenRun, *day_limits_usd: Decimal | None) -> Account:
        """The money of a run: its plan's limit, and the lowest of the limits of its day."""
        day_limit = None
        for limit in day_limits_usd:
            day_limit = lower(day_limit, limit)
        return Account(
            run_id=run.run_id,
            world=world_of(run.request.data_mode),
            day=day_of(run.created_at),
            run_limit_usd=run.plan.max_cost_usd,
            day_limit_usd=day_limit,
            expires_at=run.deadline_at.timestamp() + SPEND_GRACE_SECONDS,
            keep_seconds=self._open_seconds(run),
        )

    def begin_conclusion(self, account: Account) -> Conclusion | None:
        """What the run is concluded on, its spending ended; None once it is closed.

        Workers that begin within ``TOGETHER_SECONDS`` are at it together, which counts as one try.
        """
        run_id = account.run_id
        answer = self._conclusion_script(
            keys=[
                f"sigmax:run:{run_id}",
                f"sigmax:cost:{run_id}",
                f"sigmax:out:{run_id}",
                spend_key(account.world, account.day),
            ],
            args=[clock.now().timestamp(), TOGETHER_SECONDS, run_id],
        )
        if not answer:
            return None
        tries, spent, day_spent, outcomes = cast("tuple[int, int, str, list[str]]", answer)
        return Conclusion(
            tries=tries,
            outcomes=outcomes_of(dict(zip(outcomes[::2], outcomes[1::2], strict=True))),
            spent_usd=usd_of(spent),
            day_spent_usd=usd_of(day_spent),
        )

    def claim_nudge(self, run_id: str, step: int, every_seconds: float) -> bool:
        """Whether the caller is to send a step of the run once more: one of all, once in a time."""
        won = self._nudge_script(
            keys=[f"sigmax:run:{run_id}"], args=[step, clock.now().timestamp(), every_seconds]
        )
        return int(cast("int", won)) == 1

    @cached_property
    def journal(self) -> Journal:
        """The journal of this cluster."""
        return journal_on(self._redis, "the Redis of the cluster")

    def commit(
        self,
        run: OpenRun,
        record: RunRecord,
        event: ProgressEvent,
        entry: JournalEntry | None = None,
        notices: str = "",
    ) -> bool:
        """Close the run with its record; True for the one caller whose record is kept.

        The journal entry is kept in the same step. A private cluster's goes to its file right
        after; one that is lost there, by a crash in between, is given by :meth:`journal_entry`.
        ``notices`` (outbox.py) are laid into the outbox in the same step.
        """
        text = pack_text(record.model_dump_json(exclude_computed_fields=True))
        counted = record_tally(record)
        won = self._close(run.run_id, STATE_FINISHED, text, event, counted, entry, notices)
        if won and entry is not None:
            if not isinstance(self.journal, RedisJournal):
                self.journal.add(entry)
            days = self._runtime.retention.journal_days
            if days is not None:
                self.journal.forget_before(clock.now() - timedelta(days=days))
        return won

    def journal_entry(self, run_id: str) -> JournalEntry | None:
        """What a private cluster's run adds to the journal; None where the Redis has it."""
        text = cast("str | None", self._redis.hget(f"sigmax:run:{run_id}", "journal"))
        return JournalEntry.model_validate_json(text) if text else None

    def abandon(self, run_id: str, reason: str) -> bool:
        """Close a run without a decision, also one that cannot be read; its client is told why."""
        event = ProgressEvent(
            run_id=run_id, kind=EventKind.RUN_CANCELLED, at=clock.now(), detail=reason
        )
        won = self._close(run_id, STATE_CANCELLED, "", event, cancelled_tally())
        if won:
            self.ledger.close(run_id)
        return won

    def _close(
        self,
        run_id: str,
        state: str,
        record: str,
        event: ProgressEvent,
        counted: str,
        entry: JournalEntry | None = None,
        notices: str = "",
    ) -> bool:
        now = clock.now().timestamp()
        home = "redis" if isinstance(self.journal, RedisJournal) else "file"
        most_kept = self._runtime.retention.max_kept_runs
        won = self._commit_script(
            keys=[
                f"sigmax:run:{run_id}",
                f"sigmax:ev:{run_id}",
                "sigmax:live",
                "sigmax:finished",
                f"sigmax:out:{run_id}",
                f"sigmax:obs:{run_id}",
                TALLY_KEY,
                TASK_TALLY_KEY,
                OUTBOX_KEY,
                TRIES_KEY,
                *(entry_keys(entry) if entry is not None else ()),
            ],
            args=[
                state,
                record,
                run_id,
                now,
                self._event(event),
                self._run_seconds,
                int(self._runtime.retention.working_hours * 3600),
                self._runtime.engine.event_stream_max_length,
                now - self._run_seconds,
                counted,
                notices,
                self._runtime.notifications.outbox_length,
                _ANY_NUMBER if most_kept is None else most_kept,
                *((home, *entry_arguments(entry)) if entry is not None else ("",)),
            ],
        )
        return int(cast("int", won)) == 1
