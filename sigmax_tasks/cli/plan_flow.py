"""Makes and prints a plan."""

from __future__ import annotations

from sigmax_planner.explain import explain_plan
from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_planner.planner import create_plan, fired_rules
from sigmax_tasks import clock
from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cli.known import known_facts
from sigmax_tasks.cli.options import config_path, parse_max_cost, parse_symbols, parse_width
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.report.explain_view import explanation_view
from sigmax_tasks.report.plan_view import plan_mermaid, plan_table
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.settings import load_settings


def print_plan(
    *,
    symbol: str,
    profile: str | None,
    width: str | None,
    optional: bool | None,
    max_cost: str | None,
    data: str,
    explain: bool,
    as_json: bool,
    plan_format: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> ExitCode:
    """Everything behind the options of ``sigmax plan``."""
    if as_json and plan_format not in {None, "json"}:
        raise ConfigurationError(f"--json and --format {plan_format} exclude each other")
    if explain and plan_format == "mermaid":
        raise ConfigurationError("--explain and --format mermaid exclude each other")
    settings = load_settings(config_path(config_dir), overrides).settings
    request = AnalysisRequest(
        symbol=parse_symbols([symbol])[0],
        risk_profile=settings.planning.default_profile if profile is None else profile,
        width=parse_width(width),
        include_optional=optional,
        max_cost_usd=parse_max_cost(max_cost),
        data_mode=DataMode(data.lower()),
    )
    if request.data_mode is DataMode.SIMULATED:
        simulator = settings.runtime.simulator
        request = request.model_copy(update={"as_of": simulator.as_of, "seed": simulator.seed})
    now = clock.now()
    with known_facts(settings) as facts_of:
        facts = facts_of(request)
    plan = create_plan(request, settings.planning, settings.catalog, now, facts)
    terminal = Terminal.of_streams()
    if settings.planning.features.verbose_planning:
        terminal.log(plan.summary)
    explanation = None
    if explain:
        fired, _ = fired_rules(request, settings.planning, facts, now)
        explanation = explain_plan(plan, request, settings.planning, facts, fired)
    if as_json or plan_format == "json":
        shown = plan.to_json_dict()
        if explanation is not None:
            shown["explanation"] = explanation.model_dump(mode="json")
        terminal.write_json(shown)
    elif plan_format == "mermaid":
        terminal.write_line(plan_mermaid(plan).rstrip("\n"))
    else:
        terminal.result(plan_table(plan))
        if explanation is not None:
            terminal.result(explanation_view(plan, explanation))
    return ExitCode.OK
