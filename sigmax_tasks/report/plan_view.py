"""A research plan for people: a table for the terminal, a Mermaid graph for documents."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sigmax_planner.estimates import usd_text
from sigmax_planner.flow import planned_starts
from sigmax_planner.models import Omission, ResearchPlan, ResearchTask, TaskPriority
from sigmax_tasks.report.order_words import by_critical_path, order_text

_PRIORITY_STYLE = {
    TaskPriority.CRITICAL: "bold",
    TaskPriority.HIGH: "",
    TaskPriority.MEDIUM: "dim",
    TaskPriority.LOW: "dim",
}
_MERMAID_STYLE = {
    TaskPriority.CRITICAL: "fill:#fde2e2,stroke:#b3261e,color:#1f1f1f",
    TaskPriority.HIGH: "fill:#fff1d6,stroke:#a86500,color:#1f1f1f",
    TaskPriority.MEDIUM: "fill:#e3eefc,stroke:#2b5fa8,color:#1f1f1f",
    TaskPriority.LOW: "fill:#eeeeee,stroke:#6b6b6b,color:#1f1f1f",
}


def plan_table(plan: ResearchPlan) -> RenderableType:
    """The plan by batches, then its totals, what was left out and why, and the notes.

    Readable from 80 columns on. Names and details are shown as they are, never as markup.
    """
    parts: list[RenderableType] = [_heading(plan), _tasks(plan), _totals(plan)]
    if plan.omitted:
        parts += [Text(), Text("Left out", style="bold"), _omissions(plan.omitted)]
    if plan.notes:
        parts += [Text(), Text("Notes", style="bold"), _bullets(plan.notes)]
    return Group(*parts)


def _heading(plan: ResearchPlan) -> Text:
    return Text.assemble(
        ("Research plan ", "bold"),
        (plan.symbol, "bold"),
        f"  profile {plan.risk_profile}, width {plan.width}",
    )


def _tasks(plan: ResearchPlan) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    flow = by_critical_path(plan)
    table.add_column("Starts" if flow else "Batch", justify="right", no_wrap=True)
    table.add_column("Task", overflow="fold")
    table.add_column("Priority", no_wrap=True)
    table.add_column("Sources", overflow="fold")
    table.add_column("s", justify="right", no_wrap=True)
    table.add_column("USD", justify="right", no_wrap=True)
    table.add_column("Depends on", overflow="fold")
    by_id = {task.task_id: task for task in plan.tasks}
    spaced = any(len(batch) > 1 for batch in plan.execution_order)
    starts_at = {s.task_id: s.starts_at for s in planned_starts(plan.tasks, plan.width)}
    for number, batch in enumerate(plan.execution_order, start=1):
        for place, task_id in enumerate(batch):
            task = by_id[task_id]
            table.add_row(
                "" if place else f"{starts_at[task_id]:.4g} s" if flow else str(number),
                _task_cell(task),
                Text(task.priority.value, style=_PRIORITY_STYLE[task.priority]),
                Text(", ".join(task.data_sources)),
                f"{task.estimated_seconds:g}",
                usd_text(task.estimated_cost_usd).removeprefix("$"),
                Text(", ".join(task.dependencies)),
                end_section=spaced and place == len(batch) - 1,
            )
    return table


def _task_cell(task: ResearchTask) -> Text:
    cell = Text(task.task_id)
    if task.optional:
        cell.append(" (opt.)", style="dim")
    return cell


def _totals(plan: ResearchPlan) -> Table:
    table = _two_columns()
    limit = "" if plan.max_cost_usd is None else f" of at most {usd_text(plan.max_cost_usd)}"
    cost = Text(f"{usd_text(plan.estimated_cost)}{limit}")
    if plan.over_budget:
        cost.append("  OVER BUDGET", style="bold red")
    table.add_row("Tasks", f"{_count(plan.task_count, 'task')} {order_text(plan)}")
    table.add_row("Cost", cost)
    table.add_row(
        "Time",
        f"{plan.estimated_time_parallel:g} s in parallel, "
        f"{plan.estimated_time_sequential:g} s one by one: speed-up {plan.speedup:.2f}",
    )
    either = plan.estimated_time_by_batching
    words = f"{either['levels']:g} s by levels, {either['critical_path']:g} s by critical path"
    table.add_row("Batching", f"{words}: this one by {plan.batching.replace('_', ' ')}")
    path = " -> ".join(plan.critical_path) or "none"
    table.add_row("Critical path", Text(f"{path} ({plan.critical_path_seconds:g} s)"))
    table.add_row("Estimates", Text(_bases(plan)))
    return table


def _bases(plan: ResearchPlan) -> str:
    """Where the estimates come from: ``static``, and the tasks that have another basis."""
    others = [task for task in plan.tasks if task.estimate_basis != "static"]
    bases = [f"{task.task_id} {task.estimate_basis}" for task in others]
    return "; ".join(bases if others and len(others) == plan.task_count else ["static", *bases])


def _omissions(omitted: tuple[Omission, ...]) -> Table:
    """One row for all tasks that are left out for the same reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for omission in omitted:
        groups.setdefault((omission.reason.value, omission.detail), []).append(omission.task_id)
    table = _two_columns()
    table.columns[0].max_width = 26
    for (reason, detail), task_ids in groups.items():
        text = Text(reason)
        if detail:
            text.append(f": {detail}", style="dim")
        table.add_row(Text(", ".join(task_ids)), text)
    return table


def _bullets(lines: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 1))
    for line in lines:
        table.add_row("-", Text(line))
    return table


def _two_columns() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", overflow="fold")
    table.add_column(overflow="fold")
    return table


def _count(number: int, word: str, plural: str = "s") -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}{plural}"


def plan_mermaid(plan: ResearchPlan) -> str:
    """A flowchart: a box per batch, a node per task, an arrow from a dependency to its dependent.

    By critical path a box holds what is planned to start at the same moment. Node ids are prefixed,
    so that no task id collides with a word of Mermaid; labels are escaped.
    """
    lines = ["flowchart LR"]
    by_id = {task.task_id: task for task in plan.tasks}
    starts_at = {s.task_id: s.starts_at for s in planned_starts(plan.tasks, plan.width)}
    if not by_id:
        lines.append('  empty_plan["no tasks"]')
    for number, batch in enumerate(plan.execution_order, start=1):
        longest = max(by_id[task_id].estimated_seconds for task_id in batch)
        title = f"Batch {number}: {longest:g} s"
        if by_critical_path(plan):
            title = f"From {starts_at[batch[0]]:.4g} s"
        lines.append(f'  subgraph batch_{number}["{title}"]')
        lines += [f"    {_node(by_id[task_id])}" for task_id in batch]
        lines.append("  end")
    lines += [
        f"  batch_{number} ~~~ batch_{number + 1}" for number in range(1, len(plan.execution_order))
    ]
    lines += [
        f"  task_{dependency} --> task_{task.task_id}"
        for task in plan.tasks
        for dependency in task.dependencies
    ]
    used = {task.priority for task in plan.tasks}
    lines += [f"  classDef {p.lower()} {_MERMAID_STYLE[p]}" for p in TaskPriority if p in used]
    return "\n".join(lines) + "\n"


def _node(task: ResearchTask) -> str:
    details = [task.priority.value, f"{task.estimated_seconds:g} s"]
    details.append(usd_text(task.estimated_cost_usd))
    if task.optional:
        details.append("optional")
    label = f"{_label(task.name)}<br/>{', '.join(details)}"
    return f'task_{task.task_id}["{label}"]:::{task.priority.lower()}'


def _label(text: str) -> str:
    """Anything but letters, digits, spaces and harmless punctuation as a Mermaid entity code."""
    return "".join(c if c.isalnum() or c in " -_.,()/" else f"#{ord(c)};" for c in text)
