"""Makes and prints a plan."""

from __future__ import annotations

from sigmax_planner.models import AnalysisRequest
from sigmax_planner.planner import create_plan
from sigmax_tasks import clock
from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cli.options import config_path, parse_max_cost, parse_symbols, parse_width
from sigmax_tasks.errors import ConfigurationError
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
    as_json: bool,
    plan_format: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> ExitCode:
    """Everything behind the options of ``sigmax plan``."""
    if as_json and plan_format not in {None, "json"}:
        raise ConfigurationError(f"--json and --format {plan_format} exclude each other")
    settings = load_settings(config_path(config_dir), overrides).settings
    request = AnalysisRequest(
        symbol=parse_symbols([symbol])[0],
        risk_profile=settings.planning.default_profile if profile is None else profile,
        width=parse_width(width),
        include_optional=optional,
        max_cost_usd=parse_max_cost(max_cost),
    )
    plan = create_plan(request, settings.planning, settings.catalog, clock.now())
    terminal = Terminal.of_streams()
    if settings.planning.features.verbose_planning:
        terminal.log(plan.summary)
    if as_json or plan_format == "json":
        terminal.write_json(plan.to_json_dict())
    elif plan_format == "mermaid":
        terminal.write_line(plan_mermaid(plan).rstrip("\n"))
    else:
        terminal.result(plan_table(plan))
    return ExitCode.OK
