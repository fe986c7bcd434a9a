"""``sigmax plan``: what would run, at what price and in what time.

Needs no Redis; with one that answers it knows what its cluster has learned.
"""

from __future__ import annotations

from typing import Any

import click

from sigmax_tasks.cli.options import json_option, plan_options, settings_options
from sigmax_tasks.importing import much_is_imported


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
@click.option(
    "--data",
    type=click.Choice(["live", "simulated", "replay"], case_sensitive=False),
    default="live",
    show_default=True,
    help="Whose earlier runs the estimates are learned from.",
)
@click.option("--explain", is_flag=True, help="Say why each number of the plan is what it is.")
@settings_options
def plan(**options: Any) -> int:
    """Show the research plan for SYMBOL; run nothing."""
    with much_is_imported():
        # pydantic and yaml, which --help can do without.
        from sigmax_tasks.cli.plan_flow import print_plan

    return print_plan(**options)
