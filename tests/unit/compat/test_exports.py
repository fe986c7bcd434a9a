"""The public face: cheap to import, complete, typed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sigmax_tasks

HEAVY = ("pydantic", "celery", "redis", "ccxt", "numpy", "yaml", "sigmax_planner")


def modules_after(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    loaded = modules_after("import sigmax_tasks; dir(sigmax_tasks)")
    assert "sigmax_tasks" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_planning_needs_neither_celery_nor_a_data_library() -> None:
    loaded = modules_after("from sigmax_tasks import PlanningAgent, ResearchTask, TaskStatus")
    assert "sigmax_planner.planner" in loaded
    assert loaded.isdisjoint({"celery", "redis", "ccxt", "numpy"})


def test_every_exported_name_is_there_and_listed() -> None:
    for name in sigmax_tasks.__all__:
        assert getattr(sigmax_tasks, name).__name__ == name
        assert name in dir(sigmax_tasks)


def test_the_exported_classes_are_those_the_planner_uses() -> None:
    from sigmax_planner import models

    assert sigmax_tasks.ResearchTask is models.ResearchTask
    assert sigmax_tasks.TaskPriority is models.TaskPriority


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = sigmax_tasks.no_such_name
