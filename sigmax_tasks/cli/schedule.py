"""``sigmax schedule``: what is researched by the clock, when next, and once now."""

from __future__ import annotations

from typing import Any

import click

from sigmax_tasks.cli.options import broker_option, json_option, settings_options
from sigmax_tasks.cli.submit import submit


@click.group()
def schedule() -> None:
    """Show and run the entries of schedule.yaml; beat is what runs them by the clock."""


@schedule.command(name="list")
@json_option
@broker_option
@settings_options
def list_command(**options: Any) -> int:
    """List all entries with their next time, and how the last one ended if a cluster runs."""
    # The engine and rich, which --help can do without.
    from sigmax_tasks.cli.schedule_flow import list_schedules

    return list_schedules(**options)


@schedule.command(name="next")
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--count", default="5", show_default=True, metavar="N", help="How many times.")
@json_option
@settings_options
def next_command(**options: Any) -> int:
    """Print the coming times of NAME, or of all entries together, soonest first."""
    # The engine and rich, which --help can do without.
    from sigmax_tasks.cli.schedule_flow import next_times

    return next_times(**options)


@schedule.command(name="run")
@click.argument("name", metavar="NAME")
@json_option
@click.option("--no-wait", is_flag=True, help="Print the run ids and leave; needs a cluster.")
@broker_option
@settings_options
@click.pass_context
def run_command(context: click.Context, /, name: str, **options: Any) -> int:
    """Submit what NAME stands for now, as sigmax-submit does, and print the decisions.

    Its times, and its policies for missed and overlapping runs, are not touched by that.
    """
    # The engine, which --help can do without.
    from sigmax_tasks.cli.schedule_flow import submission_of

    asked = submission_of(name, options["config_dir"], options["overrides"])
    code: int = context.invoke(submit, **asked, **options)
    return code
