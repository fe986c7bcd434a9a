"""A run on real processes, its file, and the same decision from the file alone."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .test_main_job import SIGMAX, run_cli

pytestmark = pytest.mark.integration
NOWHERE = {"SIGMAX_BROKER_URL": "redis://127.0.0.1:1/0", "PYTHONHASHSEED": "7"}


def test_an_exported_run_is_decided_again_without_its_cluster(tmp_path: Path) -> None:
    done = run_cli(
        *("BTC/USDT", "--data", "simulated", "--json", "--export", "run.json"), home=tmp_path
    )
    assert done.returncode in {0, 3}, done.stderr
    again = run_cli("export", "last", home=tmp_path, program=SIGMAX)
    assert again.stdout == (tmp_path / "run.json").read_text()

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "run.json").rename(elsewhere / "run.json")
    replay = ("replay", "run.json", "--json")
    with ThreadPoolExecutor(2) as threads:
        plain, whole = threads.map(
            lambda given: run_cli(*given, home=elsewhere, program=SIGMAX, **NOWHERE),
            (replay, (*replay, "--from-observations")),
        )
    assert plain.returncode == done.returncode, plain.stderr
    assert plain.stdout == done.stdout, "the same line, hash and all"

    assert whole.returncode == done.returncode, whole.stderr
    facts = json.loads(whole.stdout)["replay"]
    assert facts["identical"] is True
    assert {entry["state"] for entry in facts["research"]} == {"identical"}
