"""Layers of configuration: what wins, and what a mistake says."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigmax_planner.errors import DependencyCycleError, InvalidWidthError
from sigmax_tasks.errors import ConfigurationError, UnknownKeyError
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.settings import load_settings
from sigmax_tasks.settings.layers import flatten


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


def test_the_shipped_configuration_is_valid_and_each_value_knows_its_origin() -> None:
    loaded = load_settings(shipped_folder(), environ={})
    keys = [key for key, _ in flatten(loaded.tree)]
    assert "task_execution.max_retries" in keys
    assert set(loaded.origins.values()) == {"shipped"}
    assert all(key in loaded.origins for key in keys)


def test_set_wins_over_the_environment_over_the_folder_over_the_shipped(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", "planning.yaml", "task_execution:\n  max_retries: 5\n")
    environ = {"SIGMAX_TASK_EXECUTION__MAX_RETRIES": "6"}
    key = "task_execution.max_retries"

    loaded = load_settings(folder, environ={})
    assert loaded.settings.planning.task_execution.max_retries == 5
    assert loaded.origins[key].endswith("planning.yaml")
    assert loaded.origins["task_execution.retry_delay"] == "shipped"

    loaded = load_settings(folder, environ=environ)
    assert loaded.settings.planning.task_execution.max_retries == 6
    assert loaded.origins[key] == "environment SIGMAX_TASK_EXECUTION__MAX_RETRIES"

    loaded = load_settings(folder, [f"{key}=7"], environ)
    assert loaded.settings.planning.task_execution.max_retries == 7
    assert loaded.origins[key] == "--set"


def test_the_folder_is_chosen_by_option_then_environment_then_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = write(tmp_path / "one", "planning.yaml", "default_profile: aggressive\n")
    two = write(tmp_path / "two", "planning.yaml", "default_profile: conservative\n")
    environ = {"SIGMAX_CONFIG_DIR": str(two)}
    assert load_settings(one, environ=environ).settings.planning.default_profile == "aggressive"
    assert load_settings(environ=environ).settings.planning.default_profile == "conservative"
    assert load_settings(environ={}).settings.planning.default_profile == "balanced"
    write(tmp_path / "config", "planning.yaml", "default_profile: aggressive\n")
    assert load_settings(environ={}).settings.planning.default_profile == "aggressive"


@pytest.mark.parametrize(
    ("override", "near"),
    [
        ("task_execution.max_retry=3", "task_execution.max_retries"),
        ("taks_execution.max_retries=3", "task_execution"),
        ("profiles.balanced.min_data_source=3", "profiles.balanced.min_data_sources"),
        ("decision.analysis.full_scor=0.5", "decision.analysis.full_score"),
        ("engine.lease_second=4", "engine.lease_seconds"),
        ("tasks.technical.timeot=9", "timeout"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(override: str, near: str) -> None:
    with pytest.raises(UnknownKeyError) as caught:
        load_settings(shipped_folder(), [override], {})
    assert near in str(caught.value)
    assert "--set" in str(caught.value)


def test_an_unknown_key_of_a_file_names_the_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", "planning.yaml", "plannning: {}\n")
    with pytest.raises(UnknownKeyError, match=r"own/planning\.yaml.*did you mean 'planning'"):
        load_settings(folder, environ={})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("planning: {max_parallel_tasks: 2, max_parallel_tasks: 3}\n", "written twice"),
        ("planning: [\n", "not valid YAML"),
        ("- a\n", "a mapping of keys"),
        ("task_execution: {max_retries: -1}\n", "max_retries"),
        ("task_execution: {max_retries: many}\n", "max_retries"),
        ("performance: {total_plan_timeout: .nan}\n", "total_plan_timeout"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(tmp_path: Path, text: str, problem: str) -> None:
    folder = write(tmp_path / "own", "planning.yaml", text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(folder, environ={})
    assert problem in str(caught.value)
    assert "planning.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_width_zero_and_a_cycle_are_their_own_errors(tmp_path: Path) -> None:
    with pytest.raises(InvalidWidthError):
        load_settings(shipped_folder(), ["planning.max_parallel_tasks=0"], {})
    cycle = "tasks:\n  technical:\n    dependencies: [momentum]\n"
    with pytest.raises(DependencyCycleError, match=r"momentum -> technical|technical -> momentum"):
        load_settings(write(tmp_path / "own", "tasks.yaml", cycle), environ={})


def test_a_custom_task_needs_no_change_to_the_package(tmp_path: Path) -> None:
    text = """
additional_tasks:
  volume_watch:
    priority: LOW
    data_sources: [volume_data]
    dependencies: [technical]
    timeout: 5
    cost: 0
    handler: my_package.watch:research
"""
    settings = load_settings(write(tmp_path / "own", "tasks.yaml", text), environ={}).settings
    assert settings.catalog.by_id["volume_watch"].handler == "my_package.watch:research"


def test_a_run_keeps_the_settings_it_was_submitted_with() -> None:
    submitter = load_settings(
        shipped_folder(), ["task_execution.max_retries=9", "broker.url=redis://:pw@h/0"], {}
    ).settings
    worker = load_settings(shipped_folder(), environ={}).settings
    assert "pw" not in submitter.snapshot, "where and how a run runs stays out of it"
    own = worker.with_snapshot(submitter.snapshot)
    assert own.planning.task_execution.max_retries == 9
    assert own.runtime.broker.url is None
    assert own.snapshot_hash == submitter.snapshot_hash
    assert worker.snapshot_hash != submitter.snapshot_hash


def test_verbose_planning_by_its_environment_variable() -> None:
    environ = {"VERBOSE_PLANNING": "true"}
    assert load_settings(
        shipped_folder(), environ=environ
    ).settings.planning.features.verbose_planning
