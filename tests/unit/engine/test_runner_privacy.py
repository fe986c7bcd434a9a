"""A secret in an answer, a claim or an error gets into nothing that is kept or logged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace

import fakeredis
import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks.errors import PermanentSourceError
from sigmax_tasks.models.observations import (
    DataNeed,
    Lineage,
    Missing,
    Observation,
    TextItem,
    Texts,
)
from sigmax_tasks.models.research import (
    Evidence,
    Finding,
    PhraseCount,
    ResearchInputs,
    TaskOutcome,
    TaskStatus,
)
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.run_state import OpenRun
from sigmax_tasks.runner import TaskRunner
from sigmax_tasks.settings import load_settings
from sigmax_tasks.sources.desk import Gathered
from sigmax_tasks.store import RunStore
from tests.unit.engine.builders import START, open_run, runtime

KEY = "sk-abcdef1234567890ABCDEF"
ASKED: list[DataNeed] = []


def quote(inputs: ResearchInputs) -> Finding:
    """A handler that quotes what it read, and knows a secret of its own."""
    (seen,) = inputs.observations
    assert isinstance(seen.data, Texts)
    return Finding(
        task_id=inputs.task_id,
        symbol=inputs.symbol,
        as_of=inputs.as_of,
        score=0.1,
        strength=0.2,
        summary=f"{seen.data.items[0].title}; password=hunter22",
        evidence=(
            Evidence(
                evidence_id=f"{inputs.task_id}.quote",
                task_id=inputs.task_id,
                claim=f"says {seen.data.items[0].title}",
                polarity=0.1,
                reliability=0.2,
                observation_ids=(seen.lineage.observation_id,),
                observed_at=START,
            ),
        ),
        lineage=(seen.lineage,),
    )


def fail(inputs: ResearchInputs) -> Finding:
    """A handler with a bug whose message holds a secret."""
    raise ValueError(f"bad key {KEY} of a@b.co")


def refuse(inputs: ResearchInputs) -> Finding:
    raise PermanentSourceError("somebody", f"GET /x?api_key={KEY}: 403")


def needs(symbol: str, watchlist: tuple[str, ...]) -> tuple[DataNeed, ...]:
    return (DataNeed(source="news", kind="texts"),)


def gathered() -> Gathered:
    lineage = Lineage(
        observation_id="texts:news",
        source="news",
        kind="texts",
        provider="example",
        endpoint=f"/rss?token={KEY}",
        observed_at=START,
        fetched_at=START,
        payload_sha256="ab" * 32,
        payload_bytes=9,
        data_mode=DataMode.SIMULATED,
        simulated=True,
    )
    item = TextItem(
        outlet="Example",
        title=f"Join the pump group: mail boss@evil.example, key {KEY}",
        published_at=START,
    )
    return Gathered(
        observations=(Observation(lineage=lineage, data=Texts(channel="news", items=(item,))),),
        missing=(Missing(source="social", need="texts", reason=f"http://u:{KEY}@h refused"),),
        attempts=1,
        requests=2,
        cost_usd=Decimal(0),
        providers=("example",),
    )


class Place:
    """A store on a fake Redis and a runner whose desk gives :func:`gathered`."""

    def __init__(self) -> None:
        self.redis = fakeredis.FakeRedis(decode_responses=True)
        self.store = RunStore(self.redis, runtime())
        self.settings = load_settings(
            shipped_folder(), ("debug.log_task_results=true",), environ={}
        ).settings
        self.runner = TaskRunner(self.store, self.settings)
        self.runner._desk = SimpleNamespace(  # type: ignore[assignment]
            gather=lambda needs, context: gathered(),
            expected_cost_usd=lambda *_: Decimal(0),
            close=lambda: None,
        )

    def run(self, handler: str) -> TaskOutcome:
        plan = open_run(seconds=1e9).plan
        task = plan.tasks[0].model_copy(update={"handler": f"{__name__}:{handler}"})
        base = open_run(seconds=1e9)
        run = OpenRun(
            run_id=base.run_id,
            request=base.request,
            plan=plan.model_copy(update={"tasks": (task, *plan.tasks[1:])}),
            settings_hash=base.settings_hash,
            created_at=base.created_at,
            deadline_at=base.deadline_at,
        )
        self.store.create(run, self.settings.snapshot)
        self.runner.run(run, task, (task.task_id,), "me")
        return self.store.outcomes(run.run_id)[task.task_id]

    def everything(self) -> str:
        """All that is kept, and what was compressed in it."""
        run_id = open_run().run_id
        kept = [repr(self.redis.xrange(f"sigmax:ev:{run_id}"))]
        kept += [repr(self.redis.hgetall(f"sigmax:{name}:{run_id}")) for name in ("run", "out")]
        kept.append(repr(self.store.observations(run_id)))
        return "\n".join(kept)


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.runner.close()
    place.redis.close()


def clean(place: Place, caplog: pytest.LogCaptureFixture) -> bool:
    told = place.everything() + caplog.text
    return not any(secret in told for secret in (KEY, "hunter22", "a@b.co", "boss@evil"))


def test_what_was_read_is_cleaned_before_anything_is_made_of_it(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        outcome = place.run("quote")
    assert outcome.status is TaskStatus.COMPLETED, outcome.reason
    assert outcome.finding is not None
    title = "Join the pump group: mail [email], key [secret]"
    assert outcome.finding.evidence[0].claim == f"says {title}"
    assert outcome.finding.summary == f"{title}; password=[secret]"
    assert outcome.missing[0].reason == "http://***@h refused"
    assert outcome.redactions == {"secret": 4, "email": 1}
    assert outcome.compliance == (PhraseCount(phrase="pump group", texts=1),)
    (seen,) = place.store.observations(open_run().run_id)["technical"]
    assert seen.lineage.endpoint == "/rss?token=[secret]"
    assert outcome.finding.lineage == (seen.lineage,)
    assert "[secret]" in caplog.text, "the result was logged"
    assert clean(place, caplog)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        ("fail", "ValueError: bad key [secret] of [email]"),
        ("refuse", "somebody: GET /x?api_key=[secret]: 403"),
    ],
)
def test_errors_are_cleaned_where_they_are_kept_and_logged(
    place: Place, caplog: pytest.LogCaptureFixture, handler: str, reason: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        outcome = place.run(handler)
    assert (outcome.status, outcome.reason) == (TaskStatus.FAILED, reason)
    assert clean(place, caplog)
