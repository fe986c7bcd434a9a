"""Nothing that was not public at a moment can change the decision of that moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sigmax_tasks.errors import LookAheadError
from sigmax_tasks.evaluation import tables
from sigmax_tasks.evaluation.recorded_desk import Moment, RecordedDesk
from sigmax_tasks.evaluation.walk import (
    bundle_of,
    decide_step,
    plan_step,
    recorded_scope,
    research_step,
    shortened,
)
from sigmax_tasks.models.decision import Decision
from sigmax_tasks.models.observations import Candles, DataNeed
from sigmax_tasks.models.research import TaskOutcome
from sigmax_tasks.settings import Settings
from sigmax_tasks.sources.desk import Gathered

from .builders import at, corrupt_after

MOMENTS = ("2022-07-05T00:00", "2022-06-13T21:30")
SOURCES = (
    "ohlcv/daily/BTC",
    "ohlcv/4h",
    "fear_greed",
    "onchain",
    "derivatives",
    "macro/market",
    "macro/fred",
)


def step(
    settings: Settings, folder: Path, moment: datetime, *, desk: object = None, symbol: str = "BTC"
) -> tuple[Decision, dict[str, TaskOutcome]]:
    """The decision on all tasks that the recordings can answer."""
    source = desk or RecordedDesk(settings.sources, folder)
    name = f"{symbol}/USDT"
    plans = [plan_step(settings, name, profile, moment, None) for profile in PROFILES]
    decisions, outcomes = [], {}
    for profile, plan in zip(PROFILES, plans, strict=True):
        scope = recorded_scope(settings, source, plan, moment)  # type: ignore[arg-type]
        cut = scope.cut(plan)
        found = research_step(settings, source, cut, moment, scope=scope)  # type: ignore[arg-type]
        bundle = bundle_of(cut, found, moment)
        decisions.append(decide_step(bundle, settings.planning.profile(profile), settings.decision))
        outcomes.update(found)
    return decisions[0], outcomes


PROFILES = ("conservative", "aggressive")


def said(outcomes: dict[str, TaskOutcome]) -> dict[str, object]:
    """The findings without the hashes of the answers and the time they were fetched."""
    return {
        task_id: outcome.model_dump(exclude={"finding": {"lineage"}})
        for task_id, outcome in outcomes.items()
    }


@pytest.mark.parametrize("moment", MOMENTS)
def test_corrupting_everything_after_as_of_changes_no_bit(
    settings: Settings, recordings: Path, tmp_path: Path, moment: str
) -> None:
    corrupted = corrupt_after(recordings, tmp_path / "corrupted", at(moment))
    decision, outcomes = step(settings, recordings, at(moment))
    again, others = step(settings, corrupted, at(moment))
    assert decision.decision_hash == again.decision_hash
    assert said(outcomes) == said(others)
    used = {item.source for o in outcomes.values() if o.finding for item in o.finding.lineage}
    assert {"price_data", "fear_greed", "onchain", "macro_data"} <= used


CORRUPTED_AT = at("2022-06-13T21:30")
LATER = CORRUPTED_AT + timedelta(days=70)


@pytest.fixture(scope="module")
def undamaged(settings: Settings, recordings: Path) -> dict[str, object]:
    return said(step(settings, recordings, LATER)[1])


@pytest.mark.parametrize("source", SOURCES)
def test_the_corruption_of_each_source_is_seen_once_it_is_public(
    settings: Settings,
    recordings: Path,
    tmp_path: Path,
    undamaged: dict[str, object],
    source: str,
) -> None:
    corrupted = corrupt_after(recordings, tmp_path / "corrupted", CORRUPTED_AT, only=source)
    assert said(step(settings, corrupted, LATER)[1]) != undamaged


def test_a_source_that_forgets_the_publication_lag_is_caught(
    settings: Settings, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "published_at", lambda _series, day: at(day.isoformat()))
    moment = at("2022-07-05T00:00")
    corrupted = corrupt_after(recordings, tmp_path / "corrupted", moment)
    _, outcomes = step(settings, recordings, moment)
    _, others = step(settings, corrupted, moment)
    assert said(outcomes) != said(others)


class Leaky:
    """Hands out candles of later on; ``backdated`` also lies about when they are of."""

    def __init__(self, desk: RecordedDesk, ahead: timedelta, *, backdated: bool) -> None:
        self._desk, self._ahead, self._backdated = desk, ahead, backdated

    def gather(self, needs: Sequence[DataNeed], moment: Moment) -> Gathered:
        ahead = Moment(moment.symbol, moment.as_of + self._ahead)
        found = self._desk.gather(needs, ahead)
        if not self._backdated:
            return found
        shift = round(self._ahead.total_seconds() * 1000)
        moved = []
        for item in found.observations:
            data = item.data
            if isinstance(data, Candles):
                rows = tuple((row[0] - shift, *row[1:]) for row in data.rows)
                data = data.model_copy(update={"rows": rows})
            when = min(item.lineage.observed_at - self._ahead, moment.as_of)
            lineage = item.lineage.model_copy(update={"observed_at": when})
            if isinstance(data, Candles):
                moved.append(item.model_copy(update={"data": data, "lineage": lineage}))
        return Gathered(
            observations=tuple(moved),
            missing=(),
            attempts=1,
            requests=1,
            cost_usd=found.cost_usd,
            providers=found.providers,
        )


def test_what_is_dated_after_the_step_ends_the_evaluation(
    settings: Settings, recordings: Path
) -> None:
    desk = Leaky(RecordedDesk(settings.sources, recordings), timedelta(hours=4), backdated=False)
    with pytest.raises(LookAheadError, match="nobody could know"):
        step(settings, recordings, at("2022-07-05T00:00"), desk=desk)


def test_a_source_that_lies_about_its_dates_is_caught_by_the_corruption(
    settings: Settings, recordings: Path, tmp_path: Path
) -> None:
    moment = at("2022-07-05T00:00")
    corrupted = corrupt_after(recordings, tmp_path / "corrupted", moment)
    results = []
    for folder in (recordings, corrupted):
        desk = Leaky(RecordedDesk(settings.sources, folder), timedelta(days=1), backdated=True)
        results.append(step(settings, folder, moment, desk=desk))
    assert said(results[0][1]) != said(results[1][1])


def test_a_short_decision_says_what_the_decision_says(settings: Settings, recordings: Path) -> None:
    decision, _ = step(settings, recordings, at("2022-07-05T00:00"))
    short = shortened(decision)
    assert short.decision_hash == decision.decision_hash
    assert (short.action, short.score) == (decision.action, decision.score)
