"""A finished run as the engine leaves it: shipped settings, real plan, real decision."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

from sigmax_planner.models import AnalysisRequest
from sigmax_planner.planner import create_plan
from sigmax_tasks.finalizer import make_record
from sigmax_tasks.handlers import load_handler
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.observations import Observation, TextItem, Texts
from sigmax_tasks.models.research import ResearchInputs, TaskOutcome
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.settings import Settings, load_settings
from sigmax_tasks.stages.privacy import phrases_in_observations
from tests.unit.stages.builders import AS_OF, BALANCED, SYMBOL, failed, finding, lineage, outcome

RUN_ID = "20261008-120000-4f9c2a7b"
HEADLINES = (
    "Bitcoin surges to a record high as inflows into funds grow",
    "Bitcoin exchange hacked, millions stolen in an exploit",
    "Bitcoin rallies on strong demand from funds",
    "Promoter of Bitcoin funds speaks of guaranteed returns",
    "Miners of Bitcoin sell less as fees recover",
)


@cache
def settings(*overrides: str) -> Settings:
    return load_settings(shipped_folder(), overrides, environ={}).settings


def news() -> tuple[Observation, ...]:
    items = tuple(
        TextItem(
            outlet="Example",
            title=title,
            url=f"https://news.example/{number}",
            published_at=AS_OF - timedelta(hours=number + 1),
        )
        for number, title in enumerate(HEADLINES)
    )
    seen = lineage("news", observed_at=items[0].published_at)
    return (Observation(lineage=seen, data=Texts(channel="news", items=items)),)


def researched(task_id: str, *overrides: str) -> TaskOutcome:
    """The outcome of a task that reads the news, by its real research."""
    task = next(t for t in settings(*overrides).catalog.templates if t.task_id == task_id)
    inputs = ResearchInputs(task_id=task_id, symbol=SYMBOL, as_of=AS_OF, observations=news())
    return outcome(
        load_handler(task_id, task.handler).research(inputs),
        compliance=phrases_in_observations(news(), settings(*overrides).decision.privacy),
    )


def make_run(*overrides: str, outcomes: tuple[TaskOutcome, ...] = (), **request: Any) -> Dossier:
    """A balanced run. Sentiment and keywords are researched on :func:`news`, patterns failed."""
    own = settings(*overrides)
    asked = AnalysisRequest(symbol=SYMBOL, risk_profile="balanced", **request)
    plan = create_plan(asked, own.planning, own.catalog, AS_OF)
    by_task = {
        **{task_id: outcome(finding(task_id)) for task_id in BALANCED},
        **{task_id: researched(task_id, *overrides) for task_id in ("sentiment", "keywords")},
        "patterns": failed("patterns"),
        **{item.task_id: item for item in outcomes},
    }
    kept = tuple(by_task[task.task_id] for task in plan.tasks)
    run = OpenRun(
        run_id=RUN_ID,
        request=asked,
        plan=plan,
        settings_hash=own.snapshot_hash,
        created_at=AS_OF,
        deadline_at=AS_OF + timedelta(seconds=120),
    )
    return Dossier(
        request=asked,
        settings=own.snapshot,
        record=make_record(own, run, kept, partial=False),
        outcomes=kept,
        observations={"sentiment": news(), "keywords": news()},
    )
