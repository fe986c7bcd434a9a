"""The JSON of a decision is an interface: keys, types, one line."""

from __future__ import annotations

import json

from sigmax_tasks.models.allocation import Allocation, AllocationShare
from sigmax_tasks.models.decision import Argument, Case, DebateRecord, RunRecord
from sigmax_tasks.report.json_line import decision_line, dump_line, record_line
from tests.unit.report.builders import RUN_ID, make_record, with_history

KEYS = [
    "run_id", "symbol", "risk_profile", "data_mode", "simulated", "as_of", "action", "confidence",
    "size_fraction", "reference_price", "stop_price", "take_profit_price", "horizon_hours",
    "score", "reasons", "vetoes", "would_change", "validation", "debate", "risk", "research",
    "cost", "plan", "decision_hash",
    "created_at", "previous", "calibration",
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
    assert list(line["cost"]) == [
        "estimated_usd", "actual_usd", "limit_usd", "day_spent_usd", "day_limit_usd", "llm_usd"
    ]  # fmt: skip
    assert line["plan"].keys() >= PLAN_KEYS


def test_history_is_null_without_any_and_whole_with_some() -> None:
    line = decision_line(make_record())
    assert line["previous"] is line["calibration"] is None
    told = decision_line(with_history(make_record()))
    assert told["previous"] == {
        "run_id": "20260215-120000-0badc0de",
        "as_of": "2025-02-28T12:00:00Z",
        "action": "SELL",
        "confidence": 0.41,
        "score": -0.12,
        "changes": ["action SELL to BUY"],
    }
    assert told["calibration"] == {
        "n": 57,
        "hit_rate": 0.6,
        "brier": 0.231,
        "hit_rate_at_this_confidence": 0.67,
        "n_at_this_confidence": 18,
    }
    assert told["decision_hash"] == line["decision_hash"]


def test_an_allocation_is_there_only_where_several_were_asked() -> None:
    share = AllocationShare(symbol="BTC/USDT", fraction=0.04, of_total=0.5)
    allocation = Allocation(shares=(share,), total_fraction=0.08)
    line = decision_line(make_record(), allocation)
    assert list(line) == [*KEYS, "allocation"]
    assert line["allocation"] == {"fraction": 0.04, "of_total": 0.5}


def test_money_is_a_number_and_time_ends_in_z() -> None:
    line = json.loads(dump_line(decision_line(make_record())))
    assert line["cost"] == {
        "estimated_usd": 0.19,
        "actual_usd": 0.0072,
        "limit_usd": None,
        "day_spent_usd": None,
        "day_limit_usd": None,
        "llm_usd": 0.0,
    }
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
