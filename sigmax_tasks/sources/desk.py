"""The source desk: turns needs into observations, or into stated gaps.

Order of events for one need: its providers are asked in turn, each once a round. A permanent
failure drops the provider for this need; what failed in passing is asked again in the next round,
after a back-off with full jitter (at least as long as a Retry-After), at most ``max_retries``
rounds more and never past the deadline. While another provider waits behind, one attempt may use
at most 60 % of the time that is left. Nothing here raises because a source failed.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from decimal import Decimal

from pydantic import ValidationError

from sigmax_planner.models import DataMode, Symbol
from sigmax_tasks import clock
from sigmax_tasks.clock import Deadline, RunClock
from sigmax_tasks.errors import (
    BadPayloadError,
    NeverHereError,
    PermanentSourceError,
    SourceError,
    TransientSourceError,
)
from sigmax_tasks.models.observations import DataNeed, Missing, Observation
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.sources.addresses import Addresses
from sigmax_tasks.sources.call import Call, bad_payload
from sigmax_tasks.sources.candidates import Candidate, Lookup, Wanted, candidates_of, share_out
from sigmax_tasks.sources.candidates import group as group_needs
from sigmax_tasks.sources.ccxt_session import Markets
from sigmax_tasks.sources.http import HttpClient, Meter
from sigmax_tasks.sources.registry import build_providers
from sigmax_tasks.sources.standing import Standing, pause
from sigmax_tasks.sources.transport import OfflineError

logger = logging.getLogger(__name__)

_SHARE_WHILE_OTHERS_WAIT = 0.6
_GRACE_SECONDS = 1.0
_MOST_THREADS = 32


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
    a time.
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

    def gives_up(self) -> bool:
        """Whether there is no point in waiting for another round."""
        return self.should_stop() or not self.may_retry()


@dataclass(frozen=True)
class Gathered:
    """What came of a gather. ``providers`` are those that answered, in the needs' order.

    ``attempts`` is the number of rounds of the need that took most. ``offline`` says that some
    provider could not even be looked up or reached by any route.
    """

    observations: tuple[Observation, ...]
    missing: tuple[Missing, ...]
    attempts: int
    requests: int
    cost_usd: Decimal
    providers: tuple[str, ...]
    offline: bool = False


@dataclass
class _Result:
    """What came of one lookup. ``failures`` are the last words of each provider, by name."""

    observation: Observation | None
    failures: dict[str, SourceError]
    rounds: int
    ended: str = ""


class SourceDesk:
    """One per worker process; thread-safe.

    ``max_concurrent_calls`` bounds the requests in flight over all threads of the process,
    ``max_response_bytes`` each answer (a provider may set a lower bound of its own). ``jitter``
    gives numbers in [0, 1) for the back-off. Raises :class:`ConfigurationError` for a provider that
    cannot be used.
    """

    def __init__(
        self,
        settings: SourceSettings,
        *,
        max_concurrent_calls: int,
        max_response_bytes: int,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._max_response_bytes = max_response_bytes
        self._jitter = jitter
        self._http = HttpClient(
            user_agent=settings.user_agent,
            max_concurrent_calls=max_concurrent_calls,
            resolve_timeout_seconds=settings.resolve_timeout_seconds,
            max_redirects=settings.max_redirects,
            proxy_url=settings.proxy_url,
            ca_bundle=settings.ca_bundle,
        )
        markets = Markets(settings.markets_cache_minutes * 60, settings.markets_cache_entries)
        self._providers = build_providers(settings, markets)
        self._standing = Standing(
            never_here_seconds=settings.never_here_minutes * 60,
            offline_seconds=settings.offline_memory_seconds,
        )
        # Threads that sit out a back-off hold no connection, so there are more of them.
        self._pool = ThreadPoolExecutor(
            max_workers=min(_MOST_THREADS, max(4, 2 * max_concurrent_calls)),
            thread_name_prefix="sources",
        )

    def close(self) -> None:
        """Stop taking work and close the connections; safe to call twice."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    def gather(self, needs: Sequence[DataNeed], context: FetchContext) -> Gathered:
        """Every need ends as an observation or as a :class:`Missing` that says why."""
        started = clock.monotonic()
        meter = Meter({n: p.price_usd_per_request for n, p in self._settings.providers.items()})
        wanted = group_needs(needs, context.symbol, self._settings)
        jobs: list[tuple[Wanted, list[tuple[Lookup, Future[_Result]]]]] = []
        barred = _Barred()
        for want in wanted:
            futures = [
                (lookup, self._pool.submit(self._run, lookup, context, meter, barred))
                for lookup in candidates_of(
                    want, self._settings, self._providers, context.data_mode
                )
            ]
            jobs.append((want, futures))
        running = [future for _, futures in jobs for _, future in futures]
        wait(running, timeout=context.deadline.remaining + _GRACE_SECONDS)
        observations: list[Observation] = []
        missing: list[Missing] = []
        rounds, offline = 0, False
        for want, futures in jobs:
            elapsed = clock.monotonic() - started
            results = [_collect(future, elapsed) for _, future in futures]
            for (lookup, _), result in zip(futures, results, strict=True):
                rounds = max(rounds, result.rounds)
                if result.observation is not None:
                    observations += share_out(result.observation, want)
                else:
                    offline |= any(isinstance(e, OfflineError) for e in result.failures.values())
                    reason = _reason(result, lookup)
                    missing += [
                        Missing(source=need.source, need=need.label, reason=reason)
                        for need in want.needs
                    ]
            if not futures:
                reason = f"no provider in sources.yaml offers {want.asked.label}"
                missing += [
                    Missing(source=need.source, need=need.label, reason=reason)
                    for need in want.needs
                ]
        observations = _unique_ids(observations)
        return Gathered(
            observations=tuple(observations),
            missing=tuple(missing),
            attempts=max(rounds, 1) if needs else 0,
            requests=meter.requests,
            cost_usd=meter.cost_usd,
            providers=tuple(dict.fromkeys(o.lineage.provider for o in observations)),
            offline=offline,
        )

    def _run(self, lookup: Lookup, context: FetchContext, meter: Meter, barred: _Barred) -> _Result:
        """The rounds of one lookup."""
        result = _Result(None, {}, 0)
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
        barred: _Barred,
        result: _Result,
    ) -> list[Candidate]:
        """Ask each candidate once; those worth another round."""
        again = []
        for position, candidate in enumerate(candidates):
            if context.should_stop() or context.deadline.passed:
                result.ended = _ending(context)
                return []
            base_url = context.addresses.base_url(candidate.provider_id)
            error = barred.why(candidate.provider_id) or self._standing.objection(
                candidate.provider_id, base_url
            )
            if error is None:
                context.on_attempt(number, candidate.provider_id)
                others_wait = position + 1 < len(candidates)
                call = self._call(candidate, context, meter, base_url, others_wait)
                try:
                    result.observation = self._ask(candidate, lookup.need, call)
                except SourceError as caught:
                    error = caught
                    self._standing.failed(base_url, error)
                    barred.note(error)
                else:
                    self._standing.answered(candidate.provider_id, base_url)
                    return []
            result.failures[candidate.label] = error
            logger.debug("%s of %s: %s", lookup.need.label, candidate.label, error)
            if error.transient:
                again.append(candidate)
        return again

    def _ask(self, candidate: Candidate, need: DataNeed, call: Call) -> Observation:
        provider = self._providers[candidate.provider_id]
        try:
            return provider.family.fetch(need, call)
        except SourceError:
            raise
        except ValidationError as error:
            raise bad_payload(candidate.provider_id, error) from error
        except Exception as error:  # an adapter of the user's may raise anything
            logger.warning("adapter of %s failed", candidate.provider_id, exc_info=True)
            raise BadPayloadError(
                candidate.provider_id, f"its adapter failed: {type(error).__name__}: {error}"
            ) from error

    def _call(
        self,
        candidate: Candidate,
        context: FetchContext,
        meter: Meter,
        base_url: str,
        others_wait: bool,
    ) -> Call:
        provider = self._providers[candidate.provider_id]
        left = context.deadline.remaining
        share = left * _SHARE_WHILE_OTHERS_WAIT if others_wait else left
        return Call(
            provider_id=candidate.provider_id,
            provider=provider.settings,
            options=provider.options,
            base_url=base_url,
            settings=self._settings,
            http=self._http,
            meter=meter,
            clock=context.clock,
            deadline=Deadline.after(min(provider.settings.timeout_seconds, share)),
            data_mode=context.data_mode,
            max_response_bytes=self._max_response_bytes,
            series=candidate.series,
            stopped=context.should_stop,
        )

    def _delay(self, number: int, errors: Sequence[SourceError], retry: RetryPolicy) -> float:
        """Seconds to wait after round ``number``: jitter, or the shortest stated wait if longer."""
        backoff = self._jitter() * retry.first_delay_seconds * float(2 ** (number - 1))
        stated = [
            e.retry_after_seconds or 0.0 for e in errors if isinstance(e, TransientSourceError)
        ]
        return max(backoff, min(stated, default=0.0))


class _Barred:
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


def _ending(context: FetchContext) -> str:
    return "deadline" if context.deadline.passed else "stopped"


def _collect(future: Future[_Result], elapsed: float) -> _Result:
    """The job's result; a job that is still running or was never begun has run out of time."""
    if not future.done():
        future.cancel()
        return _Result(None, {}, 0, ended=f"timed out after {elapsed:.1f} s")
    result = future.result()
    if result.ended == "deadline":
        result.ended = f"timed out after {elapsed:.1f} s"
    elif result.ended == "stopped":
        result.ended = "stopped, nobody waits for it any more"
    return result


def _reason(result: _Result, lookup: Lookup) -> str:
    """What each provider said last, in the order asked, in one short line."""
    said = [
        f"{label}: {_short(error.problem)}"
        for label in (c.label for c in lookup.candidates)
        if (error := result.failures.get(label)) is not None
    ]
    unasked = [c.label for c in lookup.candidates if c.label not in result.failures]
    if result.ended and unasked:
        said.append(f"not asked: {', '.join(unasked)}")
    if result.ended:
        said.insert(0, result.ended)
    return "; ".join(said)[:1000]


def _short(problem: str) -> str:
    return problem if len(problem) <= 140 else problem[:137] + "..."


def _unique_ids(observations: Sequence[Observation]) -> list[Observation]:
    """Ids made unique in the order of the needs: the source is added where two would be alike."""
    seen: set[str] = set()
    found = []
    for observation in observations:
        name = observation.lineage.observation_id
        if name in seen:
            name = f"{name}@{observation.lineage.source}"
        count = 2
        unique = name
        while unique in seen:
            unique, count = f"{name}#{count}", count + 1
        seen.add(unique)
        if unique != observation.lineage.observation_id:
            lineage = observation.lineage.model_copy(update={"observation_id": unique})
            found.append(observation.model_copy(update={"lineage": lineage}))
        else:
            found.append(observation)
    return found
