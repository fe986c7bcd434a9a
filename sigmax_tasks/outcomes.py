"""Finds out what the market did after the decisions of a journal: fetch candles, resolve, keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks import clock
from sigmax_tasks.clock import Deadline, RunClock
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.models.journal import JournalEntry, Outcome
from sigmax_tasks.models.observations import Candles, DataNeed
from sigmax_tasks.settings import Settings
from sigmax_tasks.sources.addresses import Addresses
from sigmax_tasks.sources.desk import FetchContext, RetryPolicy, SourceDesk
from sigmax_tasks.stages.resolve import StillOpen, ready, resolve, span_of

FETCH_SECONDS = 30.0
"""Time for the candles of one decision, over all attempts and providers."""

_SOURCE = "price_data"


@dataclass(frozen=True)
class Resolved:
    """``outcomes`` by run id; ``still_open`` counts the others by the reason."""

    outcomes: dict[str, Outcome]
    still_open: dict[str, int]


class OutcomeDesk:
    """Fetches candles as the tasks of a run do, with the same providers, retries and limits.

    ``source_root`` is the data server of replayed and simulated decisions. Close it after use.
    """

    def __init__(self, settings: Settings, source_root: str | None = None) -> None:
        performance = settings.planning.performance
        self._settings = settings
        self._source_root = source_root
        self._desk = SourceDesk(
            settings.sources,
            max_concurrent_calls=performance.max_concurrent_api_calls,
            max_response_bytes=performance.max_memory_per_task_mb * 1_000_000,
        )

    def close(self) -> None:
        self._desk.close()

    def resolve(
        self,
        entries: Iterable[JournalEntry],
        moment: datetime,
        on_step: Callable[[JournalEntry, Outcome | StillOpen], None] = lambda *_: None,
    ) -> Resolved:
        """Look at each entry without an outcome; nothing later than ``moment`` is looked at.

        ``on_step`` is told of each that was asked about.
        """
        outcomes: dict[str, Outcome] = {}
        still_open: Counter[str] = Counter()
        for entry in entries:
            if entry.outcome is not None:
                continue
            found: Outcome | StillOpen | None = ready(entry, moment)
            if found is None:
                found = self._fetch_and_resolve(entry, moment)
                on_step(entry, found)
            if isinstance(found, Outcome):
                outcomes[entry.run_id] = found
            else:
                still_open[found.reason] += 1
        return Resolved(outcomes, dict(still_open))

    def _fetch_and_resolve(self, entry: JournalEntry, moment: datetime) -> Outcome | StillOpen:
        span = span_of(entry)
        need = DataNeed(
            source=_SOURCE,
            kind="candles",
            name=span.timeframe,
            symbol=entry.symbol,
            limit=span.count,
            required=True,
        )
        execution = self._settings.planning.task_execution
        gathered = self._desk.gather(
            (need,),
            FetchContext(
                symbol=entry.symbol,
                clock=RunClock(span.until),
                deadline=Deadline.after(FETCH_SECONDS),
                data_mode=entry.data_mode,
                addresses=self._addresses(entry, span.until),
                retry=RetryPolicy(
                    execution.max_retries if execution.retry_failed_tasks else 0,
                    execution.retry_delay,
                ),
                should_stop=lambda: False,
                on_attempt=lambda *_: None,
            ),
        )
        if not gathered.observations:
            reasons = [gap.reason for gap in gathered.missing]
            return StillOpen(f"no candles: {reasons[0][:200]}" if reasons else "no candles")
        (observation,) = gathered.observations
        if not isinstance(observation.data, Candles):
            return StillOpen(f"{observation.lineage.provider} gave no candles")
        return resolve(
            entry,
            observation.data.rows,
            span.seconds,
            moment=moment,
            resolved_at=clock.now(),
            candles=f"{observation.lineage.provider} {span.timeframe}",
        )

    def _addresses(self, entry: JournalEntry, until: datetime) -> Addresses:
        """The providers of the market the decision was made in, at the end of its horizon."""
        if entry.data_mode is not DataMode.LIVE and self._source_root is None:
            raise ConfigurationError(
                f"{entry.data_mode.value} decisions are resolved from a data server"
            )
        request = AnalysisRequest(
            symbol=entry.symbol,
            risk_profile=entry.profile,
            data_mode=entry.data_mode,
            as_of=until,
            seed=entry.seed,
            source_root=self._source_root,
        )
        return Addresses.of_request(request, self._settings.sources)
