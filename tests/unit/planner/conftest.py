"""The shipped configuration, and short ways to plan with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from sigmax_planner.catalog import Catalog
from sigmax_planner.models import AnalysisRequest, ResearchPlan, TaskTemplate
from sigmax_planner.planner import create_plan
from sigmax_planner.policy import PlanningPolicy

CONFIG = Path(__file__).resolve().parents[3] / "config"
CREATED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DATA_SOURCES = (
    "news", "social", "fear_greed", "onchain", "coingecko", "price_data", "volume_data",
    "macro_data", "orderbook", "historical_data", "defillama",
)  # fmt: skip

Plan = Callable[..., ResearchPlan]
MakeTemplate = Callable[..., TaskTemplate]


@pytest.fixture
def tasks_yaml() -> dict[str, Any]:
    return yaml.safe_load((CONFIG / "tasks.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def planning_yaml() -> dict[str, Any]:
    return yaml.safe_load((CONFIG / "planning.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def load_catalog() -> Callable[[dict[str, Any]], Catalog]:
    return lambda content: Catalog.from_mapping(content, data_sources=DATA_SOURCES)


@pytest.fixture
def catalog(
    tasks_yaml: dict[str, Any], load_catalog: Callable[[dict[str, Any]], Catalog]
) -> Catalog:
    return load_catalog(tasks_yaml)


@pytest.fixture
def plan(catalog: Catalog) -> Plan:
    """``plan(profile, policy={...}, catalog=..., **fields of the request)``."""

    def make(
        profile: str = "balanced",
        *,
        policy: dict[str, Any] | None = None,
        catalog: Catalog = catalog,
        **request: Any,
    ) -> ResearchPlan:
        return create_plan(
            AnalysisRequest(symbol="BTC/USDT", risk_profile=profile, **request),
            PlanningPolicy.from_mapping(policy or {}),
            catalog,
            CREATED_AT,
        )

    return make


@pytest.fixture
def template() -> MakeTemplate:
    """A task template of which only the id must be given."""

    def make(task_id: str, *dependencies: str, **fields: Any) -> TaskTemplate:
        values: dict[str, Any] = {
            "name": task_id,
            "priority": "MEDIUM",
            "data_sources": ("price_data",),
            "timeout_seconds": 10,
            "estimated_seconds": fields.get("timeout_seconds", 10),
            "estimated_cost_usd": "0.01",
            "handler": "package.module:research",
        }
        return TaskTemplate(task_id=task_id, dependencies=dependencies, **{**values, **fields})

    return make
