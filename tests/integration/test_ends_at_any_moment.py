"""A command that gets a signal just after it started a process, kill -9 included.

Between the start of a process and the moment somebody knows of it nobody could stop it, so each
start is met here, one after the other.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest

from tests.switches import clean_environ

from .test_main_job import children_of_ours, nothing_left

pytestmark = pytest.mark.integration
PROGRAM = """
import os, signal, subprocess, sys
number, name, entry, *arguments = sys.argv[1:]
real, starts = subprocess._fork_exec, 0

def start(*given):
    global starts
    pid = real(*given)
    starts += 1
    if starts == int(number):
        os.kill(os.getpid(), getattr(signal, name))
    return pid

subprocess._fork_exec = start
module, _, function = entry.partition(":")
sys.argv = ["sigmax", *arguments]
getattr(__import__(module, fromlist=[function]), function)()
"""
SUBMISSION = (
    *("sigmax_tasks.cli.handover:submit_main", "BTC/USDT", "--data", "simulated"),
    *("--set", "debug.simulate_execution=true"),
)
UP = (
    *("sigmax_tasks.cli.main:main", "up", "--workers", "1", "--port", "0"),
    *("--no-beat", "--no-flower", "--no-metrics", "--no-standby"),
)
STARTS = 3
"""Of processes, by each of the two commands."""
STOPPED = {"SIGINT": 130, "SIGTERM": 143, "SIGKILL": -signal.SIGKILL}
STOPPED_UP = {"SIGINT": 0, "SIGTERM": 0, "SIGKILL": -signal.SIGKILL}
"""A signal is how a cluster is stopped."""


def ended_at(number: int, name: str, code: int, command: Sequence[str], home: Path) -> str:
    """What is wrong after the command got that signal at that start of a process; empty if none."""
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(number), name, *command],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env={**clean_environ(), "XDG_DATA_HOME": str(home), "TMPDIR": str(home)},
    )
    where = f"{name} at start {number}"
    if done.returncode != code or "Traceback" in done.stderr:
        return f"{where}: code {done.returncode}, {done.stderr}"
    if not nothing_left(home):
        left = children_of_ours(home), sorted(map(str, home.glob("sigmax-*")))
        return f"{where}: left {left}"
    return ""


@pytest.mark.parametrize(
    ("command", "codes"), [(SUBMISSION, STOPPED), (UP, STOPPED_UP)], ids=["submission", "up"]
)
def test_nothing_is_left_by_a_start_that_was_cut_off(
    command: Sequence[str], codes: Mapping[str, int], tmp_path: Path
) -> None:
    cases = list(product(range(1, STARTS + 1), codes.items()))
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        wrong = threads.map(
            lambda case: ended_at(case[0], *case[1], command, tmp_path / f"{case[1][0]}-{case[0]}"),
            cases,
        )
        assert [text for text in wrong if text] == []
