"""Work handed over to a standby gives what it gives without one, and ends with its caller."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigmax_tasks.cli import handover, standby
from tests.processes import Processes, processes, wait_until

PROBE = """
import sys
from sigmax_tasks.cli.handover import submit_main
try:
    submit_main()
finally:
    print("alone" if "click" in sys.modules else "handed over", file=sys.stderr)
"""
PLAN = ("BTC/USDT", "--json", "--set", "debug.dry_run=true")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with a standby that answers."""
    folder = tmp_path_factory.mktemp("h")
    path = folder / "sigmax" / "cluster" / handover.SOCKET_NAME
    path.parent.mkdir(parents=True)
    with processes() as started:
        start_standby(started, path)
        yield folder


def start_standby(started: Processes, path: Path) -> subprocess.Popen[bytes]:
    process = started.start(sys.executable, "-m", "sigmax_tasks.cli.standby", str(path))
    wait_until(path.exists, 30, "the standby")
    return process


def submit(
    home: Path, *arguments: str, cwd: Path | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd or home,
        env={**os.environ, "XDG_DATA_HOME": str(home), **environ},
        check=False,
        timeout=60,
    )


def test_the_output_and_the_exit_code_are_those_of_working_alone(
    home: Path, tmp_path: Path
) -> None:
    for arguments in (PLAN, ("BTC", "--data", "simulated")):
        here, alone = submit(home, *arguments), submit(tmp_path, *arguments)
        assert here.stderr.splitlines()[-1] == "handed over"
        assert alone.stderr.splitlines()[-1] == "alone"
        assert here.returncode == alone.returncode
        assert here.stderr.splitlines()[:-1] == alone.stderr.splitlines()[:-1]
        assert len(here.stdout) == len(alone.stdout)
    assert json.loads(submit(home, *PLAN).stdout)["symbol"] == "BTC/USDT"


def test_a_copy_works_in_the_folder_and_the_environment_of_its_caller(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "planning.yaml").write_text("default_profile: conservative\n")
    (tmp_path / "list").write_text("ETH/USDT\n")
    done = submit(home, *PLAN, "--watchlist", "list", cwd=tmp_path)
    assert "handed over" in done.stderr
    plans = [json.loads(line) for line in done.stdout.splitlines()]
    assert {plan["symbol"] for plan in plans} == {"BTC/USDT", "ETH/USDT"}
    assert {plan["risk_profile"] for plan in plans} == {"conservative"}
    done = submit(home, *PLAN, cwd=tmp_path, SIGMAX_DEFAULT_PROFILE__X="1")
    assert "SIGMAX_DEFAULT_PROFILE__X" in done.stderr
    latin = submit(home, "BTC/USDT", "--watchlist", "caf\u00e9", PYTHONIOENCODING="ascii")
    assert "handed over" in latin.stderr
    assert "caf" in latin.stderr


@contextlib.contextmanager
def waiting(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """A caller whose copy waits for a broker that says nothing, and that broker's end."""
    with socket.create_server(("127.0.0.1", 0)) as broker:
        broker.settimeout(30)
        address = f"redis://127.0.0.1:{broker.getsockname()[1]}/0"
        caller = subprocess.Popen(
            [sys.executable, "-c", PROBE, "BTC/USDT", "--broker", address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "XDG_DATA_HOME": str(home)},
        )
        try:
            link, _ = broker.accept()
            with link:
                link.settimeout(30)
                assert link.recv(1)
                yield caller, link
        finally:
            caller.kill()
            caller.wait()


def await_end(link: socket.socket) -> None:
    """Return when the copy at the other end is gone."""
    with contextlib.suppress(ConnectionError):
        while link.recv(1000):
            continue


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_to_the_caller_reaches_the_copy(
    home: Path, number: signal.Signals, code: int
) -> None:
    with waiting(home) as (caller, link):
        caller.send_signal(number)
        assert caller.wait(timeout=30) == code
        await_end(link)


def test_a_copy_does_not_outlive_a_caller_that_was_killed(home: Path) -> None:
    with waiting(home) as (caller, link):
        caller.kill()
        await_end(link)


def test_a_copy_outlives_the_standby_which_leaves_no_socket(tmp_path: Path) -> None:
    path = tmp_path / "sigmax" / "cluster" / handover.SOCKET_NAME
    path.parent.mkdir(parents=True)
    with processes() as started:
        process = start_standby(started, path)
        with waiting(tmp_path) as (caller, link):
            os.killpg(process.pid, signal.SIGTERM)
            assert process.wait(timeout=30) == 0
            assert not path.exists()
            caller.send_signal(signal.SIGTERM)  # which a copy that is gone would not answer
            assert caller.wait(timeout=30) == 143
            await_end(link)


def test_a_socket_that_nobody_listens_on_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "sigmax" / "cluster" / handover.SOCKET_NAME
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    done = submit(tmp_path, *PLAN)
    assert done.returncode == 0
    assert "alone" in done.stderr


def test_the_socket_is_its_users_alone(home: Path) -> None:
    path = home / "sigmax" / "cluster" / handover.SOCKET_NAME
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_caller_of_another_program_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    monkeypatch.setattr(handover.sys, "version", "2.7")
    assert handover.hand_over(list(PLAN)) is None


def test_what_is_no_request_harms_nobody(home: Path) -> None:
    path = str(home / "sigmax" / "cluster" / handover.SOCKET_NAME)
    for content in (b"", b"\xff\xff\xff\xff{}", b"\x00\x00\x00\x02[]", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(path)
            with contextlib.suppress(OSError):
                socket.send_fds(link, [content], [0, 1, 2])
                link.shutdown(socket.SHUT_WR)
                assert link.recv(100) == b""
    assert "handed over" in submit(home, *PLAN).stderr


def test_a_changed_file_is_another_state_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner").mkdir()
    module = tmp_path / "inner" / "a.py"
    module.write_text("")
    for name in ("sigmax_planner", "sigmax_tasks"):
        monkeypatch.setattr(sys.modules[name], "__path__", [str(tmp_path)])
    first = standby.state_of_files()
    assert first == standby.state_of_files()
    os.utime(module, ns=(0, module.stat().st_mtime_ns + 1))
    second = standby.state_of_files()
    (tmp_path / "b.py").write_text("")
    assert len({first, second, standby.state_of_files()}) == 3


def test_a_caller_without_an_open_file_works_by_itself(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    monkeypatch.setattr(handover.sys, "stdin", None)
    assert handover.hand_over(list(PLAN)) is None


@pytest.mark.parametrize("arguments", [[], ["--help"], ["BTC/USDT", "-h"], ["--version"]])
def test_what_needs_no_cluster_is_not_handed_over(
    home: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    assert handover.hand_over(arguments) is None
