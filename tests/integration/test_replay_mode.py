"""Real recordings, a clock that stands at as-of, and nothing from behind it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.observations import (
    Candles,
    FearGreed,
    FundingRates,
    Series,
    Texts,
    Trades,
)

from .test_main_job import run_cli

pytestmark = pytest.mark.integration
AS_OF_MS = 1_731_628_800_000  # 2024-11-15 00:00 UTC
VOLATILE = {
    *("run_id", "created_at", "duration_seconds", "sequential_seconds", "speedup"),
    *("worker", "started_at", "finished_at"),
}


def without_ids_and_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_ids_and_times(v) for k, v in value.items() if k not in VOLATILE}
    if isinstance(value, list):
        return [without_ids_and_times(item) for item in value]
    return value


def replay(home: Path, data: Path, *symbols: str) -> list[dict[str, Any]]:
    done = run_cli(
        *symbols,
        *("--data", "replay", "--replay-dir", str(data), "--as-of", "2024-11-15"),
        *("--profile", "conservative", "--json"),
        home=home,
    )
    assert done.returncode == 3, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def times_ms(payload: object) -> list[int]:
    """The moments a payload speaks of; a candle counts by its close."""
    if isinstance(payload, Candles):
        seconds = {"1h": 3600, "4h": 14400, "1d": 86400}[payload.timeframe]
        return [row[0] + seconds * 1000 for row in payload.rows]
    if isinstance(payload, FearGreed | FundingRates | Series | Trades):
        return [row[0] for row in payload.rows]
    if isinstance(payload, Texts):
        return [int(item.published_at.timestamp() * 1000) for item in payload.items]
    return []


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay")


@pytest.fixture(scope="module")
def decisions(home: Path, shared_data: Path) -> list[dict[str, Any]]:
    return replay(home, shared_data, "BTC/USDT", "ETH/USDT")


def test_a_replay_computes_from_real_data_and_says_what_is_missing(
    home: Path, shared_data: Path, decisions: list[dict[str, Any]]
) -> None:
    bitcoin, ether = decisions
    states = {task["task_id"]: task["status"] for task in bitcoin["research"]["tasks"]}
    for task_id in ("technical", "patterns", "correlation", "macro", "sentiment", "onchain"):
        assert states[task_id] == "completed", states
    assert states["keywords"] == "failed", "no headlines are recorded"
    missing = {(gap["task_id"], gap["source"]) for gap in bitcoin["validation"]["gaps"]}
    assert {("sentiment", "news"), ("sentiment", "social"), ("onchain", "coingecko")} <= missing
    assert bitcoin["reference_price"] == 87325.59, "close of the 4h candle of 2024-11-14 20:00"
    assert ether["symbol"] == "ETH/USDT"
    assert ether["reference_price"] < 4000, "not mixed with the first symbol"
    again = replay(home, shared_data, "BTC/USDT", "ETH/USDT")
    assert without_ids_and_times(again) == without_ids_and_times([bitcoin, ether])


def test_nothing_behind_as_of_is_ever_seen(home: Path, decisions: list[dict[str, Any]]) -> None:
    line = decisions[0]
    path = home / "sigmax" / "runs" / f"{line['run_id']}.dossier.gz"
    dossier = Dossier.model_validate_json(gzip.decompress(path.read_bytes()))
    payloads = [o.data for given in dossier.observations.values() for o in given]
    assert len(payloads) > 10
    seen = [moment for payload in payloads for moment in times_ms(payload)]
    assert seen
    assert max(seen) <= AS_OF_MS
    lineages = [item for o in dossier.outcomes if o.finding for item in o.finding.lineage]
    assert all(item.observed_at.timestamp() * 1000 <= AS_OF_MS for item in lineages)
    assert not any(item.simulated for item in lineages)
