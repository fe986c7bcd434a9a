"""A source desk over recordings at one moment: the adapters of a replay without its socket.

Needs are grouped, shared out and turned into gaps by the functions of the source desk. A lookup
asks its providers in their order; the bulk answers come from tables (tables.py), everything else
from the provider's own adapter, which asks the recorded world in this process.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from sigmax_planner.models import DataMode, Symbol
from sigmax_tasks import clock
from sigmax_tasks.clock import Deadline, RunClock
from sigmax_tasks.errors import SourceError
from sigmax_tasks.evaluation.tables import Tables
from sigmax_tasks.models.observations import DataNeed
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.simulator.worlds import Worlds, parse_address
from sigmax_tasks.sources.addresses import Addresses
from sigmax_tasks.sources.answers import Answer, refusal
from sigmax_tasks.sources.candidates import Lookup, candidates_of, group
from sigmax_tasks.sources.ccxt_session import Markets
from sigmax_tasks.sources.desk import Gathered, settle
from sigmax_tasks.sources.http import Budget, Meter
from sigmax_tasks.sources.registry import build_providers
from sigmax_tasks.sources.rounds import Barred, FetchContext, Result, RetryPolicy, Rounds
from sigmax_tasks.sources.standing import Standing

_ROOT: Final = "http://127.0.0.1:1"
"""Stands in the addresses of the providers; nothing is ever sent there."""

_ANSWER_SECONDS: Final = 60.0
_NEVER: Final = ("are not among the recordings", "is not recorded", "are recorded", "is stored")
"""How a recorded world ends a sentence that holds at every moment."""

_KEPT: Final = 4_000
"""Answers and refusals kept at hand; the market-wide ones of a moment serve all symbols."""


class RecordedExchange:
    """Answers requests from recordings, in this process."""

    def __init__(self, worlds: Worlds) -> None:
        self._worlds = worlds

    def exchange(
        self,
        budget: Budget,
        method: str,  # noqa: ARG002  # the signature is that of every exchange
        url: str,
        *,
        endpoint: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | str | None = None,
    ) -> Answer:
        """See :class:`sigmax_tasks.sources.http.Exchange`."""
        parts = urlsplit(url)
        query = "&".join(text for text in (parts.query, urlencode(dict(params or {}))) if text)
        target = f"{parts.path}?{query}" if query else parts.path
        body = data.encode() if isinstance(data, str) else data or b""
        budget.meter.count()
        reply = self._worlds.answer(target, parse_address(target, body))
        error = refusal(budget.provider, reply.status, reply.headers, reply.body, clock.now())
        if error is not None:
            raise error
        headers = {**reply.headers, "Content-Type": reply.content_type}
        return Answer(budget.provider, endpoint, reply.status, headers, reply.body)


@dataclass(frozen=True)
class Moment:
    """What is asked when and for which market."""

    symbol: Symbol
    as_of: datetime


class RecordedDesk:
    """What a folder of recordings says at a moment. For one thread.

    ``quick=False`` asks the adapters for everything: slower, the same answers.
    """

    def __init__(self, settings: SourceSettings, folder: Path, *, quick: bool = True) -> None:
        worlds = Worlds(folder)
        self._settings = settings
        self._markets = Markets(settings.markets_cache_minutes * 60, settings.markets_cache_entries)
        self._providers = build_providers(settings, self._markets)
        self._tables = Tables(worlds, settings) if quick else None
        self._kept: OrderedDict[tuple[object, ...], Result] = OrderedDict()
        self._rounds = Rounds(
            settings,
            self._providers,
            RecordedExchange(worlds),
            Standing(never_here_seconds=0.0, offline_seconds=0.0),
            max_response_bytes=1_000_000_000,
            jitter=lambda: 0.0,
        )

    def gather(self, needs: Sequence[DataNeed], moment: Moment) -> Gathered:
        """Every need ends as an observation or as a gap, as at the source desk."""
        meter = Meter({})  # recordings are free
        context = self._context(moment)
        jobs = [
            (
                want,
                [
                    (lookup, self._look(lookup, context, meter, moment))
                    for lookup in candidates_of(
                        want, self._settings, self._providers, DataMode.REPLAY
                    )
                ],
            )
            for want in group(needs, moment.symbol, self._settings)
        ]
        return settle(jobs, meter)

    def _context(self, moment: Moment) -> FetchContext:
        return FetchContext(
            symbol=moment.symbol,
            clock=RunClock(moment.as_of),
            deadline=Deadline.after(_ANSWER_SECONDS),
            data_mode=DataMode.REPLAY,
            addresses=Addresses.replay(self._settings, _ROOT, as_of=moment.as_of),
            retry=RetryPolicy(0, 0.0),
            should_stop=lambda: False,
            on_attempt=lambda *_: None,
        )

    def _look(self, lookup: Lookup, context: FetchContext, meter: Meter, moment: Moment) -> Result:
        failures: dict[str, SourceError] = {}
        for candidate in lookup.candidates:
            need = lookup.need
            if self._tables is not None:
                found = self._tables.answer(need, candidate, moment.as_of)
                if found is not None:
                    return Result(found, {}, 1)
            ever = (candidate.label, need)
            now = (candidate.label, need, moment.as_of)
            result = self._kept.get(ever) or self._kept.get(now)
            if result is None:
                single = Lookup(need, (candidate,), lookup.spare)
                result = self._rounds.run(single, context, meter, Barred())
                self._keep(ever if _holds_always(result) else now, result)
            if result.observation is not None:
                return result
            failures.update(result.failures)
        return Result(None, failures, 1)

    def _keep(self, key: tuple[object, ...], result: Result) -> None:
        self._kept[key] = result
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


def _holds_always(result: Result) -> bool:
    """Whether a refusal says that the recordings will never hold this."""
    return (
        result.observation is None
        and bool(result.failures)
        and all(error.problem.endswith(_NEVER) for error in result.failures.values())
    )
