from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from sigmax_planner.catalog import Catalog
from sigmax_planner.explain import explain_plan
from sigmax_planner.facts import NOTHING_KNOWN
from sigmax_planner.models import AnalysisRequest, ResearchPlan
from sigmax_planner.policy import PlanningPolicy
from sigmax_tasks.report.explain_view import explanation_view
from sigmax_tasks.report.plan_view import plan_mermaid, plan_table

Plan = Callable[..., ResearchPlan]


def printed(plan: ResearchPlan, width: int = 80) -> str:
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(plan_table(plan))
    return capture.get()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("profile", ["conservative", "balanced", "aggressive"])
def test_the_table_fits_eighty_columns_and_shows_every_task_whole(plan: Plan, profile: str) -> None:
    made = plan(profile)
    text = printed(made)
    assert max(map(len, text.splitlines())) <= 80
    for task in made.tasks:
        assert re.search(rf"^ *\d* +{task.task_id} .*{task.priority}", text, re.MULTILINE)
    assert "…" not in text


def test_the_table_shows_totals_path_and_what_was_left_out(plan: Plan) -> None:
    text = words(printed(plan(max_cost_usd=Decimal("0.15"))))
    assert "4 tasks in 2 batches" in text
    assert "$0.13 of at most $0.15" in text
    assert "50 s in parallel, 85 s one by one: speed-up 1.70" in text
    assert "sentiment (30 s)" in text
    assert "Estimates static" in text
    assert "patterns over_budget: saves $0.04 to keep the limit of $0.15" in text
    assert "liquidity, momentum, not_in_profile: profile balanced does not list it" in text


def test_the_table_shows_notes_and_an_exceeded_budget(plan: Plan) -> None:
    text = words(printed(plan(max_cost_usd=Decimal("0.10"))))
    assert "OVER BUDGET" in text
    assert "- the estimate of $0.13 exceeds the limit of $0.10" in text


def test_the_table_names_tasks_whose_estimates_were_learned(plan: Plan) -> None:
    made = plan(include_optional=False)
    tasks = tuple(
        task.model_copy(update={"estimate_basis": "learned, n=42"})
        if task.task_id == "macro"
        else task
        for task in made.tasks
    )
    text = words(printed(made.model_copy(update={"tasks": tasks})))
    assert "static; macro learned, n=42" in text


@pytest.fixture
def odd_plan(plan: Plan, template: Callable[..., Any]) -> ResearchPlan:
    catalog = Catalog.of(
        [
            template("end", name='[red]A "b" <c> #1; `d`[/]', priority="LOW"),
            template("x" * 40, "end", name="n" * 60, data_sources=("[bold]feed[/bold]",) * 3),
            template("style", "end", "x" * 40, optional=True, estimated_cost_usd="0.0004"),
        ]
    )
    return plan(catalog=catalog, policy={"profiles": {"balanced": {}}})


def test_odd_names_do_not_break_the_table(odd_plan: ResearchPlan) -> None:
    text = printed(odd_plan)
    assert max(map(len, text.splitlines())) <= 80
    assert "[bold]feed[/bold]" in "".join(text.split())
    assert "0.0004" in text


def test_the_graph_has_a_node_per_task_and_an_arrow_per_dependency(plan: Plan) -> None:
    made = plan("conservative")
    graph = plan_mermaid(made)
    assert graph.startswith("flowchart LR\n")
    nodes = re.findall(r'^    task_(\w+)\["', graph, re.MULTILINE)
    assert nodes == [task_id for batch in made.execution_order for task_id in batch]
    arrows = re.findall(r"^  task_(\w+) --> task_(\w+)$", graph, re.MULTILINE)
    assert sorted(arrows) == sorted((d, t.task_id) for t in made.tasks for d in t.dependencies)
    assert graph.count("subgraph ") == len(made.execution_order)
    assert re.findall(r"^  end$", graph, re.MULTILINE) == ["  end"] * len(made.execution_order)


def test_labels_and_ids_of_the_graph_are_safe(odd_plan: ResearchPlan) -> None:
    graph = plan_mermaid(odd_plan)
    for label in re.findall(r'\["(.*)"\]', graph):
        assert not set('"`<>[]') & set(label.replace("<br/>", ""))
    assert 'task_end["#91;red#93;A #34;b#34; #60;c#62; #35;1#59;' in graph
    assert "  task_end --> task_style\n" in graph


def test_a_plan_without_tasks_has_a_table_and_a_graph(plan: Plan, template: Any) -> None:
    catalog = Catalog.of([template("a", optional=True)])
    empty = plan(catalog=catalog, policy={"profiles": {"balanced": {}}}, include_optional=False)
    assert "0 tasks in 0 batches" in words(printed(empty))
    assert plan_mermaid(empty) == 'flowchart LR\n  empty_plan["no tasks"]\n'


def test_by_critical_path_the_table_shows_when_each_task_starts(plan: Plan) -> None:
    made = plan(policy={"planning": {"batching": "critical_path"}})
    text = words(printed(made))
    assert "Starts Task" in text
    assert "20 s patterns (opt.)" in text
    assert "6 tasks by critical path" in text
    assert "55 s by levels, 45 s by critical path: this one by critical path" in text
    assert max(map(len, printed(made).splitlines())) <= 80
    assert '["From 20 s"]' in plan_mermaid(made)
    assert "this one by levels" in words(printed(plan()))


def test_an_explanation_is_readable_on_eighty_columns(plan: Plan) -> None:
    policy = {"features": {"enable_auto_prioritization": True}}
    request = AnalysisRequest(symbol="BTC/USDT", risk_profile="balanced")
    made, checked = plan(policy=policy), PlanningPolicy.from_mapping(policy)
    told = explain_plan(made, request, checked, NOTHING_KNOWN, ())
    console = Console(width=80, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(explanation_view(made, told))
    text = capture.get()
    assert max(map(len, text.splitlines())) <= 80
    for task in made.tasks:
        assert task.task_id in text
    assert "0 of 5 runs to learn from" in words(text)
    assert "volume_shock no not looked at: volume_above 2.0" in words(text)
