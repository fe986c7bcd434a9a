"""Bundles for the tests of the decision chain: whole, fresh and bullish unless told otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sigmax_planner.models import (
    DataMode,
    ResearchPlan,
    ResearchTask,
    RiskProfile,
    TaskPriority,
)
from sigmax_tasks.models.observations import Lineage, Missing
from sigmax_tasks.models.policy import DecisionPolicy
from sigmax_tasks.models.research import (
    Evidence,
    Finding,
    Metric,
    ResearchBundle,
    TaskOutcome,
    TaskStatus,
)
from sigmax_tasks.stages.aggregate import aggregate

AS_OF = datetime(2026, 10, 8, 12, 0, tzinfo=UTC)
SYMBOL = "BTC/USDT"
SHIPPED = Path(__file__).resolve().parents[3] / "config" / "decision.yaml"

# task id -> priority, data sources: the shape of the shipped catalogue
TASKS: dict[str, tuple[TaskPriority, tuple[str, ...]]] = {
    "sentiment": (TaskPriority.CRITICAL, ("news", "social", "fear_greed")),
    "onchain": (TaskPriority.CRITICAL, ("onchain", "coingecko")),
    "technical": (TaskPriority.CRITICAL, ("price_data", "volume_data")),
    "macro": (TaskPriority.HIGH, ("macro_data", "fear_greed")),
    "liquidity": (TaskPriority.HIGH, ("orderbook", "volume_data")),
    "correlation": (TaskPriority.MEDIUM, ("price_data",)),
    "patterns": (TaskPriority.MEDIUM, ("historical_data",)),
    "keywords": (TaskPriority.LOW, ("news",)),
}
BALANCED = ("sentiment", "onchain", "technical", "macro", "patterns", "keywords")

KINDS: dict[str, tuple[str, str]] = {
    "news": ("texts", ""),
    "social": ("texts", ""),
    "fear_greed": ("fear_greed", ""),
    "onchain": ("series", "active_addresses"),
    "coingecko": ("measures", "coin_profile"),
    "price_data": ("candles", "4h"),
    "volume_data": ("candles", "1d"),
    "macro_data": ("series", "us10y"),
    "orderbook": ("order_book", ""),
    "historical_data": ("candles", "1d"),
}

RISK_METRICS: dict[str, tuple[str, float, str]] = {
    "last_close": ("price_data", 50_000.0, "quote currency"),
    "atr_14": ("price_data", 1_000.0, "quote currency"),
    "realised_volatility_annual": ("price_data", 0.5, "fraction a year"),
    "value_at_risk_95_1d": ("price_data", 0.04, "fraction of price"),
    "expected_shortfall_95_1d": ("price_data", 0.06, "fraction of price"),
}
LIQUIDITY_METRICS: dict[str, tuple[str, float, str]] = {
    "mid_price": ("orderbook", 50_050.0, "quote currency"),
    "slippage_buy_50k": ("orderbook", 0.0005, "fraction of price"),
    "slippage_sell_50k": ("orderbook", 0.0004, "fraction of price"),
}
CORRELATION_METRICS: dict[str, tuple[str, float, str]] = {
    "correlation_btc_90d": ("price_data", 0.7, "Pearson -1 to 1"),
}
METRICS = {
    "technical": RISK_METRICS,
    "liquidity": LIQUIDITY_METRICS,
    "correlation": CORRELATION_METRICS,
}


@cache
def shipped_policy() -> DecisionPolicy:
    """config/decision.yaml as it is shipped."""
    return DecisionPolicy.model_validate(yaml.safe_load(SHIPPED.read_text(encoding="utf-8")))


def policy(**changes: Any) -> DecisionPolicy:
    """The shipped policy with values replaced: ``policy(debate__rounds=0)``."""
    data = shipped_policy().model_dump()
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = data
        for parent in parents:
            place = place[parent]
        if last not in place:
            raise KeyError(path)
        place[last] = value
    return DecisionPolicy.model_validate(data)


def profile(name: str = "balanced", **changes: Any) -> RiskProfile:
    knobs: dict[str, Any] = {
        "conservative": {"require_all_critical": True, "min_data_sources": 5},
        "balanced": {"require_all_critical": True, "min_data_sources": 4},
        "aggressive": {"require_all_critical": False, "min_data_sources": 3},
    }[name]
    return RiskProfile(
        name=name,
        max_parallel_tasks=3,
        include_optional_tasks=True,
        **{**knobs, **changes},
    )


def task(task_id: str) -> ResearchTask:
    priority, sources = TASKS[task_id]
    return ResearchTask(
        task_id=task_id,
        name=task_id,
        priority=priority,
        data_sources=sources,
        timeout_seconds=30,
        estimated_seconds=10,
        estimated_cost_usd=Decimal("0.02"),
        handler=f"package.{task_id}:research",
    )


def plan(
    task_ids: Sequence[str] = BALANCED, *, profile_name: str = "balanced", symbol: str = SYMBOL
) -> ResearchPlan:
    return ResearchPlan(
        symbol=symbol,
        risk_profile=profile_name,
        tasks=tuple(task(task_id) for task_id in task_ids),
        execution_order=(tuple(task_ids),),
        width=3,
        created_at=AS_OF,
    )


def lineage(source: str, *, age_minutes: float = 1.0, **changes: Any) -> Lineage:
    kind, name = KINDS[source]
    values: dict[str, Any] = {
        "observation_id": f"{kind}:{source}:{name}",
        "source": source,
        "kind": kind,
        "name": name,
        "provider": f"{source}-provider",
        "endpoint": f"https://example.org/{source}",
        "observed_at": AS_OF - timedelta(minutes=age_minutes),
        "fetched_at": AS_OF,
        "payload_sha256": "0" * 64,
        "payload_bytes": 100,
        "data_mode": DataMode.LIVE,
        "simulated": False,
    }
    return Lineage(**{**values, **changes})


def evidence(
    task_id: str,
    name: str,
    source: str,
    *,
    polarity: float = 0.5,
    reliability: float = 0.6,
) -> Evidence:
    kind, series = KINDS[source]
    return Evidence(
        evidence_id=f"{task_id}.{name}",
        task_id=task_id,
        claim=f"{name} of {task_id} reads {polarity:+.2f}",
        polarity=polarity,
        reliability=reliability,
        observation_ids=(f"{kind}:{source}:{series}",),
        observed_at=AS_OF,
    )


def finding(
    task_id: str,
    *,
    score: float = 0.6,
    strength: float = 0.6,
    evidence_items: Iterable[Evidence] | None = None,
    ages: Mapping[str, float] | None = None,
    without: Iterable[str] = (),
    metrics: Mapping[str, float | None] | None = None,
    labels: Mapping[str, str] | None = None,
    symbol: str = SYMBOL,
    missing: tuple[Missing, ...] = (),
) -> Finding:
    """A finding that rests on one observation of each of the task's sources.

    ``ages`` are minutes by source, ``without`` leaves sources out, ``metrics`` replaces values of
    the risk metrics by name (None removes one).
    """
    gone = set(without)
    sources = [s for s in TASKS[task_id][1] if s not in gone]
    items = (
        tuple(evidence_items)
        if evidence_items is not None
        else tuple(evidence(task_id, f"reads_{s}", s) for s in sources)
    )
    values = {
        name: (source, (metrics or {}).get(name, value), unit)
        for name, (source, value, unit) in METRICS.get(task_id, {}).items()
    }
    kept = tuple(
        Metric(
            name=name,
            value=value,
            unit=unit,
            observation_ids=(":".join((KINDS[source][0], source, KINDS[source][1])),),
        )
        for name, (source, value, unit) in values.items()
        if value is not None
    )
    return Finding(
        task_id=task_id,
        symbol=symbol,
        as_of=AS_OF,
        score=score,
        strength=strength,
        summary=f"{task_id} of the test",
        metrics=kept,
        evidence=items,
        labels=dict(labels or {}),
        missing=missing,
        lineage=tuple(lineage(s, age_minutes=(ages or {}).get(s, 1.0)) for s in sources),
    )


def outcome(found: Finding, **changes: Any) -> TaskOutcome:
    values: dict[str, Any] = {
        "task_id": found.task_id,
        "status": TaskStatus.COMPLETED,
        "finding": found,
        "missing": found.missing,
        "attempts": 1,
        "started_at": AS_OF,
        "finished_at": AS_OF + timedelta(seconds=3),
        "duration_seconds": 3.0,
        "worker": "w1@host",
    }
    return TaskOutcome(**{**values, **changes})


def failed(task_id: str, reason: str = "provider down", *, skipped: bool = False) -> TaskOutcome:
    return TaskOutcome(
        task_id=task_id,
        status=TaskStatus.SKIPPED if skipped else TaskStatus.FAILED,
        reason=reason,
        attempts=0 if skipped else 3,
        started_at=AS_OF,
        finished_at=AS_OF + timedelta(seconds=3),
        duration_seconds=3.0,
    )


def bundle(
    *changed: TaskOutcome,
    task_ids: Sequence[str] = BALANCED,
    profile_name: str = "balanced",
    symbol: str = SYMBOL,
    data_mode: DataMode = DataMode.LIVE,
    as_of: datetime = AS_OF,
) -> ResearchBundle:
    """Every task complete and fresh, except for the outcomes given."""
    by_task = {item.task_id: item for item in changed}
    outcomes = [
        by_task.get(task_id) or outcome(finding(task_id, symbol=symbol)) for task_id in task_ids
    ]
    made = plan(task_ids, profile_name=profile_name, symbol=symbol)
    return aggregate(made, outcomes, symbol, as_of, data_mode)
