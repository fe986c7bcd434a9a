"""The gate before each provider: every request of every worker passes it, one step in Redis each
way.

On the way in: no cool-down after 429 or 418, circuit closed, a place in every window of the quota,
and nobody else under way while the provider has not answered lately. On the way back: the places
are settled, and what the answer was like is noted for all.

A lane is a provider at one address with one key; those of a simulator are not those of the real
provider. When Redis does not answer, a provider with limits is waited for as long as the task has
time, for asking it uncounted could get every worker banned; one without limits is asked.

Keys, all with a time to live: ``sigmax:cool:<provider>:<hash>`` (until when, and why),
``sigmax:breaker:...`` (breaker.py), ``sigmax:quota:...`` (quota.py; who is under way, who waits).
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit
from weakref import WeakSet

from sigmax_tasks import clock
from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import (
    RateLimitedError,
    SourceError,
    StoppedError,
    UnpaidRequestError,
)
from sigmax_tasks.settings.sources import ProviderSettings, SourceSettings
from sigmax_tasks.sources.breaker import CircuitOpenError
from sigmax_tasks.sources.desk_counts import count, counts_key, latency_key
from sigmax_tasks.sources.gate_scripts import ENTER, LEAVE, NOTE, STAY
from sigmax_tasks.sources.outcome import Outcome, answer_outcome, outcome_of
from sigmax_tasks.sources.quota import PREFIX, Quota, QuotaWaitError, quota_of
from sigmax_tasks.sources.redis_link import LinkDownError, RedisLink
from sigmax_tasks.sources.renewals import Renewals

_COLD_STEP_SECONDS: Final = 0.03
_AWAY_STEP_SECONDS: Final = 0.2
_SHORTEST_STEP_SECONDS: Final = 0.005
_LONGEST_STEP_SECONDS: Final = 1.0
_GRACE_MS: Final = 1_500
_MOST_LANES: Final = 500
_NO_FAULT_OF_ITS: Final = (CircuitOpenError, QuotaWaitError, StoppedError, UnpaidRequestError)


@dataclass(frozen=True)
class Lane:
    """A provider at one address with one key. ``name`` is its hash."""

    provider_id: str
    provider: ProviderSettings
    name: str
    host: str
    live: bool
    quota: Quota

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return lane_keys(self.provider_id, self.name)

    @cached_property
    def window_keys(self) -> tuple[str, ...]:
        return tuple(window.key for window in self.quota.windows)

    @cached_property
    def weighed_window(self) -> int:
        """Number (from 1) of the window that the provider's used weight is about; 0: none."""
        return next((n for n, w in enumerate(self.quota.windows, 1) if w.weighted), 0)


class Gate:
    """Thread-safe. ``now_ms`` replaces the clock of Redis, for tests."""

    def __init__(
        self,
        link: RedisLink,
        settings: SourceSettings,
        renewals: Renewals,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self.link = link
        self.settings = settings
        self.renewals = renewals
        self._now_ms = now_ms
        self.enter_script = link.script(ENTER)
        self.leave_script = link.script(LEAVE)
        self.stay_script = link.script(STAY)
        self.note_script = link.script(NOTE)
        self.told: WeakSet[SourceError] = WeakSet()
        """Errors that all workers know of already."""
        self._lock = threading.Lock()
        self._lanes: dict[tuple[str, str, bool], Lane] = {}

    def lane(self, provider_id: str, base_url: str, secret: str | None, *, live: bool) -> Lane:
        """The lane of that provider; ``secret`` is the key sent with its requests."""
        key = (provider_id, lane_name(base_url, secret), live)
        with self._lock:
            lane = self._lanes.get(key)
            if lane is None:
                if len(self._lanes) >= _MOST_LANES:
                    self._lanes.clear()
                lane = self._lanes[key] = make_lane(
                    self.settings, provider_id, base_url, secret, live=live
                )
        return lane

    def now(self) -> str:
        """The time for a script, "" for the clock of Redis."""
        return "" if self._now_ms is None else str(self._now_ms())

    def visit(self, lane: Lane, endpoint: str) -> Visit:
        """One request's way through; ``endpoint`` is its path and query."""
        return Visit(self, lane, lane.quota.weight(endpoint))

    def note(self, lane: Lane, error: SourceError) -> None:
        """Tell all of an error that only the content of an answer showed."""
        if error in self.told or isinstance(error, _NO_FAULT_OF_ITS):
            return
        self.told.add(error)
        outcome = outcome_of(error, self.settings, hung=False)
        if outcome.kind == "answered":
            if not outcome.problem:
                return
            outcome = replace(outcome, kind="unknown")  # the request has told of its answer
        breaker = self.settings.breaker
        with suppress(LinkDownError):
            self.link.ask(
                lambda _: self.note_script(
                    keys=[*lane.keys[:2], counts_key(lane.provider_id, live=lane.live)],
                    args=[
                        self.now(),
                        outcome.kind,
                        round(outcome.cool_seconds * 1000),
                        outcome.problem,
                        breaker.failures,
                        round(breaker.window_seconds * 1000),
                        round(breaker.open_seconds * 1000),
                        outcome.problem,
                    ],
                )
            )


@dataclass
class Visit:
    """One request at the gate: :meth:`try_enter` until it is let in, then how it went."""

    gate: Gate
    lane: Lane
    weight: int
    ticket: str = field(default_factory=lambda: secrets.token_hex(8))
    began: float = field(default_factory=clock.monotonic)
    entered: float = 0.0
    counted: bool = False
    queued: bool = False

    def try_enter(self, hold_seconds: float, patience: Deadline) -> float:
        """0 when the request may go now, else the seconds after which to try again.

        ``hold_seconds`` is how long the request may last. Raises a transient error when asking
        is no use now, or its turn would come after ``patience``.
        """
        provider = self.lane.provider_id
        try:
            answer = self.gate.link.ask(lambda _: self._ask(hold_seconds, patience.remaining))
        except LinkDownError:
            if not self.lane.quota.windows:
                return self._let_in(counted=False)
            if patience.passed:
                raise QuotaWaitError(
                    provider, "quota: the limiter that all workers share does not answer"
                ) from None
            return _AWAY_STEP_SECONDS
        what, milliseconds, text = answer
        seconds = int(milliseconds) / 1000
        match what:
            case "go":
                return self._let_in(counted=True)
            case "wait":
                self.queued = True
                step = seconds if seconds <= 0.4 else seconds / 2
                return min(max(step, _SHORTEST_STEP_SECONDS), _LONGEST_STEP_SECONDS)
            case "late":
                count(self.gate.link, provider, "late", live=self.lane.live)
                raise QuotaWaitError.next_slot(provider, seconds)
            case "cool":
                error = RateLimitedError(
                    provider,
                    f"asked all workers to wait {max(1, round(seconds))} s more ({text})",
                    retry_after_seconds=seconds,
                )
                self.gate.told.add(error)
                raise error
            case "open":
                raise CircuitOpenError.until(
                    provider, datetime.fromtimestamp(int(text) / 1000, UTC), seconds
                )
            case "trial":
                raise CircuitOpenError.on_trial(provider)
            case _:
                if patience.passed:
                    raise QuotaWaitError(provider, "quota: its first answer is still awaited")
                waited = clock.monotonic() - self.began
                return min(max(_COLD_STEP_SECONDS, waited / 4), _AWAY_STEP_SECONDS)

    def answered(self, headers: Mapping[str, str], error: SourceError | None) -> None:
        """A whole answer came; ``error`` is what it stands for, None for a good one."""
        self._leave(answer_outcome(self.lane.provider, headers, error, self.gate.settings), error)

    def failed(self, error: SourceError, *, timed_out: bool) -> None:
        """No whole answer came."""
        took = clock.monotonic() - self.entered
        hung = timed_out and took >= self.gate.settings.breaker.hang_seconds
        self._leave(outcome_of(error, self.gate.settings, hung=hung), error)

    def dropped(self) -> None:
        """The request is given up: not sent, or nobody knows what became of it."""
        if self.entered:
            self._leave(Outcome("unknown"), None)
        elif self.queued:
            self._leave(Outcome("unsent"), None)

    def _leave(self, outcome: Outcome, error: SourceError | None) -> None:
        if error is not None:
            self.gate.told.add(error)
        self.gate.renewals.drop(self.ticket)
        if self.entered and not self.counted:
            return
        with suppress(LinkDownError):  # its places run out by themselves
            self.gate.link.ask(lambda _: self._settle(outcome))

    def _let_in(self, *, counted: bool) -> float:
        self.entered, self.counted = clock.monotonic(), counted
        if counted:
            self.gate.renewals.hold(self.ticket, self._stay)
        return 0.0

    def _stay(self) -> object:
        """Still under way."""
        args = [self.gate.now(), self.ticket, self.gate.renewals.lease_ms]
        return self.gate.link.ask(
            lambda _: self.gate.stay_script(keys=[self.lane.keys[2]], args=args)
        )

    def _ask(self, hold_seconds: float, patience_seconds: float) -> tuple[str, str, str]:
        quota = self.gate.settings.quota
        args: list[str | int] = [
            self.gate.now(),
            self.ticket,
            max(1, round(hold_seconds * 1000)),
            round(patience_seconds * 1000),
            round(quota.trust_seconds * 1000),
            _GRACE_MS,
            self.weight,
            self.gate.renewals.lease_ms,
        ]
        for window in self.lane.quota.windows:
            args += [window.item.amount, window.length_ms, int(window.weighted)]
        keys = [*self.lane.keys, *self.lane.window_keys]
        what, milliseconds, text = self.gate.enter_script(keys=keys, args=args)
        return str(what), str(milliseconds), str(text)

    def _settle(self, outcome: Outcome) -> object:
        breaker, now = self.gate.settings.breaker, clock.monotonic()
        lane = self.lane
        waited = round(((self.entered or now) - self.began) * 1000)
        args: list[str | int] = [
            self.gate.now(),
            self.ticket,
            self.weight,
            outcome.kind,
            round(outcome.cool_seconds * 1000),
            outcome.problem,
            breaker.failures,
            round(breaker.window_seconds * 1000),
            round(breaker.open_seconds * 1000),
            "" if outcome.used_weight is None else outcome.used_weight,
            lane.weighed_window,
            waited if waited >= _SHORTEST_WAIT_MS else 0,
            round((now - self.entered) * 1000),
            f"{lane.name} {lane.host}",
            outcome.problem,
        ]
        for window in lane.quota.windows:
            args += [window.length_ms, int(window.weighted)]
        counts = (
            counts_key(lane.provider_id, live=lane.live),
            latency_key(lane.provider_id, live=lane.live),
        )
        return self.gate.leave_script(keys=[*lane.keys, *counts, *lane.window_keys], args=args)


_SHORTEST_WAIT_MS: Final = 20
"""What a request spends at the gate without waiting for anything is less."""


def make_lane(
    settings: SourceSettings, provider_id: str, base_url: str, secret: str | None, *, live: bool
) -> Lane:
    provider, name = settings.providers[provider_id], lane_name(base_url, secret)
    quota = quota_of(provider_id, provider, settings.quota, name, live=live)
    return Lane(provider_id, provider, name, urlsplit(base_url).netloc, live, quota)


def lane_name(base_url: str, secret: str | None) -> str:
    """The hash of scheme, host and key."""
    parts = urlsplit(base_url)
    said = f"{parts.scheme}://{parts.netloc} {secret or ''}"
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def lane_keys(provider_id: str, name: str) -> tuple[str, str, str, str, str]:
    """Cool-down, breaker, who is under way, who waits, and their places."""
    own = f"{provider_id}:{name}"
    return (
        f"sigmax:cool:{own}",
        f"sigmax:breaker:{own}",
        f"{PREFIX}:{own}:under-way",
        f"{PREFIX}:{own}:queue",
        f"{PREFIX}:{own}:places",
    )
