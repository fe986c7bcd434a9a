"""``sigmax plan``: what would run, at what price and in what time. Needs no Redis."""

from __future__ import annotations

from typing import Any

import click

from sigmax_tasks.cli.options import json_option, plan_options, settings_options


@click.command()
@click.argument("symbol", metavar="SYMBOL")
@plan_options
@json_option
@click.option(
    "--format",
    "plan_format",
    type=click.Choice(["table", "json", "mermaid"]),
    help="How to print the plan.  [default: table]",
)
@settings_options
def plan(**options: Any) -> int:
    """Show the research plan for SYMBOL; run nothing."""
    # pydantic and yaml, which --help can do without.
    from sigmax_tasks.cli.plan_flow import print_plan

    return print_plan(**options)
