"""Whole run records and event stories for the tests of what people see."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from sigmax_planner.catalog import Catalog
from sigmax_planner.models import AnalysisRequest, DataMode, ResearchPlan
from sigmax_planner.planner import create_plan
from sigmax_planner.policy import PlanningPolicy
from sigmax_tasks.models.decision import (
    Action,
    Analysis,
    Argument,
    Calibration,
    Case,
    Contribution,
    Cost,
    DebateRecord,
    Decision,
    Gap,
    Previous,
    RiskAssessment,
    RunRecord,
    Sizing,
    ValidationReport,
)
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.events import EventKind, ProgressEvent
from sigmax_tasks.models.observations import Missing
from sigmax_tasks.models.research import Finding, RunSummary, TaskDetail, TaskOutcome, TaskStatus

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AS_OF = datetime(2025, 3, 14, 12, 0, tzinfo=UTC)
RUN_ID = "20260301-120000-4f9c2a7b"
CONFIG = Path(__file__).resolve().parents[3] / "config"


def catalog() -> Catalog:
    """The shipped task catalogue."""
    content = yaml.safe_load((CONFIG / "tasks.yaml").read_text(encoding="utf-8"))
    sources = {name for entry in content["tasks"].values() for name in entry["data_sources"]}
    return Catalog.from_mapping(content, data_sources=sources)


def make_plan(symbol: str = "BTC/USDT", profile: str = "balanced") -> ResearchPlan:
    request = AnalysisRequest(symbol=symbol, risk_profile=profile)
    return create_plan(request, PlanningPolicy(), catalog(), START)


def make_decision(symbol: str = "BTC/USDT", **changes: Any) -> Decision:
    """A BUY with arguments on both sides, a gap, and everything filled in."""
    bull = (
        _argument("technical.trend", "EMA 20 is above EMA 50 and both rise: the trend is up", 0.31),
        _argument("sentiment.headlines", "Headlines of 24 h lean positive (42 of 61)", 0.22),
        _argument("patterns.twins", "19 of 30 similar windows rose within 72 h", 0.12),
    )
    bear = (
        _argument("macro.rates", "The 10 year yield rose by 0.22 points in 30 days", 0.17),
        _argument("onchain.flows", "Net inflow to exchanges is in its upper quartile", 0.09),
    )
    values: dict[str, Any] = {
        "symbol": symbol,
        "risk_profile": "balanced",
        "data_mode": DataMode.SIMULATED,
        "simulated": True,
        "as_of": AS_OF,
        "action": Action.BUY,
        "confidence": 0.62,
        "size_fraction": 0.084,
        "reference_price": 97_123.4,
        "stop_price": 94_010.0,
        "take_profit_price": 103_350.0,
        "horizon_hours": 72,
        "score": 0.34,
        "reasons": ("composite score +0.34 is above the threshold of 0.15", "the trend is up"),
        "would_change": ("a close below 94,010 USDT", "a composite score below 0.15"),
        "validation": make_validation(),
        "debate": DebateRecord(
            bull=Case(side="bull", arguments=bull, total=0.65),
            bear=Case(side="bear", arguments=bear, total=0.26),
            rounds=2,
            net=0.43,
            arithmetic="(0.65 - 0.26) / (0.65 + 0.26) = +0.43",
        ),
        "analysis": Analysis(
            score=0.34,
            confidence=0.62,
            confidence_cap=0.9,
            regime="trend",
            contributions=(
                Contribution(
                    task_id="technical", score=0.6, strength=0.8, weight=0.3, contribution=0.144
                ),
            ),
        ),
        "risk": RiskAssessment(
            reference_price=97_123.4,
            realised_volatility_annual=0.52,
            atr=1556.7,
            stop_distance_fraction=0.032,
            size_cap_fraction=0.15,
            warnings=("spread is twice its median",),
        ),
        "sizing": Sizing(
            size_fraction=0.084,
            kelly_fraction=0.11,
            volatility_target_fraction=0.084,
            steps=("Kelly 0.22 halved: 0.11", "volatility target 0.084 is the smaller"),
        ),
        "decision_hash": "ab" * 32,
    }
    return Decision(**{**values, **changes})


def make_validation(**changes: Any) -> ValidationReport:
    values: dict[str, Any] = {
        "score": 0.87,
        "threshold": 0.7,
        "passed": True,
        "completeness": 1.0,
        "quality": 0.81,
        "freshness": 0.93,
        "coverage": 0.64,
        "sources_seen": ("news", "price_data", "macro_data", "onchain"),
        "gaps": (Gap(task_id="sentiment", source="social", reason="no provider answered (403)"),),
    }
    return ValidationReport(**{**values, **changes})


def make_record(
    symbol: str = "BTC/USDT", run_id: str = RUN_ID, **decision_changes: Any
) -> RunRecord:
    plan = make_plan(symbol)
    details = tuple(
        TaskDetail(
            task_id=task.task_id,
            status=TaskStatus.COMPLETED,
            attempts=1,
            duration_seconds=1.5,
            cost_usd=Decimal("0.0012"),
            worker="host-1:4242",
            providers=("kraken", "alternative_me"),
            missing=(Missing(source="social", need="texts", reason="no provider answered (403)"),)
            if task.task_id == "sentiment"
            else (),
        )
        for task in plan.tasks
    )
    return RunRecord(
        run_id=run_id,
        created_at=START,
        finished_at=START + timedelta(seconds=4.2),
        finished_by="finalize_run",
        decision=make_decision(symbol, **decision_changes),
        plan=plan,
        research=RunSummary(
            total_tasks=len(details),
            completed=len(details),
            failed=0,
            skipped=0,
            success_rate=1.0,
            duration_seconds=4.2,
            sequential_seconds=9.0,
            speedup=2.14,
            tasks=details,
        ),
        cost=Cost(estimated_usd=plan.estimated_cost, actual_usd=Decimal("0.0072")),
        settings_hash="cd" * 32,
        versions={"sigmax-tasks": "0.1.0", "celery": "5.7.0"},
    )


def with_history(record: RunRecord) -> RunRecord:
    """The record with an earlier SELL and a track record of 57 outcomes."""
    previous = Previous(
        run_id="20260215-120000-0badc0de",
        as_of=AS_OF - timedelta(days=14),
        action=Action.SELL,
        confidence=0.41,
        score=-0.12,
        changes=("action SELL to BUY",),
    )
    calibration = Calibration(
        n=57,
        hit_rate=0.6,
        brier=0.231,
        hit_rate_at_this_confidence=0.67,
        n_at_this_confidence=18,
    )
    return record.model_copy(update={"previous": previous, "calibration": calibration})


def make_dossier(record: RunRecord, *, seed: int | None = 7) -> Dossier:
    """The record with a finding for ``macro`` and a failure of ``technical``."""
    finding = Finding(
        task_id="macro",
        symbol=record.decision.symbol,
        as_of=AS_OF,
        score=-0.4,
        strength=0.8,
        summary="Macro: risk-off",
    )
    times = {"started_at": START, "finished_at": START, "duration_seconds": 0.0}
    return Dossier(
        request=AnalysisRequest(
            symbol=record.decision.symbol, risk_profile="balanced", seed=seed, as_of=AS_OF
        ),
        settings="{}",
        record=record,
        outcomes=(
            TaskOutcome(task_id="macro", status=TaskStatus.COMPLETED, finding=finding, **times),
            TaskOutcome(task_id="technical", status=TaskStatus.FAILED, reason="no data", **times),
        ),
        observations={},
    )


def make_event(kind: EventKind, number: int, **facts: Any) -> ProgressEvent:
    """Event ``number`` of a run, that many seconds after its start."""
    values: dict[str, Any] = {
        "run_id": RUN_ID,
        "kind": kind,
        "at": START + timedelta(seconds=number),
        "event_id": f"{1000 + number}-0",
    }
    return ProgressEvent(**{**values, **facts})


def story(plan: ResearchPlan, run_id: str = RUN_ID) -> list[ProgressEvent]:
    """All events of a run in which every task succeeds."""
    events: list[ProgressEvent] = []

    def tell(kind: EventKind, **facts: Any) -> None:
        events.append(make_event(kind, len(events), run_id=run_id, **facts))

    tell(EventKind.RUN_STARTED, detail=plan.summary)
    for index, batch in enumerate(plan.execution_order):
        tell(EventKind.BATCH_STARTED, batch_index=index, detail=", ".join(batch))
        for task_id in batch:
            tell(EventKind.TASK_STARTED, task_id=task_id, attempt=1, worker="host-1:4242")
        for task_id in batch:
            tell(EventKind.TASK_FINISHED, **finished(task_id))
    tell(EventKind.RUN_FINALIZING)
    tell(EventKind.RUN_FINISHED)
    return events


def finished(task_id: str, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "task_id": task_id,
        "status": "completed",
        "attempt": 1,
        "seconds": 1.5,
        "cost_usd": Decimal("0.0012"),
        "providers": ("kraken",),
    }
    return {**values, **changes}


def task_ids(plan: ResearchPlan) -> Iterable[str]:
    return (task_id for batch in plan.execution_order for task_id in batch)


def _argument(evidence_id: str, claim: str, weight: float) -> Argument:
    return Argument(
        evidence_id=evidence_id,
        task_id=evidence_id.partition(".")[0],
        claim=claim,
        weight=weight,
        rebuttals=("older than a day",) if weight < 0.1 else (),
    )
