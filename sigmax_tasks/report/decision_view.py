"""A decision for people: the verdict first, then what speaks for and against it, then the means."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from sigmax_planner.models import DataMode, ResearchPlan
from sigmax_tasks.models.decision import (
    Action,
    Argument,
    Case,
    Cost,
    Decision,
    Gap,
    RunRecord,
    ValidationReport,
)
from sigmax_tasks.models.research import RunSummary
from sigmax_tasks.report.journal_view import history_parts
from sigmax_tasks.report.layout import Bar, block, bullets, grid, indented, plain_table
from sigmax_tasks.report.model_debate_view import model_debate_parts
from sigmax_tasks.report.numbers import (
    count,
    data_banner,
    hours_text,
    money,
    percent,
    price,
    seconds_text,
)
from sigmax_tasks.report.order_words import order_text
from sigmax_tasks.report.text import clean_text

ACTION_STYLE = {
    Action.BUY: "bold white on dark_green",
    Action.SELL: "bold white on dark_red",
    Action.HOLD: "bold black on yellow3",
}
_BANNER_STYLE = {
    DataMode.LIVE: "bold",
    DataMode.REPLAY: "bold black on cyan3",
    DataMode.SIMULATED: "bold black on orange1",
}
_MOST_ARGUMENTS = 5
_MOST_GAPS = 6


def run_header(
    plan: ResearchPlan, run_id: str, banner: RenderableType, *, deadline_seconds: float
) -> RenderableType:
    """What is about to run: banner, run, plan in short. Before the live table."""
    line = Text.assemble(
        (plan.symbol, "bold"), f"  {plan.risk_profile}  ", (f"run {run_id}", "dim")
    )
    return Group(banner, line, plan_line(plan, deadline_seconds), Text())


def runs_header(
    plans: Sequence[ResearchPlan], banner: RenderableType, *, deadline_seconds: float
) -> RenderableType:
    """The same for many symbols."""
    tasks = sum(plan.task_count for plan in plans)
    cost = sum((plan.estimated_cost for plan in plans), start=plans[0].estimated_cost * 0)
    text = (
        f"{count(len(plans), 'symbol')}  {plans[0].risk_profile}  {count(tasks, 'task')}, "
        f"{money(cost)} planned, deadline {deadline_seconds:g} s"
    )
    return Group(banner, Text(text), Text())


def plan_line(plan: ResearchPlan, deadline_seconds: float | None = None) -> Text:
    """The plan in one line."""
    text = Text(
        f"plan: {count(plan.task_count, 'task')} {order_text(plan)}, {money(plan.estimated_cost)}, "
        f"{plan.estimated_time_parallel:g} s ({plan.estimated_time_sequential:g} s one by one)"
    )
    if deadline_seconds is not None:
        text.append(f", deadline {deadline_seconds:g} s")
    if plan.over_budget:
        text.append("  OVER BUDGET", style="bold red")
    return text


def banner_text(mode: DataMode, text: str) -> Text:
    return Text(f" {text} ", style=_BANNER_STYLE[mode])


def decision_view(record: RunRecord, *, seed: int | None = None) -> RenderableType:
    """The decision of one run, for a terminal from 80 columns on."""
    decision = record.decision
    parts: list[RenderableType] = [
        title_view(record, seed),
        Text(),
        verdict_text(decision),
        levels_view(decision),
        *history_parts(record),
        Text(),
        validation_view(decision.validation),
    ]
    parts += [Text(), *_debate(decision)]
    parts += bullets("Vetoes", decision.vetoes, "bold red")
    parts += _gaps(decision.validation.gaps)
    parts += bullets("Would change it", decision.would_change)
    parts += [Text(), means_view(record)]
    if decision.data_mode is DataMode.LIVE and not decision.validation.sources_seen:
        parts += [
            Text(),
            Text("No data provider answered. --data simulated works without a network."),
        ]
    parts += [Text(), Text(f"More: sigmax show {record.run_id}", style="dim")]
    return Group(*parts)


def decision_summary(records: Sequence[RunRecord]) -> RenderableType:
    """One row per decision, in the order given."""
    table = plain_table()
    table.add_column("symbol", no_wrap=True, max_width=16, overflow="ellipsis")
    table.add_column(" action", no_wrap=True)
    table.add_column("conf.", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("reference", justify="right", no_wrap=True)
    table.add_column("research", no_wrap=True)
    table.add_column("cost", justify="right", no_wrap=True)
    for record in records:
        decision = record.decision
        table.add_row(
            Text(decision.symbol),
            action_text(decision.action),
            f"{decision.confidence:.2f}",
            percent(decision.size_fraction),
            f"{decision.score:+.2f}",
            price(decision.reference_price),
            _validated(decision.validation),
            money(record.cost.actual_usd),
        )
    return table


def decision_brief(record: RunRecord) -> RenderableType:
    """A decision in a few lines, for one of many."""
    decision = record.decision
    head = Text.assemble((decision.symbol, "bold"), "  ")
    head.append_text(action_text(decision.action))
    head.append(f"  {record.run_id}", style="dim")
    lines: list[RenderableType] = [Text(), head]
    table = grid(2)
    for sign, case in (("for", decision.debate.bull), ("against", decision.debate.bear)):
        for argument in case.arguments[:2]:
            table.add_row(Text(sign, style="dim"), _claim(argument))
    for veto in decision.vetoes:
        table.add_row(Text("veto", style="bold red"), Text(clean_text(veto)))
    for failure in decision.validation.failures[:2]:
        table.add_row(Text("missed", style="yellow"), Text(clean_text(failure)))
    if not table.row_count:
        table.add_row("", Text("no argument on either side", style="dim"))
    lines.append(indented(table))
    return Group(*lines)


def action_text(action: Action) -> Text:
    return Text(f" {action.value} ", style=ACTION_STYLE[action])


def validation_view(report: ValidationReport) -> RenderableType:
    """The score against its threshold, and the four shares it is made of."""
    head = Text.assemble(("Validation  ", "bold"), _validated(report))
    head.append(f"  score {report.score:.2f}, needs {report.threshold:.2f}")
    table = grid(3)
    shares = (
        ("completeness", report.completeness),
        ("quality", report.quality),
        ("freshness", report.freshness),
        ("coverage", report.coverage),
    )
    for name, share in shares:
        table.add_row(name, Bar(share), f"{share:.2f}")
    parts: list[RenderableType] = [head, indented(table)]
    if report.failures:
        missed = grid(2)
        for failure in report.failures:
            missed.add_row(Text("missed", style="yellow"), Text(clean_text(failure)))
        parts.append(indented(missed))
    return Group(*parts)


def means_view(record: RunRecord) -> RenderableType:
    """Time and money."""
    table = grid(2)
    table.columns[0].style = "bold"
    table.add_row("Research", Text(_research_line(record.research)))
    table.add_row("Cost", Text(_cost_line(record.cost)))
    if record.partial:
        table.add_row("Partial", Text(f"ended early by {clean_text(record.finished_by)}"))
    for alert in record.research.alerts:
        table.add_row("Alert", Text(clean_text(alert), style="yellow"))
    return table


def title_view(record: RunRecord, seed: int | None) -> RenderableType:
    """Data mode, symbol, profile and run."""
    decision = record.decision
    banner = banner_text(decision.data_mode, data_banner(decision.data_mode, decision.as_of, seed))
    line = Text.assemble(
        (decision.symbol, "bold"),
        f"  {decision.risk_profile}  ",
        (f"run {record.run_id}", "dim"),
    )
    return Group(banner, line)


def verdict_text(decision: Decision) -> Text:
    """The action and its figures in one line."""
    verdict = Text("  ")
    verdict.append(f"  {decision.action.value}  ", style=ACTION_STYLE[decision.action])
    verdict.append(f"   confidence {decision.confidence:.2f}", style="bold")
    analysis = decision.analysis
    if analysis.calibrated_confidence is not None:
        verdict.append(
            f" (calibrated {analysis.calibrated_confidence:.2f}, n={analysis.calibration_outcomes})"
        )
    verdict.append(f"   size {percent(decision.size_fraction)} of equity")
    verdict.append(f"   score {decision.score:+.2f}")
    return verdict


def levels_view(decision: Decision) -> RenderableType:
    """Prices with their distance from the reference, and the horizon."""
    table = grid(3)
    table.add_row("reference", price(decision.reference_price), "")
    for name, level in (("stop", decision.stop_price), ("target", decision.take_profit_price)):
        if level is not None:
            table.add_row(name, price(level), _distance(level, decision.reference_price))
    table.add_row("horizon", hours_text(decision.horizon_hours), "")
    table.columns[1].justify = "right"
    return indented(table)


def _distance(level: float, reference: float | None) -> str:
    if not reference:
        return ""
    return percent(level / reference - 1, signed=True)


def _validated(report: ValidationReport) -> Text:
    if report.passed:
        return Text("passed", style="green")
    return Text("NOT PASSED", style="bold yellow")


def _debate(decision: Decision) -> list[RenderableType]:
    debate = decision.debate
    parts: list[RenderableType] = []
    for name, case in (("For a rise", debate.bull), ("For a fall", debate.bear)):
        parts += [*_case(name, case), Text()]
    parts.append(Text(f"net {debate.net:+.2f}: {clean_text(debate.arithmetic)}", style="dim"))
    return parts + model_debate_parts(debate.llm, whole=False)


def _case(name: str, case: Case) -> list[RenderableType]:
    shown = case.arguments[:_MOST_ARGUMENTS]
    part = f", {len(shown)} of {len(case.arguments)}" if len(shown) < len(case.arguments) else ""
    head = Text.assemble((name, "bold"), (f"  total {case.total:.2f}{part}", "dim"))
    if not case.arguments:
        return [head, Text("  no argument", style="dim")]
    table = grid(2)
    for argument in shown:
        table.add_row(f"{argument.weight:.2f}", _claim(argument))
    return [head, indented(table)]


def _claim(argument: Argument) -> Text:
    return Text.assemble(clean_text(argument.claim), (f" ({clean_text(argument.task_id)})", "dim"))


def _gaps(gaps: Sequence[Gap]) -> list[RenderableType]:
    if not gaps:
        return []
    parts = block("Gaps", indented(gaps_table(gaps[:_MOST_GAPS])), note=str(len(gaps)))
    if len(gaps) > _MOST_GAPS:
        parts.append(Text(f"  and {len(gaps) - _MOST_GAPS} more", style="dim"))
    return parts


def gaps_table(gaps: Sequence[Gap]) -> RenderableType:
    """Task, source and reason of each gap."""
    table = grid(3)
    table.columns[0].no_wrap = True
    for gap in gaps:
        table.add_row(
            Text(clean_text(gap.task_id)),
            Text(clean_text(gap.source)),
            Text(clean_text(gap.reason), style="dim"),
        )
    return table


def _research_line(research: RunSummary) -> str:
    parts = [f"{research.completed} completed"]
    if research.failed:
        parts.append(f"{research.failed} failed")
    if research.skipped:
        parts.append(f"{research.skipped} skipped")
    line = f"{count(research.total_tasks, 'task')}: {', '.join(parts)}"
    if research.speedup > 0:
        together = research.sequential_seconds / research.speedup
        line += (
            f" in {seconds_text(together)}, one by one {seconds_text(research.sequential_seconds)}:"
            f" speed-up {research.speedup:.2f}"
        )
    return f"{line}; decided after {seconds_text(research.duration_seconds)}"


def _cost_line(cost: Cost) -> str:
    limit = "no limit" if cost.limit_usd is None else f"limit {money(cost.limit_usd)}"
    model = f" ({money(cost.llm_usd)} on the model)" if cost.llm_usd else ""
    line = f"estimated {money(cost.estimated_usd)}, actual {money(cost.actual_usd)}{model}, {limit}"
    if cost.day_limit_usd is not None and cost.day_spent_usd is not None:
        line += f"; {money(cost.day_spent_usd)} of {money(cost.day_limit_usd)} spent that day"
    return line
