"""Finds out what is known before research runs: learned estimates, the market, quotas.

Everything is read from where runs leave it: the Redis of the cluster, and the data folder for
private clusters. Nothing is fetched from a provider and nothing is assumed: what is not there is
absent from the facts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import redis

from sigmax_planner.facts import PlanningFacts, SourceHeadroom, TaskSample
from sigmax_planner.models import AnalysisRequest, DataMode, MarketContext, Volatility
from sigmax_tasks import clock
from sigmax_tasks.archive import RunArchive, default_folder
from sigmax_tasks.errors import ConfigurationError, JournalError, RunNotFoundError
from sigmax_tasks.journal import FileJournal, Journal, default_file
from sigmax_tasks.models.journal import JournalEntry
from sigmax_tasks.models.research import Finding, TaskOutcome
from sigmax_tasks.settings import Settings
from sigmax_tasks.settings.layers import environment
from sigmax_tasks.store import RunStore
from sigmax_tasks.task_samples import SampleFile, merged


class FactFinder:
    """Reads the facts for one request after another, what they share only once.

    Without ``client`` (a Redis that decodes to text) there is the data folder alone. With one, the
    errors of Redis are raised.
    """

    def __init__(self, settings: Settings, client: redis.Redis | None) -> None:
        self._settings = settings
        self._client = client
        self._store = None if client is None else RunStore(client, settings.runtime)
        self._samples: dict[DataMode, Mapping[str, Sequence[TaskSample]]] = {}
        self._headroom: dict[bool, Mapping[str, SourceHeadroom]] = {}
        self._journal: Journal | None = None

    def of(self, request: AnalysisRequest) -> PlanningFacts:
        """What is known for that request, as far as its settings make use of it."""
        policy = self._settings.planning
        notes: list[str] = []
        market = None
        wanted = policy.features.enable_auto_prioritization and policy.features.enable_planning
        if wanted and request.market is None:
            try:
                market = self._market(request)
            except (JournalError, ConfigurationError) as error:
                notes.append(f"the last research of {request.symbol} cannot be read: {error}")
        return PlanningFacts(
            market=market,
            samples=self._task_samples(request.data_mode),
            headroom=self._source_headroom(request.data_mode),
            notes=tuple(notes),
        )

    def _task_samples(self, mode: DataMode) -> Mapping[str, Sequence[TaskSample]]:
        if not self._settings.planning.planning.learned_estimates:
            return {}
        if mode not in self._samples:
            tasks = self._settings.catalog.templates
            here = self._store.samples(mode, tasks) if self._store is not None else {}
            if isinstance(self._kept_journal(), FileJournal):
                there = SampleFile().read(mode, tasks)
                here = {t.task_id: merged(here.get(t.task_id, ()), there[t.task_id]) for t in tasks}
            self._samples[mode] = here
        return self._samples[mode]

    def _source_headroom(self, mode: DataMode) -> Mapping[str, SourceHeadroom]:
        if self._client is None or not self._settings.planning.planning.adaptive_width:
            return {}
        live = mode is DataMode.LIVE
        if live not in self._headroom:
            if not self._asked_anything():
                self._headroom[live] = {}
                return {}
            # The limits library and the sources take a quarter of a second to load, which a
            # private cluster that has asked nothing yet can do without.
            from sigmax_tasks.sources.headroom import source_headroom

            self._headroom[live] = source_headroom(
                self._client, self._settings.sources, environment(), live=live
            )
        return self._headroom[live]

    def _asked_anything(self) -> bool:
        return self._store is not None and bool(
            self._store.finished_ids(1) or self._store.live_runs()
        )

    def _market(self, request: AnalysisRequest) -> MarketContext | None:
        """From the last run on that market, whatever its profile; None where none is kept."""
        if request.data_mode is DataMode.LIVE:
            not_after = clock.now()
        elif request.as_of is not None:
            # Strictly earlier: asking again about the same moment gives the same plan.
            not_after = request.as_of - timedelta(microseconds=1)
        else:
            return None
        entry = self._last_entry(request, not_after)
        if entry is None:
            return None
        try:
            outcomes = self._outcomes(entry.run_id)
        except RunNotFoundError:
            return None
        return market_context(entry.run_id, outcomes)

    def _last_entry(self, request: AnalysisRequest, not_after: datetime) -> JournalEntry | None:
        journal = self._kept_journal()
        seed = "-" if request.seed is None else str(request.seed)
        found = [
            journal.latest(
                f"{request.data_mode.value}:{seed}:{profile}:{request.symbol}", not_after=not_after
            )
            for profile in self._settings.planning.profiles
        ]
        entries = [entry for entry in found if entry is not None]
        return max(entries, key=lambda e: (e.as_of, e.decided_at, e.run_id), default=None)

    def _outcomes(self, run_id: str) -> Sequence[TaskOutcome]:
        if self._store is not None:
            outcomes = self._store.outcomes(run_id)
            if outcomes:
                return tuple(outcomes.values())
        return RunArchive(default_folder()).dossier(run_id).outcomes

    def _kept_journal(self) -> Journal:
        if self._journal is None:
            self._journal = (
                FileJournal(default_file()) if self._store is None else self._store.journal
            )
        return self._journal


def market_context(run_id: str, outcomes: Sequence[TaskOutcome]) -> MarketContext | None:
    """What the findings of a run say of its market; None where they say nothing of it."""
    findings = {o.finding.task_id: o.finding for o in outcomes if o.finding is not None}
    technical, news = findings.get("technical"), findings.get("sentiment")
    if technical is None and news is None:
        return None
    seen = [finding.as_of for finding in (technical, news) if finding is not None]
    words = "" if technical is None else technical.labels.get("volatility", "")
    return MarketContext(
        observed_at=max(seen),
        origin=f"run {run_id}",
        volatility=Volatility(words) if words in set(Volatility) else None,
        drawdown_fraction=_within(_metric(technical, "drawdown_from_90d_high"), 0.0, 1.0),
        volume_ratio=_metric(technical, "volume_ratio"),
        news_tone=_metric(news, "news_tone"),
    )


def _metric(finding: Finding | None, name: str) -> float | None:
    return None if finding is None else finding.metric(name)


def _within(value: float | None, least: float, most: float) -> float | None:
    return None if value is None else min(most, max(least, value))
