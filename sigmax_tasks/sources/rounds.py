"""The rounds of one lookup: who is asked when, what is tried again, and when it ends."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from pydantic import ValidationError

from sigmax_planner.models import DataMode, Symbol
from sigmax_tasks.clock import Deadline, RunClock, monotonic
from sigmax_tasks.errors import (
    BadPayloadError,
    BulkRefusedError,
    NeverHereError,
    PermanentSourceError,
    RateLimitedError,
    SourceError,
    StoppedError,
    TransientSourceError,
    UnpaidRequestError,
)
from sigmax_tasks.models.observations import DataNeed, Observation
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.sources.addresses import Addresses
from sigmax_tasks.sources.bulk import Bulk, Outcome, Part, Scope
from sigmax_tasks.sources.cache import Flight, Wish
from sigmax_tasks.sources.call import Call, bad_payload
from sigmax_tasks.sources.candidates import Candidate, Lookup
from sigmax_tasks.sources.http import Exchange, Meter, Purse
from sigmax_tasks.sources.quota import QuotaWaitError
from sigmax_tasks.sources.registry import Provider
from sigmax_tasks.sources.shared import SharedDesk
from sigmax_tasks.sources.standing import Standing, pause
from sigmax_tasks.sources.transport import OfflineError

logger = logging.getLogger(__name__)

_SHARE_WHILE_OTHERS_WAIT: Final = 0.6
_REFUSED_SECONDS: Final = 600.0
_FAILING_SECONDS: Final = 60.0
_FAILURES_IN_A_ROW: Final = 2
_MOST_REFUSED: Final = 1_000


@dataclass(frozen=True)
class RetryPolicy:
    """``max_retries`` rounds after the first; the first wait is up to ``first_delay_seconds``."""

    max_retries: int
    first_delay_seconds: float


@dataclass(frozen=True)
class FetchContext:
    """The circumstances of one gather.

    ``should_stop`` is polled between attempts and while waiting (at least every 0.2 s);
    ``on_attempt`` gets the attempt's number (from 1) and the provider. ``may_retry`` is asked
    before and while waiting for another round. All are called from the desk's threads, several at
    a time. Answers are shared with other gathers of the same ``world`` only. ``purse`` is asked
    before each request that has a price. What is wanted of ``symbol`` is asked for together with
    the same of ``watchlist``, whose own runs will want it, where a provider answers for many
    markets at once and answers are shared.
    """

    symbol: Symbol
    clock: RunClock
    deadline: Deadline
    data_mode: DataMode
    addresses: Addresses
    retry: RetryPolicy
    should_stop: Callable[[], bool]
    on_attempt: Callable[[int, str], None]
    may_retry: Callable[[], bool] = lambda: True
    world: str = ""
    purse: Purse | None = None
    watchlist: tuple[Symbol, ...] = ()

    def gives_up(self) -> bool:
        """Whether there is no point in waiting for another round."""
        return self.should_stop() or not self.may_retry()


@dataclass
class Result:
    """What came of one lookup. ``failures`` are the last words of each provider, by name."""

    observation: Observation | None
    failures: dict[str, SourceError]
    rounds: int
    ended: str = ""


class Barred:
    """Providers that do not serve this place, for the rest of one gather."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: dict[str, PermanentSourceError] = {}

    def why(self, provider: str) -> SourceError | None:
        with self._lock:
            return self._errors.get(provider)

    def note(self, error: SourceError) -> None:
        if isinstance(error, NeverHereError):
            with self._lock:
                self._errors[error.provider] = error


class Refused:
    """Requests for many things that a provider does not answer: asked one by one for a while.

    It refuses them for good, or it failed twice in a row, as one does that takes too long over
    many things and not over one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[Flight, float] = {}
        self._failures: dict[Flight, int] = {}

    def note(self, flight: Flight) -> None:
        with self._lock:
            self._bar(flight, _REFUSED_SECONDS)

    def failed(self, flight: Flight) -> None:
        """It may be answered another time."""
        with self._lock:
            failures = self._failures.pop(flight, 0) + 1
            if failures >= _FAILURES_IN_A_ROW:
                self._bar(flight, _FAILING_SECONDS)
                return
            if len(self._failures) >= _MOST_REFUSED:
                self._failures.clear()
            self._failures[flight] = failures

    def answered(self, flight: Flight) -> None:
        with self._lock:
            self._failures.pop(flight, None)

    def holds(self, flight: Flight) -> bool:
        with self._lock:
            return self._until.get(flight, 0.0) > monotonic()

    def _bar(self, flight: Flight, seconds: float) -> None:
        if len(self._until) >= _MOST_REFUSED:
            self._until.clear()
        self._until[flight] = monotonic() + seconds


@dataclass(frozen=True)
class Rounds:
    """Runs lookups with what a desk has: providers, client, memory. Thread-safe."""

    settings: SourceSettings
    providers: Mapping[str, Provider]
    http: Exchange
    standing: Standing
    max_response_bytes: int
    jitter: Callable[[], float]
    shared: SharedDesk | None = None
    refused: Refused = field(default_factory=Refused)

    def run(self, lookup: Lookup, context: FetchContext, meter: Meter, barred: Barred) -> Result:
        """The rounds of one lookup; where they give nothing, an older answer that may stand in."""
        result = self._rounds(lookup, context, meter, barred)
        if result.observation is None and self.shared is not None and not context.should_stop():
            for candidate in lookup.candidates:
                call = self._call(candidate, context, meter, others_wait=False, spare=False)
                wish = self.shared.wish(lookup.need, call, context.world)
                result.observation = self.shared.stale(wish)
                if result.observation is not None:
                    break
        return result

    def _rounds(
        self, lookup: Lookup, context: FetchContext, meter: Meter, barred: Barred
    ) -> Result:
        result = Result(None, {}, 0)
        left = list(lookup.candidates)
        last_round = 1 + max(0, context.retry.max_retries)
        for number in range(1, last_round + 1):
            result.rounds = number
            left = self._round(number, left, lookup, context, meter, barred, result)
            if result.observation is not None or result.ended or not left:
                return result
            errors = [result.failures[c.label] for c in left]
            if number == last_round or all(isinstance(e, OfflineError) for e in errors):
                return result
            delay = self._delay(number, errors, context.retry)
            if delay >= context.deadline.remaining:
                return result
            if not pause(delay, context.deadline, context.gives_up):
                result.ended = _ending(context) if context.may_retry() else ""
                return result
        return result

    def _round(
        self,
        number: int,
        candidates: Sequence[Candidate],
        lookup: Lookup,
        context: FetchContext,
        meter: Meter,
        barred: Barred,
        result: Result,
    ) -> list[Candidate]:
        """Ask each candidate once; those worth another round."""
        again = []
        for position, candidate in enumerate(candidates):
            if context.should_stop() or context.deadline.passed:
                result.ended = _ending(context)
                return []
            others_wait = position + 1 < len(candidates)
            call = self._call(
                candidate, context, meter, others_wait=others_wait, spare=lookup.spare
            )
            wish = self._wish(lookup.need, call, context)
            if wish is not None and self.shared is not None:
                try:
                    result.observation = self.shared.fresh(wish)
                except PermanentSourceError as known:
                    result.failures[candidate.label] = known
                    continue
                if result.observation is not None:
                    return []
            error = barred.why(candidate.provider_id) or self.standing.objection(
                candidate.provider_id, call.base_url
            )
            if error is None:
                context.on_attempt(number, candidate.provider_id)
                try:
                    result.observation = self._fetch(candidate, lookup.need, call, wish, context)
                except SourceError as caught:
                    error = caught
                    self.standing.failed(call.base_url, error)
                    barred.note(error)
                else:
                    return []
            result.failures[candidate.label] = error
            logger.debug("%s of %s: %s", lookup.need.label, candidate.label, error)
            if error.transient:
                again.append(candidate)
        return again

    def _wish(self, need: DataNeed, call: Call, context: FetchContext) -> Wish | None:
        return self.shared.wish(need, call, context.world) if self.shared is not None else None

    def _fetch(
        self,
        candidate: Candidate,
        need: DataNeed,
        call: Call,
        wish: Wish | None,
        context: FetchContext,
    ) -> Observation:
        """The answer, asked for by this task or by one that wants the same."""

        def ask() -> Observation:
            with self._asking(call):
                return self.providers[candidate.provider_id].family.fetch(need, call)

        if self.shared is None or wish is None:
            return ask()
        part = Part(need, candidate.series)
        found = self._scope(part, call, context)
        if found is None:
            return self.shared.fetch(wish, ask)
        scope, bulk = found
        flight = self.shared.flight(scope, call, context.world)
        if not self.refused.holds(flight):
            try:
                return self.shared.fetch_all(
                    flight, wish, lambda: self._ask_all(bulk, part, scope, flight, call, context)
                )
            except BulkRefusedError as error:
                logger.info("%s is asked one by one: %s", call.provider_id, error.problem)
                self.refused.note(flight)
        return self.shared.fetch(wish, ask)

    def _scope(self, part: Part, call: Call, context: FetchContext) -> tuple[Scope, Bulk] | None:
        """What is asked for along with ``part``.

        Nothing in a replay: its answers are shared within a run only, and what was not recorded
        is to be told of each thing by itself.
        """
        bulk = self.providers[call.provider_id].family.bulk
        shares = self.shared is not None and self.shared.keeps
        if bulk is None or not shares or context.data_mode is DataMode.REPLAY:
            return None
        scope = bulk.scope(part, (context.symbol, *context.watchlist), call)
        return None if scope is None else (scope, bulk)

    def _ask_all(
        self,
        bulk: Bulk,
        part: Part,
        scope: Scope,
        flight: Flight,
        call: Call,
        context: FetchContext,
    ) -> list[tuple[Wish, Outcome]]:
        try:
            with self._asking(call):
                outcomes = bulk.fetch(part, scope, call)
        except (NeverHereError, StoppedError, UnpaidRequestError):
            raise
        except PermanentSourceError as error:
            raise BulkRefusedError(call.provider_id, error.problem) from error
        except (RateLimitedError, QuotaWaitError, OfflineError):
            raise  # one by one would be asked for no better
        except TransientSourceError:
            self.refused.failed(flight)
            raise
        self.refused.answered(flight)
        found = []
        for other, outcome in outcomes:
            wish = self._wish(other.need, replace(call, series=other.series), context)
            if wish is not None:
                found.append((wish, outcome))
        return found

    @contextmanager
    def _asking(self, call: Call) -> Iterator[None]:
        """What an adapter raises as a :class:`SourceError`, noted of its provider."""
        call.begin()
        try:
            with _as_source_errors(call.provider_id):
                yield
        except SourceError as error:
            if self.shared is not None and call.lane is not None:
                self.shared.gate.note(call.lane, error)
            raise
        self.standing.answered(call.provider_id, call.base_url)

    def _call(
        self,
        candidate: Candidate,
        context: FetchContext,
        meter: Meter,
        *,
        others_wait: bool,
        spare: bool,
    ) -> Call:
        provider = self.providers[candidate.provider_id]
        left = context.deadline.remaining
        share = left * _SHARE_WHILE_OTHERS_WAIT if others_wait else left
        # A simulated market is the same for every run of a seed: no run falls back for want of
        # patience. A live one has other providers that know it as well.
        patient = not (others_wait or spare) or context.data_mode is not DataMode.LIVE
        return Call(
            provider_id=candidate.provider_id,
            provider=provider.settings,
            options=provider.options,
            base_url=context.addresses.base_url(candidate.provider_id),
            settings=self.settings,
            http=self.http,
            meter=meter,
            clock=context.clock,
            deadline=Deadline.after(min(provider.settings.timeout_seconds, share)),
            data_mode=context.data_mode,
            max_response_bytes=self.max_response_bytes,
            series=candidate.series,
            stopped=context.should_stop,
            gate=self.shared.gate if self.shared is not None else None,
            latest=Deadline.after(share),
            patience_seconds=math.inf if patient else self.settings.quota.patience_seconds,
        )

    def _delay(self, number: int, errors: Sequence[SourceError], retry: RetryPolicy) -> float:
        """Seconds to wait after round ``number``: jitter, or the shortest stated wait if longer."""
        backoff = self.jitter() * retry.first_delay_seconds * float(2 ** (number - 1))
        stated = [
            e.retry_after_seconds or 0.0 for e in errors if isinstance(e, TransientSourceError)
        ]
        return max(backoff, min(stated, default=0.0))


@contextmanager
def _as_source_errors(provider_id: str) -> Iterator[None]:
    """Whatever an adapter raises, as a :class:`SourceError`."""
    try:
        yield
    except SourceError:
        raise
    except ValidationError as error:
        raise bad_payload(provider_id, error) from error
    except Exception as error:  # an adapter of the user's may raise anything
        logger.warning("adapter of %s failed", provider_id, exc_info=True)
        raise BadPayloadError(
            provider_id, f"its adapter failed: {type(error).__name__}: {error}"
        ) from error


def _ending(context: FetchContext) -> str:
    return "deadline" if context.deadline.passed else "stopped"
