from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from sigmax_planner.catalog import Catalog
from sigmax_planner.errors import (
    DependencyCycleError,
    DuplicateTaskError,
    UnknownDependencyError,
    UnknownNameError,
)

Load = Callable[[dict[str, Any]], Catalog]

OWN = {
    "priority": "high",
    "data_sources": ["price_data"],
    "dependencies": ["technical"],
    "timeout": 12,
    "cost": 0.01,
    "handler": "my_package.funding:research",
}

# task_id, name, priority, data sources, dependencies, seconds, USD, optional
BUILT_IN = [
    ("sentiment", "Market Sentiment", "CRITICAL", "news social fear_greed", "", 30, "0.05", False),
    ("onchain", "On-Chain Metrics", "CRITICAL", "onchain coingecko", "", 20, "0.03", False),
    ("technical", "Technical Analysis", "CRITICAL", "price_data volume_data", "", 15, "0.02",
     False),
    ("macro", "Macro Factors", "HIGH", "macro_data fear_greed", "", 20, "0.03", False),
    ("liquidity", "Liquidity Analysis", "HIGH", "orderbook volume_data", "", 15, "0.02", False),
    ("momentum", "Momentum Signals", "HIGH", "price_data volume_data", "technical", 10,
     "0.02", False),
    ("correlation", "Correlation Analysis", "MEDIUM", "price_data", "technical", 15, "0.02", False),
    ("patterns", "Historical Patterns", "MEDIUM", "historical_data", "technical", 25, "0.04", True),
    ("fundamentals", "Fundamentals", "MEDIUM", "defillama coingecko", "", 25, "0.03", True),
    ("keywords", "Keyword Extraction", "LOW", "news", "sentiment", 15, "0.02", True),
]  # fmt: skip


@pytest.mark.parametrize("row", BUILT_IN, ids=[row[0] for row in BUILT_IN])
def test_built_in_tasks(catalog: Catalog, row: tuple[Any, ...]) -> None:
    task_id, name, priority, sources, dependencies, seconds, usd, optional = row
    task = catalog.by_id[task_id]
    assert (task.name, task.priority, task.optional) == (name, priority, optional)
    assert task.data_sources == tuple(sources.split())
    assert task.dependencies == tuple(dependencies.split())
    assert (task.timeout_seconds, task.estimated_seconds) == (seconds, seconds)
    assert task.estimated_cost_usd == Decimal(usd)
    assert task.handler == f"sigmax_tasks.research.{task_id}:research"
    assert task.estimate_basis == "static"


def test_the_shipped_catalogue_holds_just_the_ten(catalog: Catalog) -> None:
    assert [task.task_id for task in catalog.templates] == [row[0] for row in BUILT_IN]


def test_own_tasks_stand_beside_the_built_in_ones(
    tasks_yaml: dict[str, Any], load_catalog: Load
) -> None:
    catalog = load_catalog({**tasks_yaml, "additional_tasks": {"funding_watch": OWN}})
    own = catalog.by_id["funding_watch"]
    assert (own.name, own.priority, own.in_every_profile) == ("Funding Watch", "HIGH", True)
    assert own.handler == "my_package.funding:research"
    assert len(catalog.templates) == 11


def test_own_tasks_may_be_a_list_with_ids(tasks_yaml: dict[str, Any], load_catalog: Load) -> None:
    as_list = [{"task_id": "funding_watch", **OWN}]
    assert load_catalog({**tasks_yaml, "additional_tasks": as_list}) == load_catalog(
        {**tasks_yaml, "additional_tasks": {"funding_watch": OWN}}
    )
    with pytest.raises(DuplicateTaskError, match="funding_watch"):
        load_catalog({**tasks_yaml, "additional_tasks": as_list * 2})
    with pytest.raises(ValidationError, match="no task_id"):
        load_catalog({**tasks_yaml, "additional_tasks": [OWN]})


def test_an_empty_own_section_is_no_tasks(tasks_yaml: dict[str, Any], load_catalog: Load) -> None:
    assert load_catalog({**tasks_yaml, "additional_tasks": None}) == load_catalog(tasks_yaml)


def test_an_own_task_may_not_take_a_built_in_id(
    tasks_yaml: dict[str, Any], load_catalog: Load
) -> None:
    with pytest.raises(DuplicateTaskError, match="duplicate task id: macro"):
        load_catalog({**tasks_yaml, "additional_tasks": {"macro": OWN}})


def test_an_unknown_data_source_names_task_and_nearest_source(
    tasks_yaml: dict[str, Any], load_catalog: Load
) -> None:
    own = {**OWN, "data_sources": ["price_data", "orderbok"]}
    with pytest.raises(UnknownNameError, match=r"funding_watch.*'orderbok'.*'orderbook'"):
        load_catalog({**tasks_yaml, "additional_tasks": {"funding_watch": own}})


def test_an_unknown_dependency_names_both_tasks(
    tasks_yaml: dict[str, Any], load_catalog: Load
) -> None:
    own = {**OWN, "dependencies": ["techncal"]}
    with pytest.raises(UnknownDependencyError, match=r"'funding_watch'.*'techncal'"):
        load_catalog({**tasks_yaml, "additional_tasks": {"funding_watch": own}})


@pytest.mark.parametrize(
    ("edges", "path"),
    [
        ({"technical": ["technical"]}, {"technical"}),
        ({"technical": ["momentum"]}, {"technical", "momentum"}),
        (
            {"sentiment": ["patterns"], "technical": ["keywords"]},
            {"sentiment", "patterns", "technical", "keywords"},
        ),
    ],
)
def test_a_cycle_is_named_by_its_path(
    tasks_yaml: dict[str, Any], load_catalog: Load, edges: dict[str, list[str]], path: set[str]
) -> None:
    for task_id, dependencies in edges.items():
        tasks_yaml["tasks"][task_id]["dependencies"] = dependencies
    with pytest.raises(DependencyCycleError) as caught:
        load_catalog(tasks_yaml)
    assert set(caught.value.path) == path
    assert caught.value.path[0] == caught.value.path[-1]
    assert " -> ".join(caught.value.path) in str(caught.value)


def test_hand_made_templates_are_checked_too(template: Callable[..., Any]) -> None:
    with pytest.raises(DuplicateTaskError) as caught:
        Catalog.of([template("a"), template("b"), template("a"), template("b")])
    assert caught.value.task_ids == ("a", "b")
    with pytest.raises(UnknownDependencyError, match="'a' depends on unknown task 'z'"):
        Catalog.of([template("a", "z")])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", "URGENT"), ("data_sources", []), ("data_sources", "news"), ("timeout", 0),
        ("timeout", "15"), ("timeout", None), ("cost", -1), ("cost", True),
        ("handler", "package.module"), ("handler", "package..module:f"), ("colour", "red"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused_at_its_place(
    tasks_yaml: dict[str, Any], load_catalog: Load, field: str, value: object
) -> None:
    own = {**OWN, field: value}
    with pytest.raises(ValidationError) as caught:
        load_catalog({**tasks_yaml, "additional_tasks": {"funding_watch": own}})
    (error,) = caught.value.errors()
    assert error["loc"][:3] == ("additional_tasks", "funding_watch", field)


@pytest.mark.parametrize("field", ["priority", "data_sources", "timeout", "cost", "handler"])
def test_a_field_without_default_must_be_given(
    tasks_yaml: dict[str, Any], load_catalog: Load, field: str
) -> None:
    own = {key: value for key, value in OWN.items() if key != field}
    with pytest.raises(ValidationError, match="Field required"):
        load_catalog({**tasks_yaml, "additional_tasks": {"funding_watch": own}})


@pytest.mark.parametrize("task_id", ["Funding", "a-b", "", "1st", "x" * 41])
def test_a_malformed_task_id_is_refused(
    tasks_yaml: dict[str, Any], load_catalog: Load, task_id: str
) -> None:
    with pytest.raises(ValidationError, match="additional_tasks"):
        load_catalog({**tasks_yaml, "additional_tasks": {task_id: OWN}})


def test_adjusting_changes_limit_and_estimates_of_the_named_tasks_only(catalog: Catalog) -> None:
    other = catalog.adjusted(timeouts={"macro": 7.5}, cost_estimates={"onchain": Decimal("0.5")})
    assert other.by_id["macro"].timeout_seconds == 7.5
    assert other.by_id["macro"].estimated_seconds == 7.5
    assert other.by_id["onchain"].estimated_cost_usd == Decimal("0.5")
    changed = {t.task_id for t in other.templates if t != catalog.by_id[t.task_id]}
    assert changed == {"macro", "onchain"}
    assert catalog.by_id["macro"].timeout_seconds == 20


def test_adjusting_an_unknown_task_names_the_key(catalog: Catalog) -> None:
    with pytest.raises(UnknownNameError, match=r"planning\.timeouts.*'macros'.*'macro'"):
        catalog.adjusted(timeouts={"macros": 1.0}, cost_estimates={})
    with pytest.raises(UnknownNameError, match=r"planning\.cost_estimates.*'news'"):
        catalog.adjusted(timeouts={}, cost_estimates={"news": Decimal(1)})
