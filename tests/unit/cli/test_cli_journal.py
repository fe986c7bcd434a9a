"""``sigmax journal``: listing, exporting, resolving and summing up, on the file and on a Redis."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks.journal import FileJournal, JournalQuery, default_file
from sigmax_tasks.models.decision import Action
from sigmax_tasks.models.journal import JournalEntry
from tests.unit.cli.conftest import Run, Script, error_line
from tests.unit.journal.builders import entry, outcome

MARKET_TIME = datetime(2025, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture
def journal() -> FileJournal:
    return FileJournal(default_file())


def simulated(number: int, **changes: Any) -> JournalEntry:
    values: dict[str, Any] = {
        "data_mode": DataMode.SIMULATED,
        "simulated": True,
        "seed": 7,
        "as_of": MARKET_TIME,
        "reference": 47_000.0,
        "stop": 1.0,
        "target": 1_000_000.0,
    }
    return entry(number, **{**values, **changes})


def test_an_empty_journal_says_where_it_looked(run_sigmax: Run) -> None:
    result = run_sigmax("journal")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert f"no decision in {default_file()}" in result.stderr


def test_the_list_has_one_row_per_decision_newest_first(
    run_sigmax: Run, journal: FileJournal
) -> None:
    journal.add(entry(1))
    journal.add(entry(2, symbol="ETH/USDT", action=Action.SELL))
    journal.settle({entry(1).run_id: outcome(False)})
    result = run_sigmax("journal")
    rows = [line.split() for line in result.stdout.splitlines()[1:]]
    assert rows == [
        [entry(2).run_id, "ETH/USDT", "live", "SELL", "0.60", "open"],
        [entry(1).run_id, "BTC/USDT", "live", "BUY", "0.60", "stop", "-5.0", "%"],
    ]
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_filters_and_limit(run_sigmax: Run, journal: FileJournal) -> None:
    for number, symbol in enumerate(("BTC/USDT", "ETH/USDT", "BTC/USDT")):
        journal.add(entry(number, symbol=symbol))
    journal.add(entry(4, profile="aggressive"))

    def listed(*arguments: str) -> list[int]:
        result = run_sigmax("journal", "--json", *arguments)
        return [int(json.loads(line)["run_id"][-8:]) for line in result.stdout.splitlines()]

    assert listed() == [4, 2, 1, 0]
    assert listed("--symbol", "btc/usdt", "--profile", "balanced") == [2, 0]
    assert listed("--limit", "1") == [4]
    assert listed("--data", "replay") == []


def test_json_holds_the_whole_entry(run_sigmax: Run, journal: FileJournal) -> None:
    journal.add(entry(1))
    journal.settle({entry(1).run_id: outcome(True)})
    line = json.loads(run_sigmax("journal", "--json").stdout)
    assert JournalEntry.model_validate(line) == entry(1, outcome=outcome(True))
    assert {
        "run_id", "symbol", "profile", "data_mode", "simulated", "as_of", "action", "confidence",
        "score", "size", "reference", "stop", "target", "horizon_hours", "decision_hash",
        "settings_hash", "outcome",
    } <= line.keys()  # fmt: skip
    assert {
        "resolved_at", "exit_price", "return_fraction", "hit", "correct"
    } <= line["outcome"].keys()  # fmt: skip


def test_csv_has_a_head_and_one_row_per_decision(run_sigmax: Run, journal: FileJournal) -> None:
    journal.add(entry(1))
    journal.add(entry(2))
    journal.settle({entry(1).run_id: outcome(True)})
    rows = list(csv.DictReader(io.StringIO(run_sigmax("journal", "--csv").stdout)))
    assert [row["run_id"] for row in rows] == [entry(2).run_id, entry(1).run_id]
    assert (rows[0]["hit"], rows[0]["seed"]) == ("", "")
    assert (rows[1]["hit"], rows[1]["return_fraction"]) == ("target", "0.1")


def test_a_broken_line_is_said(run_sigmax: Run, journal: FileJournal) -> None:
    journal.add(entry(1))
    with default_file().open("ab") as file:
        file.write(b'{"run_id": "2025')
    result = run_sigmax("journal", "--json")
    assert len(result.stdout.splitlines()) == 1
    assert "warning: line 2 of" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--json", "--csv"], "do not go together"),
        (["--limit", "0"], "--limit '0'"),
        (["--limit", "many"], "--limit 'many'"),
        (["--symbol", "bitcoin"], "bitcoin"),
        (["--json", "stats"], "options go behind the command"),
        (["resolve", "--replay-dir", "."], "--replay-dir does not go with --data live"),
        (["resolve", "--data", "replay"], "needs --replay-dir"),
        (["resolve", "--as-of", "2999-01-01"], "lies in the future"),
    ],
)
def test_mistakes_are_one_clear_line(run_sigmax: Run, arguments: list[str], words: str) -> None:
    result = run_sigmax("journal", *arguments)
    assert result.exit_code == 2
    assert words in error_line(result)


def test_outcomes_come_from_the_market_the_decision_was_made_in(
    run_sigmax: Run, journal: FileJournal
) -> None:
    journal.add(simulated(1, action=Action.HOLD))
    journal.add(simulated(2, seed=8))
    journal.add(simulated(3, symbol="NONE/USDT"))
    journal.add(simulated(4, reference=None))
    journal.add(entry(5, as_of=MARKET_TIME))
    result = run_sigmax("journal", "resolve", "--data", "simulated", "--json")
    assert result.exit_code == 0, result.stderr
    assert "2 decisions resolved" in result.stderr
    assert "1 decision still open: it has no reference price" in result.stderr
    assert "1 decision still open: no candles" in result.stderr
    lines = {json.loads(line)["run_id"]: json.loads(line) for line in result.stdout.splitlines()}
    assert lines.keys() == {entry(1).run_id, entry(2).run_id}
    held, bought = (lines[entry(number).run_id]["outcome"] for number in (1, 2))
    assert (held["hit"], held["correct"]) == ("horizon", None)
    assert (bought["hit"], bought["correct"]) == ("horizon", bought["return_fraction"] > 0)
    assert held["exit_price"] != bought["exit_price"], "another seed is another market"
    assert held["exit_at"] == "2025-03-10T16:00:00Z"
    kept = {e.run_id: e.outcome for e in journal.entries(JournalQuery())}
    assert kept[entry(5).run_id] is None, "a live decision is not resolved from a simulation"
    again = run_sigmax("journal", "resolve", "--data", "simulated")
    assert "0 decisions resolved" in again.stderr


def test_nothing_later_than_as_of_is_looked_at(run_sigmax: Run, journal: FileJournal) -> None:
    journal.add(simulated(1))
    early = (MARKET_TIME + timedelta(hours=3.9)).isoformat()
    result = run_sigmax("journal", "resolve", "--data", "simulated", "--as-of", early)
    assert "1 decision still open: its horizon has not passed" in result.stderr
    assert "0 decisions resolved" in result.stderr
    late = (MARKET_TIME + timedelta(hours=4)).isoformat()
    result = run_sigmax("journal", "resolve", "--data", "simulated", "--as-of", late)
    assert "1 decision resolved" in result.stderr


def test_statistics_by_kind_of_data_profile_and_horizon(
    run_sigmax: Run, journal: FileJournal
) -> None:
    for number in range(4):
        journal.add(entry(number))
        journal.settle({entry(number).run_id: outcome(number > 0)})
    journal.add(simulated(9))
    journal.settle({entry(9).run_id: outcome(False)})
    result = run_sigmax("journal", "stats")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "balanced horizon 4 h live data 4 decisions judged hit rate 75.0 %" in text
    # (3 x 0.4^2 + 0.6^2) / 4 and 0.75 x 0.25
    assert "Brier 0.210 (always saying the hit rate: 0.188)" in text
    assert "0.6 to 0.7 4 0.60 75.0 %" in text
    assert "SIMULATED DATA 1 decision judged hit rate 0.0 %" in text
    assert "fewer than 20" in text
    lines = [json.loads(x) for x in run_sigmax("journal", "stats", "--json").stdout.splitlines()]
    assert [(x["data_mode"], x["n"], x["hit_rate"]) for x in lines] == [
        ("live", 4, 0.75),
        ("simulated", 1, 0.0),
    ]


def test_a_configured_cluster_has_the_journal(
    run_sigmax: Run, script: Script, tmp_path: Path
) -> None:
    script.journal = FileJournal(tmp_path / "of-the-cluster.jsonl")
    script.journal.add(entry(3))
    result = run_sigmax("journal", "--json", "--broker", "redis://h")
    assert json.loads(result.stdout)["run_id"] == entry(3).run_id


def test_an_unreachable_cluster_is_no_empty_journal(run_sigmax: Run) -> None:
    result = run_sigmax("journal", "--broker", "redis://127.0.0.1:1/0")
    assert result.exit_code == 4
    assert "does not answer" in error_line(result)
