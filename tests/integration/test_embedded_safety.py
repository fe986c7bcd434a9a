"""What goes wrong around a submission, and that it costs one clear sentence and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests.processes import wait_until
from tests.switches import clean_environ

from .conftest import Pool
from .test_main_job import SIGMAX, SUBMIT, nothing_left, run_cli

pytestmark = pytest.mark.integration
QUICK = (
    *("--set", "debug.simulate_execution=true"),
    *("--set", "engine.simulated_time_scale=0.001"),
)


def start(*arguments: str, home: Path) -> subprocess.Popen[str]:
    environ = clean_environ()
    return subprocess.Popen(
        [str(SUBMIT), *arguments, "--data", "simulated", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environ, "XDG_DATA_HOME": str(home), "TMPDIR": str(home), "NO_COLOR": "1"},
        cwd=home,
    )


def error_line(stderr: str) -> str:
    assert "Traceback" not in stderr, stderr
    (line,) = [line for line in stderr.splitlines() if "error:" in line]
    return line


def test_two_submissions_at_once_do_not_meet(tmp_path: Path) -> None:
    both = [start(symbol, *QUICK, home=tmp_path) for symbol in ("BTC/USDT", "ETH/USDT")]
    said = [process.communicate(timeout=90) for process in both]
    decisions = [json.loads(out) for out, _ in said]
    assert [d["symbol"] for d in decisions] == ["BTC/USDT", "ETH/USDT"], said
    assert all(d["research"]["completed"] == 6 for d in decisions)
    assert nothing_left(tmp_path)
    listed = run_cli("history", "--json", home=tmp_path, program=SIGMAX).stdout.splitlines()
    assert {json.loads(line)["run_id"] for line in listed} == {d["run_id"] for d in decisions}


def test_a_state_file_of_a_cluster_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "sigmax"
    folder.mkdir()
    state = {
        "url": "redis://:gone@127.0.0.1:1/0",
        "pid": 2**22 - 1,
        "services": {},
        "flower_url": None,
        "started_at": "2025-03-14T12:00:00Z",
        "version": "0.0.1",
    }
    (folder / "cluster.json").write_text(json.dumps(state))
    done = run_cli("BTC/USDT", "--data", "simulated", "--json", *QUICK, home=tmp_path)
    assert json.loads(done.stdout)["research"]["completed"] == 6, done.stderr
    assert "the cluster it names is gone" in done.stderr
    assert not (folder / "cluster.json").exists()


def test_a_data_folder_that_cannot_be_written_is_said_before_anything_starts(
    tmp_path: Path,
) -> None:
    (tmp_path / "sigmax").write_text("a file where the folder should be")
    done = run_cli("BTC/USDT", "--data", "simulated", *QUICK, home=tmp_path)
    assert done.returncode == 2
    assert "XDG_DATA_HOME" in error_line(done.stderr) or "data folder" in done.stderr
    assert nothing_left(tmp_path)


def test_a_port_that_is_taken_is_named(make_pool: Callable[[], Pool], tmp_path: Path) -> None:
    port = make_pool().url.rpartition(":")[2].partition("/")[0]
    home = tmp_path / "home"
    home.mkdir()
    done = run_cli("up", "--port", port, "--no-flower", home=home, program=SIGMAX)
    assert done.returncode == 2
    assert port in error_line(done.stderr)
    assert nothing_left(home)


def test_a_run_that_redis_lost_ends_with_code_4(
    make_pool: Callable[[], Pool], tmp_path: Path
) -> None:
    """Redis forgets everything, as after a restart without persistence."""
    pool = make_pool()
    pool.start_worker("one")
    pool.wait_for_workers(1)
    process = start(
        *("BTC/USDT", "--broker", pool.url, "--deadline", "60"),
        *("--set", "debug.simulate_execution=true"),
        home=tmp_path,
    )
    client = redis.Redis.from_url(pool.url, decode_responses=True)
    wait_until(
        lambda: any(each["cmd"] == "xread" for each in client.client_list()), 60, "a submitter"
    )
    client.flushall()
    _, stderr = process.communicate(timeout=60)
    client.close()
    assert process.returncode == 4, stderr
    assert "was lost" in error_line(stderr)


def can_unshare() -> bool:
    program = shutil.which("unshare")
    if program is None:
        return False
    tried = subprocess.run([program, "-rm", "true"], capture_output=True, check=False)
    return tried.returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="needs a mount namespace of its own")
def test_a_full_disk_costs_no_decision(tmp_path: Path) -> None:
    """The data folder is on a disk without room: the decision is printed, and what is not kept."""
    home = tmp_path / "home"
    home.mkdir()
    script = (
        'mount -t tmpfs -o size=64k full "$XDG_DATA_HOME" && mkdir "$XDG_DATA_HOME/sigmax" && '
        'cat /dev/zero > "$XDG_DATA_HOME/fill" 2>/dev/null; exec "$@"'
    )
    done = subprocess.run(
        [
            *("unshare", "-rm", "sh", "-c", script, "sh"),
            *(str(SUBMIT), "BTC/USDT", "--data", "simulated", "--json"),
        ],
        env={**os.environ, "XDG_DATA_HOME": str(home), "TMPDIR": str(tmp_path), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        cwd=tmp_path,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert json.loads(done.stdout)["research"]["total_tasks"] == 6, done.stderr
    assert "No space left" in done.stderr
    assert nothing_left(tmp_path)
