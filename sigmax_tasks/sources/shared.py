"""What the desks of all workers share through Redis: limits, circuit breakers, fetches, answers.

Without Redis in the middle of it, answers are fetched by each process for itself, and providers
with limits are waited for (gate.py): sharing may fail open, limits may not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import redis

from sigmax_tasks import clock
from sigmax_tasks.errors import (
    PermanentSourceError,
    SourceError,
    TransientSourceError,
    UnpaidRequestError,
)
from sigmax_tasks.models.observations import DataNeed, Observation
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.sources.cache import Entry, Wish, Wishes
from sigmax_tasks.sources.call import Call
from sigmax_tasks.sources.desk_counts import count
from sigmax_tasks.sources.flights import Leases, pack_failure, unpack_failure
from sigmax_tasks.sources.gate import Gate
from sigmax_tasks.sources.quota import QuotaWaitError
from sigmax_tasks.sources.redis_link import LinkDownError, RedisLink
from sigmax_tasks.sources.renewals import Renewals
from sigmax_tasks.sources.standing import pause

_FIRST_LOOK_SECONDS: Final = 0.02
_LATER_LOOK_SECONDS: Final = 0.2

Ask = Callable[[], Observation]


@dataclass
class _Local:
    """A flight of this process. Threads wait for ``done`` and find one of the other two."""

    limit: int
    done: threading.Event = field(default_factory=threading.Event)
    observation: Observation | None = None
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
        self._local: dict[str, _Local] = {}
        self.gate = Gate(self._link, settings, self._renewals, now_ms)

    def close(self) -> None:
        """Hold no flight any longer; safe to call twice."""
        self._renewals.close()

    def wish(self, need: DataNeed, call: Call, world: str) -> Wish:
        """What is shared of asking ``need`` with ``call``."""
        return self._wishes.wish(need, call, world)

    def fresh(self, wish: Wish) -> Observation | None:
        """An answer that somebody fetched not long ago."""
        entry = self._entry(wish)
        found = wish.fresh(entry) if entry is not None else None
        if found is not None:
            count(self._link, wish.provider_id, "hits", live=wish.call.live)
        return found

    def stale(self, wish: Wish) -> Observation | None:
        """An older answer that may stand in where nobody gives a new one."""
        entry = self._entry(wish)
        found = wish.stale(entry) if entry is not None else None
        if found is not None:
            count(self._link, wish.provider_id, "stale", live=wish.call.live)
        return found

    def fetch(self, wish: Wish, ask: Ask) -> Observation:
        """What ``ask`` gives, asked by one of all who want it now.

        Raises the :class:`SourceError` that it raised, also where another one asked.
        """
        if not self._settings.cache.enabled:
            return ask()
        while True:
            with self._lock:
                flight = self._local.get(wish.value_key)
                mine = flight is None
                if flight is None:
                    flight = self._local[wish.value_key] = _Local(wish.need.limit)
            if mine:
                return self._fly(wish, ask, flight)
            self._await(wish, flight.done.is_set)
            if flight.observation is not None:
                entry = Entry(by="", limit=flight.limit, observation=flight.observation)
                found = wish.usable(entry)
                if found is not None:
                    count(self._link, wish.provider_id, "hits", live=wish.call.live)
                    return found
            elif flight.failure:
                error = unpack_failure(wish.provider_id, flight.failure, "")
                if error is not None:
                    raise error

    def _fly(self, wish: Wish, ask: Ask, flight: _Local) -> Observation:
        try:
            flight.observation = self._lead(wish, ask)
        except SourceError as error:
            if self._concerns_all(error, wish):
                flight.failure = pack_failure(error, "")
            raise
        finally:
            with self._lock:
                self._local.pop(wish.value_key, None)
            flight.done.set()
        return flight.observation

    def _lead(self, wish: Wish, ask: Ask) -> Observation:
        """For this process: fetch it, or wait for the process that does."""
        while True:
            try:
                token, mine = self._leases.take(wish)
            except LinkDownError:
                return ask()
            if mine:
                return self._fetch(wish, ask, token)
            self._await(wish, lambda token=token: self._landed(wish, token))  # type: ignore[misc]
            entry = self._entry(wish)
            if entry is not None:
                found = wish.usable(entry) if entry.by == token else wish.fresh(entry)
                if found is not None:
                    count(self._link, wish.provider_id, "hits", live=wish.call.live)
                    return found
            try:
                error = self._leases.failure(wish, token)
            except LinkDownError:
                return ask()
            if error is not None:
                raise error

    def _fetch(self, wish: Wish, ask: Ask, token: str) -> Observation:
        value = failure = ""
        try:
            entry = self._entry(wish)  # the last holder may have landed since we looked
            found = wish.fresh(entry) if entry is not None else None
            if found is not None:
                count(self._link, wish.provider_id, "hits", live=wish.call.live)
                return found
            count(self._link, wish.provider_id, "misses", live=wish.call.live)
            observation = ask()
            entry = Entry(by=token, limit=wish.need.limit, observation=self._clean(observation))
            value = entry.packed(self._settings.cache.max_entry_bytes) or ""
            return observation
        except SourceError as error:
            if self._concerns_all(error, wish):
                failure = pack_failure(error, token)
            raise
        finally:
            self._leases.land(wish, token, value=value, failure=failure)

    def _concerns_all(self, error: SourceError, wish: Wish) -> bool:
        """Whether others would fail likewise: not for want of this task's time or money."""
        call = wish.call
        if isinstance(error, QuotaWaitError | UnpaidRequestError) or call.stopped():
            return False
        return not call.deadline.passed or self._took(call) >= self._settings.breaker.hang_seconds

    @staticmethod
    def _took(call: Call) -> float:
        return clock.monotonic() - call.began

    def _landed(self, wish: Wish, token: str) -> bool:
        try:
            return self._leases.holder(wish) != token
        except LinkDownError:
            return True

    def _await(self, wish: Wish, done: Callable[[], bool]) -> None:
        """Until ``done``; a :class:`SourceError` when the task's time or will ends before."""
        call = wish.call
        latest = call.latest or call.deadline
        step = _FIRST_LOOK_SECONDS
        while not done():
            if not pause(step, latest, call.stopped):
                if call.stopped():
                    raise PermanentSourceError(wish.provider_id, "stopped while waiting for it")
                raise TransientSourceError(
                    wish.provider_id, "another task is still fetching it, no time left to wait"
                )
            step = min(step * 1.5, _LATER_LOOK_SECONDS)

    def _entry(self, wish: Wish) -> Entry | None:
        if not self._settings.cache.enabled:
            return None
        try:
            text = self._link.ask(lambda client: client.get(wish.value_key))
        except LinkDownError:
            return None
        return Entry.unpacked(str(text)) if text else None
