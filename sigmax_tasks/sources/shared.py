"""What the desks of all workers share through Redis: limits, circuit breakers, fetches, answers.

Without Redis in the middle of it, answers are fetched by each process for itself, and providers
with limits are waited for (gate.py): sharing may fail open, limits may not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import redis

from sigmax_tasks import clock
from sigmax_tasks.errors import (
    BulkRefusedError,
    NotOfferedError,
    PermanentSourceError,
    SourceError,
    TransientSourceError,
    UnpaidRequestError,
)
from sigmax_tasks.models.observations import DataNeed, Observation
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.sources.bulk import Outcome, Scope
from sigmax_tasks.sources.cache import Entry, Flight, Refusal, Wish, Wishes
from sigmax_tasks.sources.call import Call
from sigmax_tasks.sources.desk_counts import count
from sigmax_tasks.sources.flights import FAILURE_MS, Landed, Leases, pack_failure, unpack_failure
from sigmax_tasks.sources.gate import Gate
from sigmax_tasks.sources.pages import Pages
from sigmax_tasks.sources.quota import QuotaWaitError
from sigmax_tasks.sources.redis_link import LinkDownError, RedisLink
from sigmax_tasks.sources.renewals import Renewals
from sigmax_tasks.sources.standing import pause

_FIRST_LOOK_SECONDS: Final = 0.02
_LATER_LOOK_SECONDS: Final = 0.2

Ask = Callable[[], Observation]
AskAll = Callable[[], Sequence[tuple[Wish, Outcome]]]


@dataclass
class _Local:
    """A flight of this process. Threads wait for ``done`` and find one of the other two.

    ``landed`` is what it brought, by the key it is kept under.
    """

    done: threading.Event = field(default_factory=threading.Event)
    landed: dict[str, Entry | Refusal] = field(default_factory=dict)
    failure: str = ""


class SharedDesk:
    """Thread-safe; one per worker process and settings. ``client`` decodes its answers to text.

    ``clean`` is applied to what is kept, so that nothing personal is; where it differs between
    settings, ``variant`` must too. ``now_ms`` replaces the clock of Redis for limits and breakers,
    for tests.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: SourceSettings,
        *,
        clean: Callable[[Observation], Observation] = lambda observation: observation,
        variant: str = "",
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self._settings = settings
        self._clean = clean
        self._link = RedisLink(client)
        self._wishes = Wishes(settings, variant)
        self._renewals = Renewals(settings.cache.lease_seconds)
        self._leases = Leases(self._link, self._renewals)
        self._lock = threading.Lock()
        self._local: dict[Flight, _Local] = {}
        self.gate = Gate(self._link, settings, self._renewals, now_ms)

    def close(self) -> None:
        """Hold no flight any longer; safe to call twice."""
        self._renewals.close()

    @property
    def keeps(self) -> bool:
        """Whether answers are kept for others; else every task asks for itself."""
        return self._settings.cache.enabled

    def wish(self, need: DataNeed, call: Call, world: str) -> Wish:
        """What is shared of asking ``need`` with ``call``."""
        return self._wishes.wish(need, call, world)

    def flight(self, scope: Scope, call: Call, world: str) -> Flight:
        """The request for all of ``scope`` with ``call``."""
        return self._wishes.flight(scope, call, world)

    def fresh(self, wish: Wish) -> Observation | None:
        """An answer that somebody fetched not long ago.

        Raises the :class:`PermanentSourceError` of one that was asked for with others, in vain.
        """
        return self._seek(wish, "", _Local())

    def stale(self, wish: Wish) -> Observation | None:
        """An older answer that may stand in where nobody gives a new one."""
        entry, _ = self._kept(wish)
        found = wish.stale(entry) if entry is not None else None
        if found is not None:
            count(self._link, wish.provider_id, "stale", live=wish.call.live)
        return found

    def fetch(self, wish: Wish, ask: Ask) -> Observation:
        """What ``ask`` gives, asked by one of all who want it now.

        Raises the :class:`SourceError` that it raised, also where another one asked.
        """
        if not self.keeps:
            return ask()
        return self.fetch_all(wish.flight, wish, lambda: ((wish, ask()),))

    def fetch_all(self, flight: Flight, wish: Wish, ask: AskAll) -> Observation:
        """What ``ask`` gives for ``wish``, asked by one of all who would make the same request.

        Whatever else it gives is kept. Raises the :class:`SourceError` that it raised or gave.
        """
        while True:
            with self._lock:
                local = self._local.get(flight)
                mine = local is None
                if local is None:
                    local = self._local[flight] = _Local()
            if mine:
                return self._fly(flight, wish, ask, local)
            self._await(wish.call, local.done.is_set)
            landed = local.landed.get(wish.value_key)
            if isinstance(landed, Refusal):
                raise landed.error_of(wish.provider_id)
            found = wish.usable(landed) if landed is not None else None
            if found is not None:
                count(self._link, wish.provider_id, "hits", live=wish.call.live)
                return found
            if local.failure:
                error = unpack_failure(wish.provider_id, local.failure, "")
                if error is not None:
                    raise error

    def pages(
        self, what: str, call: Call, keep_seconds: float, load: Callable[[], Mapping[str, str]]
    ) -> Pages:
        """See :class:`SharedPages`."""
        flight = self._wishes.flight(Scope(what, ()), call, "")
        while self.keeps:
            try:
                kept = self._pages(flight)
                if kept is not None:
                    return kept
                token, mine = self._leases.take(flight)
                if mine:
                    return self._load(flight, call, token, keep_seconds, load)
                with call.off_the_clock():
                    self._await(call, lambda token=token: self._landed(flight, token))  # type: ignore[misc]
                error = self._leases.failure(flight, token)
            except LinkDownError:
                break
            if error is not None:
                raise error
        return Pages(asked_at=clock.now(), bodies=dict(load()))

    def _pages(self, flight: Flight) -> Pages | None:
        text = self._link.ask(lambda client: client.get(flight.value_key))
        return Pages.unpacked(str(text)) if text else None

    def _load(
        self,
        flight: Flight,
        call: Call,
        token: str,
        keep_seconds: float,
        load: Callable[[], Mapping[str, str]],
    ) -> Pages:
        landed: list[Landed] = []
        failure = ""
        try:
            pages = self._pages(flight)  # the last holder may have landed since we looked
            if pages is not None:
                return pages
            pages = Pages(asked_at=clock.now(), bodies=dict(load()))
            text = pages.packed(self._settings.cache.max_entry_bytes)
            if text is not None:
                landed.append(Landed(flight.value_key, text, round(keep_seconds * 1000)))
            return pages
        except SourceError as error:
            if self._concerns_all(error, call):
                failure = pack_failure(error, token)
            raise
        finally:
            self._leases.land(flight, token, landed, failure=failure)

    def _fly(self, flight: Flight, wish: Wish, ask: AskAll, local: _Local) -> Observation:
        try:
            return self._lead(flight, wish, ask, local)
        except SourceError as error:
            if not local.landed and self._concerns_all(error, wish.call):
                local.failure = pack_failure(error, "")
            raise
        finally:
            with self._lock:
                self._local.pop(flight, None)
            local.done.set()

    def _lead(self, flight: Flight, wish: Wish, ask: AskAll, local: _Local) -> Observation:
        """For this process: fetch it, or wait for the process that does."""
        while True:
            try:
                token, mine = self._leases.take(flight)
            except LinkDownError:
                return self._own(wish, ask(), "", local)
            if mine:
                return self._fetch(flight, wish, ask, token, local)
            self._await(wish.call, lambda token=token: self._landed(flight, token))  # type: ignore[misc]
            found = self._seek(wish, token, local)
            if found is not None:
                return found
            try:
                error = self._leases.failure(flight, token)
            except LinkDownError:
                return self._own(wish, ask(), "", local)
            if error is not None:
                raise error

    def _fetch(
        self, flight: Flight, wish: Wish, ask: AskAll, token: str, local: _Local
    ) -> Observation:
        landed: Sequence[Landed] = ()
        failure = ""
        try:
            found = self._seek(wish, "", local)  # the last holder may have landed since we looked
            if found is not None:
                return found
            count(self._link, wish.provider_id, "misses", live=wish.call.live)
            try:
                outcomes = ask()
            except SourceError as error:
                if self._concerns_all(error, wish.call):
                    failure = pack_failure(error, token)
                raise
            landed = self._pack(outcomes, token)
            return self._own(wish, outcomes, token, local)
        finally:
            self._leases.land(flight, token, landed, failure=failure)

    def _own(
        self, wish: Wish, outcomes: Sequence[tuple[Wish, Outcome]], token: str, local: _Local
    ) -> Observation:
        """What came for ``wish``; what came for the others is left for the threads that wait."""
        own: Outcome | None = None
        for other, outcome in outcomes:
            local.landed[other.value_key] = (
                Refusal.of(outcome)
                if isinstance(outcome, SourceError)
                else _entry(other, outcome, token)
            )
            if other.value_key == wish.value_key:
                own = outcome
        if own is None:
            raise BulkRefusedError(wish.provider_id, f"said nothing of {wish.need.label}")
        if isinstance(own, SourceError):
            raise own
        return own

    def _pack(self, outcomes: Sequence[tuple[Wish, Outcome]], token: str) -> list[Landed]:
        """What is kept of ``outcomes`` for other processes."""
        packed = []
        for wish, outcome in outcomes:
            if isinstance(outcome, SourceError):
                known = isinstance(outcome, NotOfferedError)
                keep_ms = round(wish.ttl_seconds * 1000) if known else FAILURE_MS
                text = Refusal.of(outcome).model_dump_json()
                packed.append(Landed(wish.refusal_key, text, keep_ms))
                continue
            entry = _entry(wish, self._clean(outcome), token)
            value = entry.packed(self._settings.cache.max_entry_bytes)
            if value is not None:
                packed.append(Landed(wish.value_key, value, round(wish.keep_seconds * 1000)))
        return packed

    def _concerns_all(self, error: SourceError, call: Call) -> bool:
        """Whether others would fail likewise: not for want of this task's time or money."""
        if isinstance(error, QuotaWaitError | UnpaidRequestError) or call.stopped():
            return False
        return not call.deadline.passed or self._took(call) >= self._settings.breaker.hang_seconds

    @staticmethod
    def _took(call: Call) -> float:
        return clock.monotonic() - call.began

    def _landed(self, flight: Flight, token: str) -> bool:
        try:
            return self._leases.holder(flight) != token
        except LinkDownError:
            return True

    @staticmethod
    def _await(call: Call, done: Callable[[], bool]) -> None:
        """Until ``done``; a :class:`SourceError` when the task's time or will ends before."""
        latest = call.latest or call.deadline
        step = _FIRST_LOOK_SECONDS
        while not done():
            if not pause(step, latest, call.stopped):
                if call.stopped():
                    raise PermanentSourceError(call.provider_id, "stopped while waiting for it")
                raise TransientSourceError(
                    call.provider_id, "another task is still fetching it, no time left to wait"
                )
            step = min(step * 1.5, _LATER_LOOK_SECONDS)

    def _seek(self, wish: Wish, token: str, local: _Local) -> Observation | None:
        """What is kept for ``wish`` if the flight of ``token`` brought it, or else if it is fresh.

        Raises the error that is kept in its place. Either is left for the threads that wait.
        """
        entry, refusal = self._kept(wish)
        found = None
        if entry is not None:
            found = wish.usable(entry) if token and entry.by == token else wish.fresh(entry)
        if entry is not None and found is not None:
            local.landed[wish.value_key] = entry
            count(self._link, wish.provider_id, "hits", live=wish.call.live)
        elif refusal is not None:
            local.landed[wish.value_key] = refusal
            raise refusal.error_of(wish.provider_id)
        return found

    def _kept(self, wish: Wish) -> tuple[Entry | None, Refusal | None]:
        if not self.keeps:
            return None, None
        keys = (wish.value_key, wish.refusal_key)
        try:
            texts: Any = self._link.ask(lambda client: client.mget(keys))
        except LinkDownError:
            return None, None
        value, refusal = texts
        return (
            Entry.unpacked(str(value)) if value else None,
            Refusal.unpacked(str(refusal)) if refusal else None,
        )


def _entry(wish: Wish, observation: Observation, token: str) -> Entry:
    return Entry(by=token, limit=wish.need.limit, observation=observation)
