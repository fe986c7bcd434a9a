"""Everything of a run, lists of runs, and the state of a cluster, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.text import Text

from sigmax_tasks.models.decision import Analysis, Case, RiskAssessment, RunRecord, Sizing
from sigmax_tasks.models.research import RunSummary, TaskOutcome, TaskStatus
from sigmax_tasks.report.decision_view import (
    action_text,
    gaps_table,
    levels_view,
    means_view,
    plan_line,
    title_view,
    validation_view,
    verdict_text,
)
from sigmax_tasks.report.journal_view import history_parts
from sigmax_tasks.report.layout import block, bullets, grid, indented, plain_table
from sigmax_tasks.report.model_debate_view import model_debate_parts
from sigmax_tasks.report.numbers import MISSING, count, money, percent, price, time_text
from sigmax_tasks.report.text import clean_text

_STATUS_STYLE = {
    TaskStatus.COMPLETED: "green",
    TaskStatus.FAILED: "bold red",
    TaskStatus.SKIPPED: "yellow",
}


def record_view(
    record: RunRecord,
    *,
    outcomes: Sequence[TaskOutcome] = (),
    seed: int | None = None,
    notices: Sequence[str] = (),
) -> RenderableType:
    """All that is kept of a run, from the verdict down to each task and what it found.

    ``notices`` are what the providers ask to be said of their data.
    """
    decision = record.decision
    parts: list[RenderableType] = [
        title_view(record, seed),
        Text(
            f"created {time_text(record.created_at)}, finished {time_text(record.finished_at)} "
            f"by {clean_text(record.finished_by)}",
            style="dim",
        ),
        plan_line(record.plan),
        Text(),
        verdict_text(decision),
        levels_view(decision),
        *history_parts(record),
    ]
    parts += bullets("Reasons", decision.reasons)
    parts += bullets("Vetoes", decision.vetoes, "bold red")
    parts += bullets("Would change it", decision.would_change)
    parts += [Text(), means_view(record), Text(), _tasks(record.research)]
    parts += _findings(outcomes)
    parts += _missing(record.research)
    parts += [Text(), validation_view(decision.validation)]
    sources = ", ".join(decision.validation.sources_seen) or "none"
    parts.append(indented(Text(f"sources seen: {clean_text(sources)}")))
    if decision.validation.gaps:
        parts += block("Gaps", indented(gaps_table(decision.validation.gaps)))
    parts += _debate(record)
    parts += _analysis(decision.analysis)
    parts += _risk(decision.risk)
    parts += _sizing(decision.sizing)
    parts += bullets("Data", notices)
    parts += block("Hashes and versions", indented(_provenance(record)))
    return Group(*parts)


def history_view(records: Sequence[RunRecord]) -> RenderableType:
    """One row per run, in the order given."""
    table = plain_table(gap=1)
    table.add_column("run", no_wrap=True, max_width=24, overflow="ellipsis")
    table.add_column("symbol", no_wrap=True, max_width=12, overflow="ellipsis")
    table.add_column("profile", no_wrap=True, max_width=12, overflow="ellipsis")
    table.add_column("data", no_wrap=True)
    table.add_column(" action", no_wrap=True)
    table.add_column("conf.", justify="right", no_wrap=True)
    table.add_column("valid", no_wrap=True)
    for record in records:
        decision = record.decision
        passed = decision.validation.passed
        table.add_row(
            Text(record.run_id),
            Text(decision.symbol),
            Text(decision.risk_profile),
            Text(decision.data_mode.value),
            action_text(decision.action),
            f"{decision.confidence:.2f}",
            Text("yes" if passed else "NO", style="" if passed else "bold yellow"),
        )
    return table


def status_view(
    broker: str,
    workers: Sequence[str],
    runs: Sequence[tuple[str, float]],
    now: datetime,
    *,
    most_runs: int | None = None,
    money_line: str = "",
) -> RenderableType:
    """Broker, workers (``host:pid``) and open runs with the seconds they have left.

    ``most_runs`` is how many may be open, ``money_line`` what was spent today.
    """
    parts: list[RenderableType] = [Text.assemble(("Broker   ", "bold"), clean_text(broker))]
    parts.append(Text.assemble(("Workers  ", "bold"), str(len(workers))))
    parts += [Text(f"  {clean_text(worker)}") for worker in workers]
    if not workers:
        parts.append(
            Text("  none; start one with: celery -A sigmax_tasks worker", style="bold yellow")
        )
    most = "" if most_runs is None else f" of at most {most_runs}"
    if money_line:
        parts.append(Text.assemble(("Spent    ", "bold"), money_line))
    parts.append(Text.assemble(("Runs     ", "bold"), f"{len(runs)} open{most}"))
    for run_id, deadline in runs:
        left = (datetime.fromtimestamp(deadline, UTC) - now).total_seconds()
        state = f"{left:.0f} s left" if left >= 0 else f"{-left:.0f} s over its deadline"
        parts.append(Text(f"  {clean_text(run_id)}  {state}"))
    return Group(*parts)


def spent_line(spent_usd: Decimal, held_usd: Decimal, limit_usd: Decimal | None) -> str:
    """What the live runs of today have spent of their limit."""
    limit = "no limit" if limit_usd is None else f"of at most {money(limit_usd)}"
    held = f", {money(held_usd)} reserved" if held_usd else ""
    return f"{money(spent_usd)} today, {limit}{held}"


def refusal_view(
    refused: Mapping[str, int], dead: int, letters: Sequence[tuple[str, str, str]]
) -> RenderableType:
    """Messages that workers refused, by reason, and how many tasks were set aside.

    ``letters`` are the latest of these: run, task, reason.
    """
    by_reason = ", ".join(f"{count} {reason}" for reason, count in refused.items())
    said = f"{sum(refused.values())} messages{f' ({by_reason})' if by_reason else ''}"
    parts: list[RenderableType] = [Text.assemble(("Refused  ", "bold"), clean_text(said))]
    parts.append(Text.assemble(("Dead     ", "bold"), f"{dead} tasks set aside"))
    parts += [
        Text(clean_text(f"  {run_id}  {task_id}: {reason}")) for run_id, task_id, reason in letters
    ]
    return Group(*parts)


def local_view(
    pid: int, started_at: datetime, services: Mapping[str, int], flower_url: str | None
) -> RenderableType:
    """The cluster of ``sigmax up``: its processes by name, and where Flower is."""
    parts: list[RenderableType] = [
        Text.assemble(("Local    ", "bold"), f"sigmax up, process {pid}, {time_text(started_at)}")
    ]
    parts += [Text(f"  {clean_text(name)}  {number}") for name, number in services.items()]
    if flower_url is not None:
        parts.append(Text(f"  {clean_text(flower_url)}"))
    return Group(*parts)


def _tasks(research: RunSummary) -> RenderableType:
    table = plain_table()
    table.add_column("task", no_wrap=True, max_width=20, overflow="ellipsis")
    table.add_column("state", no_wrap=True)
    table.add_column("try", justify="right", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    table.add_column("cost", justify="right", no_wrap=True)
    table.add_column("worker", overflow="fold")
    table.add_column("providers", overflow="fold")
    for task in research.tasks:
        table.add_row(
            Text(task.task_id),
            Text(task.status.value, style=_STATUS_STYLE.get(task.status, "")),
            str(task.attempts),
            f"{task.duration_seconds:.1f}",
            money(task.cost_usd),
            Text(clean_text(task.worker), style="dim"),
            Text(clean_text(", ".join(task.providers))),
        )
    return Group(Text("Tasks", style="bold"), indented(table))


def finding_text(outcome: TaskOutcome) -> str:
    """What a task found, in one line."""
    finding = outcome.finding
    if finding is None:
        reason = clean_text(outcome.reason)
        return f"{outcome.status.value}: {reason}" if reason else outcome.status.value
    return (
        f"score {finding.score:+.2f}, strength {finding.strength:.2f}; "
        f"{clean_text(finding.summary)}"
    )


def _findings(outcomes: Sequence[TaskOutcome]) -> list[RenderableType]:
    table = grid(2)
    table.columns[0].no_wrap = True
    for outcome in outcomes:
        if outcome.finding is not None:
            table.add_row(outcome.task_id, Text(finding_text(outcome)))
    return block("Findings", indented(table)) if table.row_count else []


def _missing(research: RunSummary) -> list[RenderableType]:
    """Why tasks failed or were skipped, and what the others had to do without."""
    table = grid(4)
    for task in research.tasks:
        if task.reason:
            table.add_row(task.task_id, task.status.value, "", Text(clean_text(task.reason)))
        for gap in task.missing:
            table.add_row(
                task.task_id,
                Text(clean_text(gap.source)),
                Text(clean_text(gap.need)),
                Text(clean_text(gap.reason), style="dim"),
            )
    return block("Missing", indented(table)) if table.row_count else []


def _debate(record: RunRecord) -> list[RenderableType]:
    debate = record.decision.debate
    parts: list[RenderableType] = []
    for name, case in (("For a rise", debate.bull), ("For a fall", debate.bear)):
        parts += block(name, indented(_arguments(case)), note=f"total {case.total:.2f}")
    words = f"net {debate.net:+.2f} after {count(debate.rounds, 'round')} ({debate.method}): "
    parts.append(Text(words + clean_text(debate.arithmetic, limit=1000), style="dim"))
    return parts + model_debate_parts(debate.llm, whole=True)


def _arguments(case: Case) -> RenderableType:
    table = grid(2)
    for argument in case.arguments:
        claim = Text(clean_text(argument.claim))
        claim.append(f" [{clean_text(argument.evidence_id)}]", style="dim")
        for rebuttal in argument.rebuttals:
            claim.append(f"\nrebuttal: {clean_text(rebuttal)}", style="dim")
        table.add_row(f"{argument.weight:.2f}", claim)
    if not case.arguments:
        table.add_row("", Text("no argument", style="dim"))
    return table


def _analysis(analysis: Analysis) -> list[RenderableType]:
    table = grid(5)
    table.add_row("task", "score", "strength", "weight", "adds", style="dim")
    for part in analysis.contributions:
        table.add_row(
            Text(part.task_id),
            f"{part.score:+.2f}",
            f"{part.strength:.2f}",
            f"{part.weight:.2f}",
            f"{part.contribution:+.3f}",
        )
    head = (
        f"score {analysis.score:+.2f}, confidence {analysis.confidence:.2f} "
        f"(cap {analysis.confidence_cap:.2f}), regime {clean_text(analysis.regime)}"
    )
    lines = [Text(clean_text(line), style="dim") for line in analysis.reasoning]
    return block("Analysis", indented(Group(Text(head), table, *lines)))


def _risk(risk: RiskAssessment) -> list[RenderableType]:
    table = grid(2)
    rows = (
        ("volatility a year", percent(risk.realised_volatility_annual)),
        ("average true range", price(risk.atr)),
        ("stop distance", percent(risk.stop_distance_fraction)),
        ("value at risk 95 %", percent(risk.value_at_risk_95_fraction)),
        ("expected shortfall 95 %", percent(risk.expected_shortfall_95_fraction)),
        ("expected slippage", percent(risk.expected_slippage_fraction)),
        (
            "correlation to BTC",
            MISSING if risk.correlation_to_btc is None else f"{risk.correlation_to_btc:+.2f}",
        ),
        ("size cap", percent(risk.size_cap_fraction)),
    )
    for name, value in rows:
        table.add_row(name, value)
    for word, lines in (("veto", risk.vetoes), ("warning", risk.warnings)):
        for line in lines:
            table.add_row(word, Text(clean_text(line), style="yellow"))
    return block("Risk", indented(table))


def _sizing(sizing: Sizing) -> list[RenderableType]:
    head = Text(
        f"{percent(sizing.size_fraction)} of equity; Kelly {percent(sizing.kelly_fraction)}, "
        f"volatility target {percent(sizing.volatility_target_fraction)}"
    )
    lines = [Text(clean_text(step), style="dim") for step in sizing.steps]
    return block("Size", indented(Group(head, *lines)))


def _provenance(record: RunRecord) -> RenderableType:
    table = grid(2)
    table.add_row("decision", Text(record.decision.decision_hash or MISSING))
    table.add_row("settings", Text(record.settings_hash))
    versions = ", ".join(f"{name} {version}" for name, version in sorted(record.versions.items()))
    table.add_row("made with", Text(clean_text(versions)))
    return table
