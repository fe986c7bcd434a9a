"""The state of a run, event by event."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from sigmax_planner.models import Batching
from sigmax_tasks.models.events import EventKind
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.report.progress import RunPhase, RunProgress, TaskProgress, event_line
from tests.unit.report.builders import (
    RUN_ID,
    START,
    finished,
    make_event,
    make_plan,
    make_record,
    story,
)


def task(run: RunProgress, task_id: str) -> TaskProgress:
    return next(t for t in run.tasks if t.task_id == task_id)


@pytest.fixture
def run() -> RunProgress:
    return RunProgress.of_plan(RUN_ID, make_plan())


def test_a_new_run_shows_its_plan(run: RunProgress) -> None:
    assert (run.phase, run.done, run.total, run.batch_count) == (RunPhase.QUEUED, 0, 6, 2)
    assert (run.planned_seconds, run.planned_cost_usd) == (55, Decimal("0.19"))
    assert {t.status for t in run.tasks} == {TaskStatus.PENDING}
    assert task(run, "sentiment").planned_seconds == 30


def test_a_whole_story_ends_with_everything_done(run: RunProgress) -> None:
    for event in story(make_plan()):
        run = run.apply(event)
    assert (run.phase, run.done, run.unsuccessful) == (RunPhase.FINISHED, 6, 0)
    assert run.cost_usd == Decimal("0.0072")
    assert run.is_over


def test_a_repeated_or_older_event_changes_nothing(run: RunProgress) -> None:
    events = story(make_plan())
    for event in events:
        run = run.apply(event)
    for event in events:
        assert not run.is_news(event)
        assert run.apply(event) is run


def test_an_event_of_another_run_changes_nothing(run: RunProgress) -> None:
    assert run.apply(make_event(EventKind.RUN_FINISHED, 1, run_id="another-run-1")) is run


def test_events_without_an_id_are_taken(run: RunProgress) -> None:
    after = run.apply(make_event(EventKind.RUN_STARTED, 0, event_id=""))
    assert after.phase is RunPhase.RUNNING


def test_a_running_task_has_been_running_since_its_start(run: RunProgress) -> None:
    run = run.apply(make_event(EventKind.TASK_STARTED, 1, task_id="technical", attempt=1))
    technical = task(run, "technical")
    assert technical.status is TaskStatus.RUNNING
    assert technical.elapsed(START + timedelta(seconds=4)) == 3
    assert technical.elapsed(START - timedelta(seconds=4)) == 0
    assert task(run, "macro").elapsed(START) is None


def test_attempts_are_counted_and_say_why(run: RunProgress) -> None:
    run = run.apply(make_event(EventKind.TASK_STARTED, 1, task_id="macro", attempt=1))
    run = run.apply(
        make_event(EventKind.TASK_ATTEMPT, 2, task_id="macro", attempt=2, detail="fred: 503")
    )
    assert (task(run, "macro").attempt, task(run, "macro").detail) == (2, "fred: 503")


def test_the_first_outcome_stays(run: RunProgress) -> None:
    run = run.apply(make_event(EventKind.TASK_FINISHED, 1, **finished("macro")))
    run = run.apply(make_event(EventKind.TASK_STARTED, 2, task_id="macro", attempt=1))
    run = run.apply(
        make_event(EventKind.TASK_FINISHED, 3, **finished("macro", status="failed", seconds=9.0))
    )
    assert task(run, "macro").status is TaskStatus.COMPLETED
    assert task(run, "macro").seconds == 1.5


def test_a_task_that_is_sent_again_waits_again(run: RunProgress) -> None:
    run = run.apply(make_event(EventKind.TASK_STARTED, 1, task_id="macro", attempt=1))
    run = run.apply(make_event(EventKind.TASK_REDISPATCHED, 2, task_id="macro", detail="lost"))
    assert task(run, "macro").status is TaskStatus.PENDING
    run = run.apply(make_event(EventKind.TASK_STARTED, 5, task_id="macro", attempt=1))
    assert task(run, "macro").elapsed(START + timedelta(seconds=6)) == 1


def test_failed_and_skipped_tasks_are_done_but_unsuccessful(run: RunProgress) -> None:
    for number, status in enumerate(("failed", "skipped", "a word of a later version")):
        task_id = ("macro", "patterns", "keywords")[number]
        run = run.apply(
            make_event(EventKind.TASK_FINISHED, number, **finished(task_id, status=status))
        )
    assert (run.done, run.unsuccessful) == (3, 3)
    assert task(run, "keywords").status is TaskStatus.FAILED


def test_a_task_the_plan_did_not_name_gets_a_row() -> None:
    run = RunProgress(RUN_ID).apply(make_event(EventKind.TASK_FINISHED, 1, **finished("extra")))
    assert [t.task_id for t in run.tasks] == ["extra"]


def test_a_late_event_does_not_turn_the_phase_back(run: RunProgress) -> None:
    run = run.apply(make_event(EventKind.RUN_FINALIZING, 1))
    run = run.apply(make_event(EventKind.BATCH_STARTED, 2, batch_index=1))
    assert run.phase is RunPhase.DECIDING


def test_the_clock_of_a_run_stops_at_its_end(run: RunProgress) -> None:
    assert run.elapsed(START) is None
    run = run.apply(make_event(EventKind.RUN_STARTED, 0))
    assert run.elapsed(START + timedelta(seconds=3)) == 3
    run = run.apply(make_event(EventKind.RUN_CANCELLED, 5))
    assert run.elapsed(START + timedelta(hours=1)) == 5
    assert run.phase is RunPhase.CANCELLED


def test_the_record_outranks_the_events(run: RunProgress) -> None:
    settled = run.settled(make_record().research)
    assert (settled.phase, settled.done) == (RunPhase.FINISHED, 6)
    assert task(settled, "macro").planned_seconds == 20


def test_lines_of_the_log_say_what_happened(run: RunProgress) -> None:
    lines = []
    for event in story(make_plan()):
        run = run.apply(event)
        lines.append(event_line(event, run))
    assert lines[0] == f"BTC/USDT run {RUN_ID} started"
    assert lines[1].startswith("BTC/USDT batch 1 of 2 started: ")
    assert "BTC/USDT sentiment completed (1.5 s, $0.0012, kraken)" in lines
    assert lines[-2:] == ["BTC/USDT deciding (6 of 6 tasks done)", "BTC/USDT finished"]


def test_a_failure_in_the_log_says_why_without_control_characters(run: RunProgress) -> None:
    event = make_event(
        EventKind.TASK_FINISHED,
        1,
        **finished("macro", status="failed", attempt=3, detail="fred:\x1b[31m 503\nretry"),
    )
    assert event_line(event, run.apply(event)) == (
        "BTC/USDT macro failed (1.5 s, attempt 3, $0.0012, kraken): fred: 503 retry"
    )


def test_by_critical_path_there_are_no_batches_to_count() -> None:
    plan = make_plan().model_copy(update={"batching": Batching.CRITICAL_PATH})
    run = RunProgress.of_plan(RUN_ID, plan)
    event = make_event(EventKind.BATCH_STARTED, 1, detail="macro, keywords")
    after = run.apply(event)
    assert (after.batch_count, after.batch_index) == (None, None)
    assert event_line(event, after) == "BTC/USDT sent: macro, keywords"
