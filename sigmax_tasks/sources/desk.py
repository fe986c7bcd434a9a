"""The source desk: turns needs into observations, or into stated gaps.

Order of events for one need: its providers are asked in turn, each once a round. A permanent
failure drops the provider for this need; what failed in passing is asked again in the next round,
after a back-off with full jitter (at least as long as a Retry-After), at most ``max_retries``
rounds more and never past the deadline. While another provider waits behind, one attempt may use
at most 60 % of the time that is left. What another task has just fetched is not asked for again,
and an answer that is too old stands in where nobody gives a newer one (shared.py). Nothing here
raises because a source failed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from decimal import Decimal

from sigmax_planner.models import DataMode, Symbol
from sigmax_tasks import clock
from sigmax_tasks.logs import carried
from sigmax_tasks.models.observations import DataNeed, Missing, Observation
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.sources.candidates import Lookup, Wanted, candidates_of, share_out
from sigmax_tasks.sources.candidates import group as group_needs
from sigmax_tasks.sources.ccxt_session import Markets
from sigmax_tasks.sources.http import HttpClient, Meter
from sigmax_tasks.sources.registry import build_providers
from sigmax_tasks.sources.rounds import Barred, FetchContext, Result, RetryPolicy, Rounds
from sigmax_tasks.sources.shared import SharedDesk
from sigmax_tasks.sources.standing import Standing
from sigmax_tasks.sources.transport import OfflineError

__all__ = ["FetchContext", "Gathered", "RetryPolicy", "SourceDesk"]

_GRACE_SECONDS = 1.0
_MOST_THREADS = 64


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


class SourceDesk:
    """One per worker process; thread-safe.

    ``max_concurrent_calls`` bounds the requests in flight over all threads of the process,
    ``max_response_bytes`` each answer (a provider may set a lower bound of its own). ``jitter``
    gives numbers in [0, 1) for the back-off. ``shared`` joins it with the desks of other workers;
    without it nothing is limited, cached or shared. Raises :class:`ConfigurationError` for a
    provider that cannot be used.
    """

    def __init__(
        self,
        settings: SourceSettings,
        *,
        max_concurrent_calls: int,
        max_response_bytes: int,
        jitter: Callable[[], float] = random.random,
        shared: SharedDesk | None = None,
    ) -> None:
        self._settings = settings
        self._prices = {n: p.price_usd_per_request for n, p in settings.providers.items()}
        self._shared = shared
        self._http = HttpClient(
            user_agent=settings.user_agent,
            max_concurrent_calls=max_concurrent_calls,
            resolve_timeout_seconds=settings.resolve_timeout_seconds,
            max_redirects=settings.max_redirects,
            proxy_url=settings.proxy_url,
            ca_bundle=settings.ca_bundle,
        )
        markets = Markets(
            settings.markets_cache_minutes * 60, settings.markets_cache_entries, shared
        )
        self._providers = build_providers(settings, markets)
        standing = Standing(
            never_here_seconds=settings.never_here_minutes * 60,
            offline_seconds=settings.offline_memory_seconds,
        )
        self._rounds = Rounds(
            settings, self._providers, self._http, standing, max_response_bytes, jitter, shared
        )
        # Threads that wait (for a back-off, a turn, another's fetch) hold no connection, so there
        # are more of them.
        self._pool = ThreadPoolExecutor(
            max_workers=min(_MOST_THREADS, max(8, 4 * max_concurrent_calls)),
            thread_name_prefix="sources",
        )

    @property
    def http(self) -> HttpClient:
        """The client of this process."""
        return self._http

    def close(self) -> None:
        """Stop taking work and close the connections, the shared desk too; safe to call twice."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._http.close()
        if self._shared is not None:
            self._shared.close()

    def expected_cost_usd(
        self, needs: Sequence[DataNeed], symbol: Symbol, data_mode: DataMode
    ) -> Decimal:
        """What the needs cost if each is answered by the first it is asked of, in one request.

        What is in the cache costs less; retries, fall-backs and further pages cost more.
        """
        if not any(self._prices.values()):
            return Decimal(0)
        return sum(
            (
                self._prices[lookup.candidates[0].provider_id]
                for want in group_needs(needs, symbol, self._settings)
                for lookup in candidates_of(want, self._settings, self._providers, data_mode)
            ),
            Decimal(0),
        )

    def gather(self, needs: Sequence[DataNeed], context: FetchContext) -> Gathered:
        """Every need ends as an observation or as a :class:`Missing` that says why."""
        started = clock.monotonic()
        meter = Meter(self._prices, context.purse)
        wanted = group_needs(needs, context.symbol, self._settings)
        jobs: list[tuple[Wanted, list[tuple[Lookup, Future[Result]]]]] = []
        barred = Barred()
        for want in wanted:
            futures = [
                (
                    lookup,
                    self._pool.submit(carried(self._rounds.run), lookup, context, meter, barred),
                )
                for lookup in candidates_of(
                    want, self._settings, self._providers, context.data_mode
                )
            ]
            jobs.append((want, futures))
        running = [future for _, futures in jobs for _, future in futures]
        wait(running, timeout=context.deadline.remaining + _GRACE_SECONDS)
        return settle(
            [
                (
                    want,
                    [
                        (lookup, _collect(future, clock.monotonic() - started))
                        for lookup, future in futures
                    ],
                )
                for want, futures in jobs
            ],
            meter,
        )


def settle(
    jobs: Sequence[tuple[Wanted, Sequence[tuple[Lookup, Result]]]], meter: Meter
) -> Gathered:
    """What came of the lookups of each want, shared out to its needs; the rest are gaps."""
    observations: list[Observation] = []
    missing: list[Missing] = []
    rounds, offline = 0, False
    for want, results in jobs:
        for lookup, result in results:
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
        if not results:
            reason = f"no provider in sources.yaml offers {want.asked.label}"
            missing += [
                Missing(source=need.source, need=need.label, reason=reason) for need in want.needs
            ]
    observations = _unique_ids(observations)
    return Gathered(
        observations=tuple(observations),
        missing=tuple(missing),
        attempts=max(rounds, 1) if jobs else 0,
        requests=meter.requests,
        cost_usd=meter.cost_usd,
        providers=tuple(dict.fromkeys(o.lineage.provider for o in observations)),
        offline=offline,
    )


def _collect(future: Future[Result], elapsed: float) -> Result:
    """The job's result; a job that is still running or was never begun has run out of time."""
    if not future.done():
        future.cancel()
        return Result(None, {}, 0, ended=f"timed out after {elapsed:.1f} s")
    result = future.result()
    if result.ended == "deadline":
        result.ended = f"timed out after {elapsed:.1f} s"
    elif result.ended == "stopped":
        result.ended = "stopped, nobody waits for it any more"
    return result


def _reason(result: Result, lookup: Lookup) -> str:
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
