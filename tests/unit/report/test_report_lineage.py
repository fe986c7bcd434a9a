"""Every printed number of a finding leads to answers, with all their facts."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
from rich.console import Console, RenderableType

from sigmax_tasks.models.observations import Lineage
from sigmax_tasks.models.research import TaskOutcome
from sigmax_tasks.report.lineage_view import Register, lineage_line, lineage_view, number_text
from tests.unit.stages.builders import AS_OF, bundle, failed, finding, lineage, outcome

MARKS = re.compile(r"\[(\d+)\]")


def render(view: RenderableType, width: int = 240) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(view)
    return captured.get()


def outcomes() -> tuple[TaskOutcome, ...]:
    """Findings of several tasks; one cites an answer from the cache, one has failed."""
    cached = finding("macro")
    told = cached.lineage[0].model_copy(
        update={
            "cache_hit": True,
            "cache_age_seconds": 41.5,
            "fetched_at": AS_OF - timedelta(seconds=41.5),
            "payload_sha256": "f" * 64,
        }
    )
    cached = cached.model_copy(update={"lineage": (told, *cached.lineage[1:])})
    tasks = ("technical", "liquidity", "correlation", "macro", "sentiment", "patterns")
    return bundle(outcome(cached), failed("patterns"), task_ids=tasks).outcomes


def answers_of(text: str) -> dict[str, str]:
    """The printed facts of each answer, by its number."""
    below = text.split("\nAnswers\n")[1]
    parts = re.split(r"^  \[(\d+)\] ", below, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_number_of_the_findings_is_printed_and_leads_to_its_answers() -> None:
    given = outcomes()
    text = render(lineage_view(given))
    answers = answers_of(text)
    rows = text.split("\nAnswers\n")[0].splitlines()
    numbers = 0
    for done in given:
        if done.finding is None:
            continue
        by_id = {item.observation_id: item for item in done.finding.lineage}
        start = rows.index(f"  {done.task_id}".ljust(len(rows[0])).rstrip()) + 1
        for metric in done.finding.metrics:
            row = next(row for row in rows[start:] if row.split()[0] == metric.name)
            assert number_text(metric.value) in row
            assert_leads(row, [by_id[key] for key in metric.observation_ids], answers)
            numbers += 1
        for item in done.finding.evidence:
            short = item.evidence_id.partition(".")[2]
            row = next(r for r in rows[start:] if r.split()[:2] == ["argument", short])
            assert f"{item.polarity:+.2f} x {item.reliability:.2f}" in row
            assert_leads(row, [by_id[key] for key in item.observation_ids], answers)
            numbers += 1
    assert numbers > 15


def assert_leads(row: str, cited: list[Lineage], answers: dict[str, str]) -> None:
    marks = MARKS.findall(row)
    assert len(marks) == len(cited)
    for mark, item in zip(marks, cited, strict=True):
        facts = answers[mark]
        for fact in (
            item.provider,
            item.source,
            item.endpoint,
            f"observed {item.observed_at:%Y-%m-%d %H:%M:%S} UTC",
            f"fetched {item.fetched_at:%Y-%m-%d %H:%M:%S} UTC",
            item.payload_sha256,
        ):
            assert fact in facts
        cache = "from the cache, 41.5 s old" if item.cache_hit else "from the provider"
        assert cache in facts


def test_the_same_id_in_two_tasks_can_be_two_answers() -> None:
    first, second = finding("technical"), finding("correlation")
    other = lineage("price_data", payload_sha256="e" * 64)
    second = second.model_copy(update={"lineage": (other,)})
    register = Register((outcome(first), outcome(second)))
    key = other.observation_id
    assert register.cited("technical", [key]) != register.cited("correlation", [key])
    with pytest.raises(KeyError):
        register.cited("technical", ["candles:nowhere:"])


def test_the_json_holds_the_same_numbers() -> None:
    given = outcomes()
    line = lineage_line(given)
    tasks = {task["task_id"]: task for task in line["tasks"]}
    assert set(tasks) == {done.task_id for done in given if done.finding is not None}
    for done in given:
        if done.finding is None:
            continue
        task = tasks[done.task_id]
        assert [(m["name"], m["value"]) for m in task["metrics"]] == [
            (m.name, m.value) for m in done.finding.metrics
        ]
        for item in (*task["metrics"], *task["evidence"]):
            assert all(str(number) in line["answers"] for number in item["answers"])
    assert any(answer["cache_hit"] for answer in line["answers"].values())


def test_keys_in_an_endpoint_are_not_shown() -> None:
    made = finding("technical")
    secret = made.lineage[0].model_copy(update={"endpoint": "/data?api_key=verysecretvalue123"})
    made = made.model_copy(update={"lineage": (secret, *made.lineage[1:])})
    assert "verysecretvalue123" not in render(lineage_view((outcome(made),)))
    assert "verysecretvalue123" not in str(lineage_line((outcome(made),)))


def test_a_run_without_findings_says_so() -> None:
    assert "no finding rests on any" in render(lineage_view((failed("technical"),)))
