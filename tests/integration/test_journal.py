"""Two embedded runs: the second knows the first, and both are in the journal."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks.client import Client
from sigmax_tasks.journal import JournalQuery
from sigmax_tasks.simulator.server import SimulatorServer
from tests.switches import load_settings

from .conftest import Pool
from .test_main_job import SIGMAX, run_cli

pytestmark = pytest.mark.integration


def test_a_second_run_says_what_changed_and_the_journal_holds_both(tmp_path: Path) -> None:
    first = run_cli(
        *("BTC/USDT", "--data", "simulated", "--json", "--as-of", "2025-03-01"), home=tmp_path
    )
    assert first.returncode in {0, 3}, first.stderr
    before = json.loads(first.stdout)
    assert before["previous"] is before["calibration"] is None
    second = run_cli("BTC/USDT", "--data", "simulated", home=tmp_path)
    assert second.returncode in {0, 3}, second.stderr
    assert f"run {before['run_id']})" in " ".join(second.stdout.split())
    asked = (("show", "last", "--json"), ("journal", "--json"))
    with ThreadPoolExecutor(2) as threads:
        shown, listed = threads.map(
            lambda given: run_cli(*given, home=tmp_path, program=SIGMAX), asked
        )
    previous = json.loads(shown.stdout)["previous"]
    assert previous["run_id"] == before["run_id"]
    assert previous["action"] == before["action"]
    assert previous["changes"], "thirteen days lie between them"
    entries = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [entry["run_id"] for entry in entries][1] == before["run_id"]
    assert len(entries) == 2
    assert entries[1]["decision_hash"] == before["decision_hash"]
    assert len((tmp_path / "sigmax" / "journal.jsonl").read_text().splitlines()) == 2
    resolved = run_cli(
        *("journal", "resolve", "--data", "simulated", "--json"), home=tmp_path, program=SIGMAX
    )
    assert resolved.returncode == 0, resolved.stderr
    outcomes = {e["run_id"]: e["outcome"] for e in map(json.loads, resolved.stdout.splitlines())}
    assert outcomes.keys() == {entry["run_id"] for entry in entries}
    assert all(o["hit"] in {"target", "stop", "horizon"} for o in outcomes.values())


def test_a_cluster_keeps_the_journal_in_its_redis(
    shared_pool: Pool, simulator: SimulatorServer
) -> None:
    settings = load_settings(environ={}).settings
    client = Client(settings, shared_pool.url)
    run = client.submit(
        AnalysisRequest(
            symbol="BTC/USDT",
            risk_profile="balanced",
            data_mode=DataMode.SIMULATED,
            as_of=settings.runtime.simulator.as_of,
            seed=11,
            source_root=simulator.url,
        )
    )
    for _ in client.follow([run.run_id]):
        pass
    record = client.record(run.run_id)
    (entry,) = [e for e in client.journal.entries(JournalQuery()) if e.run_id == run.run_id]
    client.close()
    assert entry.seed == 11
    assert entry.decision_hash == record.decision.decision_hash
    raw = redis.Redis.from_url(shared_pool.url, decode_responses=True)
    assert raw.ttl("sigmax:journal") == -1
    raw.close()
