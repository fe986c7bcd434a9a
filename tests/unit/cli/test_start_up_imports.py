"""What a command imports before it does its work; heavy libraries belong to the workers."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sigmax_tasks.cli.early import worker_is_likely
from sigmax_tasks.embedded_worker import LIBRARIES
from sigmax_tasks.places import STATE_NAME
from sigmax_tasks.private_worker import PrivateWorker
from tests.processes import free_port, processes, redis_url

SHARING = {"sklearn", "scipy"}
"""What shares out the equity, which takes several symbols."""
HEAVY = {
    "celery", "kombu", "ccxt", "numpy", "talib", "yake", "vaderSentiment", "flower", *SHARING
}  # fmt: skip
PROBE = """
import json, sys
from sigmax_tasks.cli.main import main, submit_main
sys.argv = {arguments!r}
try:
    {entry}()
except SystemExit as end:
    if end.code:
        raise
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def modules_after(tmp_path: Path, entry: str, *arguments: str) -> set[str]:
    probe = PROBE.format(arguments=["sigmax", *arguments], entry=entry)
    ended = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path)},
        check=True,
        timeout=60,
    )
    return set(json.loads(ended.stderr.splitlines()[-1]))


def test_a_plan_is_made_without_the_libraries_of_the_workers(tmp_path: Path) -> None:
    assert not modules_after(tmp_path, "main", "plan", "BTC/USDT") & HEAVY


def test_what_shares_out_is_loaded_for_several_symbols_only() -> None:
    probe = (
        "import json, sys, sigmax_tasks.cli.submit_flow\n"
        "before = sorted(sys.modules)\n"
        "from sigmax_tasks.cli.allocation import prepare_allocation\n"
        "prepare_allocation()\n"
        "print(json.dumps([before, sorted(sys.modules)]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60
    )
    before, after = map(set, json.loads(ended.stdout.splitlines()[-1]))
    assert not before & {*SHARING, "numpy"}
    assert after >= SHARING


def test_a_submission_to_a_running_cluster_imports_no_libraries_of_the_workers(
    tmp_path: Path,
) -> None:
    with processes() as started:
        port = free_port()
        started.start_redis(port, tmp_path)
        options = ("--no-wait", "--broker", redis_url(port), "--set", "engine.lean_chords=true")
        loaded = modules_after(tmp_path, "main", "submit", "BTC/USDT", *options)
    assert "sigmax_tasks.client" in loaded
    assert not loaded & {*HEAVY, "jinja2", "sigmax_tasks.simulator"}


def test_the_embedded_worker_does_not_import_the_plugins_of_the_celery_command() -> None:
    """They would cost a decision that starts its own worker about a tenth of a second."""
    probe = (
        "import json, sys, sigmax_tasks.embedded_worker as started; started.prepare();"
        "early = set(sys.modules); import sigmax_tasks.celery as made;"
        "made.app.loader.import_default_modules(); made.app.Worker;"
        "print(json.dumps([sorted(early), sorted(sys.modules)]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60
    )
    early, loaded = map(set, json.loads(ended.stdout.splitlines()[-1]))
    assert not loaded & {"flower", "prompt_toolkit", "celery.bin.celery", "ccxt", "numpy", "talib"}
    assert not loaded & SHARING
    assert "sigmax_tasks.celery" not in early  # it takes the broker from the orders
    assert not loaded & {"sigmax_tasks.simulator", "sigmax_tasks.evaluation.walk"}


def test_the_embedded_worker_finds_all_that_it_imports_early() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)


def test_a_worker_that_is_told_nothing_ends_with_whoever_started_it() -> None:
    worker = PrivateWorker()
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    assert worker.process.wait(timeout=30) == 0


def test_a_worker_that_is_not_needed_is_ended() -> None:
    worker = PrivateWorker()
    worker.discard()
    assert worker.process.returncode is not None
    worker.discard()


SUBMITTED: dict[str, Any] = {
    "symbols": ("BTC/USDT",), "watchlist": None, "broker": None, "no_wait": False,
    "overrides": (), "config_dir": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "environ", "expected"),
    [
        ({}, {}, True),
        ({"overrides": ("task_execution.max_retries=1",)}, {}, True),
        ({"symbols": ()}, {}, False),
        ({"broker": "redis://127.0.0.1:1/0"}, {}, False),
        ({"no_wait": True}, {}, False),
        ({"overrides": ("broker.url=redis://127.0.0.1:1/0",)}, {}, False),
        ({"config_dir": "not-there"}, {}, False),
        ({}, {"SIGMAX_BROKER_URL": "redis://127.0.0.1:1/0"}, False),
        ({}, {"SIGMAX_BROKER__URL": "redis://127.0.0.1:1/0"}, False),
    ],
)
def test_a_worker_is_started_early_where_no_cluster_is_in_sight(
    options: dict[str, Any],
    environ: dict[str, str],
    expected: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"XDG_DATA_HOME": str(tmp_path), **environ}
    assert worker_is_likely({**SUBMITTED, **options}, environ) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("broker:\n  url: null\n", True),
        ("broker:\n  # none\n  url:  # none either\nworker:\n  url: x\n", True),
        ("worker:\n  pool: threads\n", True),
        ("broker:\n\n  url: redis://127.0.0.1:1/0\n", False),
        ("'broker':\n  'url': redis://127.0.0.1:1/0\n", False),
        ("broker: {url: redis://127.0.0.1:1/0}\n", False),
    ],
)
def test_no_worker_is_started_early_where_the_configuration_names_a_broker(
    text: str, expected: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "runtime.yaml").write_text(text)
    options = {**SUBMITTED, "config_dir": str(folder)}
    assert worker_is_likely(options, {"XDG_DATA_HOME": str(tmp_path)}) is expected


def test_no_worker_is_started_early_beside_the_cluster_of_sigmax_up(tmp_path: Path) -> None:
    (tmp_path / "sigmax").mkdir()
    (tmp_path / "sigmax" / STATE_NAME).write_text("{}")
    assert not worker_is_likely(SUBMITTED, {"XDG_DATA_HOME": str(tmp_path)})
