"""Why a plan is as it is, as tables for the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sigmax_planner.estimates import usd_text
from sigmax_planner.explain import Explanation
from sigmax_planner.models import ResearchPlan
from sigmax_tasks.report.layout import bullets


def explanation_view(plan: ResearchPlan, explanation: Explanation) -> RenderableType:
    """Readable from 80 columns on."""
    parts: list[RenderableType] = [Text(), Text("Why", style="bold"), _numbers(plan, explanation)]
    if explanation.rules:
        rules = Table.grid(padding=(0, 2))
        for rule in explanation.rules:
            style = "bold" if rule.fired else "dim"
            verdict = "fired" if rule.fired else "no"
            rules.add_row(Text(rule.rule, style=style), verdict, Text(rule.why, style=style))
        parts += [Text("Priority rules", style="bold"), rules]
    parts += bullets("Known before the run", explanation.facts)
    return Group(*parts)


def _numbers(plan: ResearchPlan, explanation: Explanation) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("Task", no_wrap=True)
    table.add_column("Number", justify="right", no_wrap=True)
    table.add_column("Because", overflow="fold")
    by_id = {task.task_id: task for task in plan.tasks}
    for row in explanation.tasks:
        task = by_id[row.task_id]
        table.add_row(row.task_id, task.priority.value, Text(row.priority))
        table.add_row("", f"{task.estimated_seconds:g} s", Text(row.seconds))
        cost = usd_text(task.estimated_cost_usd)
        table.add_row("", cost, Text(row.cost), end_section=True)
    return table
