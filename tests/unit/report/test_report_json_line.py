"""The JSON of a decision is an interface: keys, types, one line."""

from __future__ import annotations

import json

from sigmax_tasks.models.decision import Argument, Case, DebateRecord, RunRecord
from sigmax_tasks.report.json_line import decision_line, dump_line, record_line
from tests.unit.report.builders import RUN_ID, make_record

KEYS = [
    "run_id", "symbol", "risk_profile", "data_mode", "simulated", "as_of", "action", "confidence",
    "size_fraction", "reference_price", "stop_price", "take_profit_price", "horizon_hours",
    "score", "reasons", "vetoes", "would_change", "validation", "debate", "risk", "research",
    "cost", "plan", "decision_hash",
    "created_at",
]  # fmt: skip
PLAN_KEYS = {
    "symbol", "risk_profile", "tasks", "execution_order", "task_count", "critical_tasks",
    "estimated_cost", "estimated_time_sequential", "estimated_time_parallel", "critical_path",
    "speedup", "omitted", "summary", "created_at",
}  # fmt: skip


def test_the_keys_are_those_of_the_interface() -> None:
    line = decision_line(make_record())
    assert list(line) == KEYS
    assert {
        "score", "passed", "completeness", "quality", "freshness", "coverage", "gaps"
    } <= line["validation"].keys()  # fmt: skip
    assert {"bull", "bear", "net"} <= line["debate"].keys()
    assert "vetoes" in line["risk"]
    assert {
        "total_tasks", "completed", "failed", "skipped", "success_rate", "duration_seconds",
        "sequential_seconds", "speedup", "tasks",
    } <= line["research"].keys()  # fmt: skip
    assert list(line["cost"]) == ["estimated_usd", "actual_usd", "limit_usd"]
    assert line["plan"].keys() >= PLAN_KEYS


def test_money_is_a_number_and_time_ends_in_z() -> None:
    line = json.loads(dump_line(decision_line(make_record())))
    assert line["cost"] == {"estimated_usd": 0.19, "actual_usd": 0.0072, "limit_usd": None}
    assert line["created_at"] == "2026-03-01T12:00:00Z"
    assert line["plan"]["estimated_cost"] == 0.19
    assert isinstance(line["confidence"], float)


def test_it_is_one_line_of_ascii_whatever_the_text() -> None:
    argument = Argument(
        evidence_id="sentiment.x", task_id="sentiment", claim="\x1b[2J\n\x7f\u202e\u2028!", weight=1
    )
    debate = DebateRecord(
        bull=Case(side="bull", arguments=(argument,), total=1),
        bear=Case(side="bear", arguments=(), total=0),
        rounds=0,
        net=1,
        arithmetic="1",
    )
    text = dump_line(decision_line(make_record(debate=debate)))
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text)["debate"]["bull"]["arguments"][0]["claim"] == argument.claim


def test_the_whole_record_survives_the_way_through_json() -> None:
    record = make_record()
    kept = json.loads(dump_line(record_line(record)))
    assert kept["run_id"] == RUN_ID
    for name in RunRecord.model_fields:
        assert name in kept
