"""How others find the cluster of ``sigmax up``, and what becomes of a dead one's traces."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sigmax_tasks import local_state
from sigmax_tasks.cluster import running_cluster
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.local_cluster import _password, flower_login, override_variables
from sigmax_tasks.local_state import LocalState, find_local, only_cluster, state_file, write_state
from sigmax_tasks.settings import load_settings

DEAD = 2**22 - 3  # above the usual limit of process ids


def state(pid: int) -> LocalState:
    return LocalState(
        url="redis://:pw@127.0.0.1:1/0",
        pid=pid,
        services={"redis": pid},
        flower_url=None,
        started_at=datetime(2025, 6, 2, tzinfo=UTC),
        version="0.1.0",
    )


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "sigmax").mkdir()


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_state, "_answers", lambda _url: True)


def test_without_a_state_file_there_is_none_and_nothing_is_made(tmp_path: Path) -> None:
    assert find_local() is None
    assert list((tmp_path / "sigmax").iterdir()) == []


@pytest.mark.usefixtures("answering")
def test_a_live_cluster_is_found_and_its_file_is_private() -> None:
    write_state(state(os.getpid()))
    assert find_local() == state(os.getpid())
    assert state_file().stat().st_mode & 0o077 == 0
    settings = load_settings(environ={}).settings
    cluster = running_cluster(settings)
    assert cluster is not None
    assert (cluster.kind, cluster.broker_url) == ("local", "redis://:pw@127.0.0.1:1/0")
    named = running_cluster(settings, "redis://elsewhere/0")
    assert named is not None
    assert named.kind == "configured", "a named broker wins"


@pytest.mark.usefixtures("answering")
def test_the_state_of_a_dead_process_is_removed_with_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_state(state(DEAD))
    assert find_local() is None
    assert not state_file().exists()
    assert "the cluster it names is gone" in caplog.text


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"url": 1}'])
def test_an_odd_state_is_removed(content: str) -> None:
    state_file().write_text(content)
    assert find_local() is None
    assert not state_file().exists()


def test_a_silent_cluster_that_still_runs_keeps_its_state(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with only_cluster():
        write_state(state(os.getpid()))
        assert find_local() is None
        assert state_file().exists()
    assert "does not answer" in caplog.text


def test_a_second_cluster_is_told_of_the_first() -> None:
    second = (
        "from sigmax_tasks.local_state import only_cluster\n"
        "from sigmax_tasks.errors import ConfigurationError\n"
        "try:\n"
        "    with only_cluster(): print('alone')\n"
        "except ConfigurationError as error: print(error)\n"
    )

    def ask() -> str:
        run = subprocess.run(
            [sys.executable, "-c", second], capture_output=True, text=True, check=True
        )
        return run.stdout

    with only_cluster():
        assert f"a local cluster runs already (process {os.getpid()})" in ask()
    assert ask() == "alone\n"


def test_the_password_is_made_once_and_private() -> None:
    local_state.cluster_folder().mkdir()
    password = _password()
    assert len(password) >= 32
    assert _password() == password
    assert (local_state.cluster_folder() / "password").stat().st_mode & 0o077 == 0


def test_a_data_folder_that_cannot_be_used_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match="set XDG_DATA_HOME"), only_cluster():
        pass


def test_the_login_of_flower_is_given_or_made_up() -> None:
    assert flower_login({"SIGMAX_FLOWER_LOGIN": "me:secret:with:colons"}) == "me:secret:with:colons"
    assert flower_login({}) != flower_login({})
    for wrong in ("me", "me:", ":x", "me:a,you:b", "me:a b"):
        with pytest.raises(ConfigurationError, match="SIGMAX_FLOWER_LOGIN"):
            flower_login({"SIGMAX_FLOWER_LOGIN": wrong})


def test_overrides_reach_other_processes_by_the_environment() -> None:
    variables = override_variables(("logging.level=INFO", "task_execution.max_retries=3"))
    loaded = load_settings(environ=variables).settings
    assert loaded.runtime.logging.level == "INFO"
    assert loaded.planning.task_execution.max_retries == 3
    with pytest.raises(ConfigurationError, match="--config"):
        override_variables(("coin_ids.BTC=bitcoin",))
