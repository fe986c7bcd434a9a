"""The Celery task that submits what the clock asks for: each time of a schedule at most once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

from celery import Task

from sigmax_planner.canvas import CONTROL_PRIORITY, CONTROL_QUEUE
from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks import clock
from sigmax_tasks.celery import app, settings
from sigmax_tasks.client import Client
from sigmax_tasks.cluster_link import connect
from sigmax_tasks.errors import ClusterBusyError, SigmaxError
from sigmax_tasks.portfolio import compared_with
from sigmax_tasks.settings import Settings
from sigmax_tasks.settings.schedule import ScheduleEntry
from sigmax_tasks.slots import SlotBook
from sigmax_tasks.store import RunStore
from sigmax_tasks.timetable import SUBMIT_SCHEDULED, check_source_root, crontab_of
from sigmax_tasks.watchlist import read_symbols

logger = logging.getLogger(__name__)

ASK_AGAIN_SECONDS = 2.0
"""How long a time that waits for the runs before it sleeps between two looks."""


class Verdict(Enum):
    """What becomes of one time of a schedule."""

    SUBMIT = "submit"
    MISSED = "missed"
    OVERLAPPED = "overlapped"
    WAIT = "wait"


def judge(
    entry: ScheduleEntry,
    *,
    slot: datetime,
    newest: datetime,
    now: datetime,
    open_runs: Sequence[str],
    waiting: bool,
) -> Verdict:
    """Decide by the entry's policies.

    ``newest`` is the schedule's latest time up to now, ``open_runs`` are those of the time before
    that are not over, ``waiting`` says that this time was on time and waits already.
    """
    late = not waiting and (now - slot).total_seconds() > entry.late_after
    # Of several missed times at most the newest is made up for.
    if late and (entry.missed == "skip" or newest > slot):
        return Verdict.MISSED
    if not open_runs:
        return Verdict.SUBMIT
    return Verdict.WAIT if entry.overlap == "queue" else Verdict.OVERLAPPED


def requests_of(
    name: str, entry: ScheduleEntry, own: Settings, source_root: str | None
) -> tuple[AnalysisRequest, ...]:
    """One request per symbol; :class:`ConfigurationError` for a file that cannot be used."""
    listed: tuple[str, ...] = ()
    if entry.watchlist is not None:
        listed = read_symbols(
            Path(entry.watchlist), f"the watchlist {entry.watchlist!r} of schedule {name!r}"
        )
    symbols = tuple(dict.fromkeys([*entry.symbols, *listed]))
    portfolio = entry.holdings(name)
    simulated = entry.data_mode is DataMode.SIMULATED
    if simulated:
        check_source_root(name, source_root)
    return tuple(
        AnalysisRequest(
            symbol=symbol,
            risk_profile=entry.profile or own.planning.default_profile,
            data_mode=entry.data_mode,
            watchlist=compared_with(symbol, symbols, portfolio),
            portfolio=portfolio,
            max_cost_usd=entry.max_cost,
            deadline_seconds=entry.deadline,
            as_of=own.runtime.simulator.as_of if simulated else None,
            seed=own.runtime.simulator.seed if simulated else None,
            source_root=source_root if simulated else None,
        )
        for symbol in symbols
    )


@lru_cache(maxsize=1)
def _book_and_store() -> tuple[SlotBook, RunStore]:
    """Of this process (after a fork, the child's)."""
    seconds = settings.runtime.broker.connect_timeout_seconds
    client = connect(app.conf.broker_url, connect_timeout_seconds=seconds)
    return SlotBook(client), RunStore(client, settings.runtime)


@app.task(name=SUBMIT_SCHEDULED, bind=True, ignore_result=True)
def submit_scheduled(
    self: Task,
    name: str,
    *,
    entry: dict[str, Any],
    slot: int,
    source_root: str | None = None,
    owner: str | None = None,
    waiting: bool = False,
) -> None:
    """Submit the runs of one time of a schedule, or leave it out as its policies say.

    Sent by every beat there is, and delivered again when a worker dies: the slot key lets one
    message through, and what was submitted already is not submitted again.
    """
    book, store = _book_and_store()
    owner = owner or self.request.id
    if not book.take(name, slot, owner):
        logger.info("schedule %s: %s is dealt with already", name, _at(slot))
        return
    again = {
        "entry": entry,
        "slot": slot,
        "source_root": source_root,
        "owner": owner,
        "waiting": waiting,
    }
    with book.alone(name) as alone:
        if not alone:
            _ask_again(name, again)
            return
        checked = ScheduleEntry.model_validate(entry)
        last = book.last(name)
        now = clock.now()
        verdict = judge(
            checked,
            slot=_at(slot),
            newest=crontab_of(name, checked).latest(now),
            now=now,
            open_runs=[
                run_id for run_id in (last.run_ids if last else ()) if store.is_open(run_id)
            ],
            waiting=waiting,
        )
        if verdict is Verdict.SUBMIT:
            _submit(book, name, checked, slot, source_root)
        elif verdict is Verdict.MISSED:
            late = (now - _at(slot)).total_seconds()
            logger.warning("schedule %s: %s was missed by %.0f s", name, _at(slot), late)
            book.close(name, slot, "missed", f"{late:.0f} s late", now)
        elif verdict is Verdict.WAIT and book.wait(name, slot):
            _ask_again(name, {**again, "waiting": True})
        else:
            waits = verdict is Verdict.WAIT
            reason = "another time waits already" if waits else "the runs before are still open"
            logger.warning("schedule %s: %s left out: %s", name, _at(slot), reason)
            book.close(name, slot, "overlapped", reason, now)


def _submit(
    book: SlotBook, name: str, entry: ScheduleEntry, slot: int, source_root: str | None
) -> None:
    done = book.runs(name, slot)
    try:
        requests = requests_of(name, entry, settings, source_root)
        with closing(Client(settings, app.conf.broker_url, app=app)) as client:
            for request in requests:
                if request.symbol not in done:
                    run = client.submit(request)
                    book.add_run(name, slot, request.symbol, run.run_id)
    except ClusterBusyError as error:
        logger.warning("schedule %s: %s left out: %s", name, _at(slot), error)
        book.close(name, slot, "busy", f"{error.open_runs} runs were open", clock.now())
        return
    except SigmaxError as error:
        logger.error("schedule %s: %s not submitted: %s", name, _at(slot), error)  # noqa: TRY400
        book.close(name, slot, "failed", str(error), clock.now())
        return
    detail = f"{len(requests)} run{'s' if len(requests) != 1 else ''}"
    logger.info("schedule %s: %s submitted, %s", name, _at(slot), detail)
    book.close(name, slot, "submitted", detail, clock.now())


def _ask_again(name: str, arguments: dict[str, Any]) -> None:
    submit_scheduled.apply_async(
        (name,),
        arguments,
        queue=CONTROL_QUEUE,
        priority=CONTROL_PRIORITY,
        countdown=ASK_AGAIN_SECONDS,
    )


def _at(slot: int) -> datetime:
    return datetime.fromtimestamp(slot, UTC)
