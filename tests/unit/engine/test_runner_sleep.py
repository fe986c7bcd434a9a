"""A process that slept between taking a task and beginning it, as one that was frozen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest

from sigmax_tasks import clock, runner
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.runner import TaskRunner
from sigmax_tasks.settings import load_settings
from sigmax_tasks.store import RunStore
from tests.unit.engine.builders import open_run, runtime


@pytest.mark.parametrize("other", ["", "another worker"])
def test_a_task_that_another_took_meanwhile_is_not_begun(
    monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    client = fakeredis.FakeRedis(decode_responses=True)
    store = RunStore(client, runtime())
    now = clock.now()
    run = replace(open_run(), created_at=now, deadline_at=now + timedelta(hours=1))
    store.create(run, "{}")
    asked: list[Any] = []
    settings = load_settings(shipped_folder(), environ={}).settings
    desk = SimpleNamespace(
        gather=lambda *_: asked.append(_), expected_cost_usd=lambda *_: 0, close=lambda: None
    )
    tasks = TaskRunner(store, settings)
    monkeypatch.setattr(tasks, "_desk", desk)
    take = store.start_task

    def take_and_sleep(owner: str, event: Any) -> int:
        tries = take(owner, event)
        if other:
            client.set(f"sigmax:lease:{run.run_id}:technical", other)
        return tries

    monkeypatch.setattr(store, "start_task", take_and_sleep)
    monkeypatch.setattr(runner, "SLEPT_SECONDS", -1.0)
    tasks.run(run, run.plan.tasks[0], ("technical",), "me")
    assert bool(asked) is not bool(other)
    assert bool(store.outcome_ids(run.run_id)) is not bool(other)
