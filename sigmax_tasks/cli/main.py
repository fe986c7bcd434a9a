"""``sigmax`` and ``sigmax-submit``. Imports click and nothing heavy: --help must be quick."""

from __future__ import annotations

from typing import NoReturn

import click

from sigmax_tasks.cli.group import LazyGroup
from sigmax_tasks.cli.options import version_option
from sigmax_tasks.cli.submit import submit

_COMMANDS = "sigmax_tasks.cli"
COMMANDS = {
    "submit": (f"{_COMMANDS}.submit:submit", "Research markets and decide; same as sigmax-submit."),
    "plan": (f"{_COMMANDS}.plan:plan", "Show the research plan for a symbol; run nothing."),
    "show": (f"{_COMMANDS}.show:show", "Show everything of a finished run."),
    "history": (f"{_COMMANDS}.show:history", "List finished runs, newest first."),
    "journal": (
        f"{_COMMANDS}.journal:journal",
        "List decisions, what followed them, and how good they were.",
    ),
    "export": (f"{_COMMANDS}.export:export", "Write a finished run to a file."),
    "report": (f"{_COMMANDS}.report:report", "Write a finished run as an HTML page."),
    "replay": (f"{_COMMANDS}.replay:replay", "Decide an exported run again, offline."),
    "evaluate": (
        f"{_COMMANDS}.evaluate:evaluate",
        "Judge decisions on recorded history by what followed.",
    ),
    "status": (f"{_COMMANDS}.live:status", "Show the workers and runs of the cluster."),
    "watch": (f"{_COMMANDS}.live:watch", "Follow a run to its decision."),
    "cancel": (f"{_COMMANDS}.live:cancel", "Stop a run."),
    "up": (f"{_COMMANDS}.up:up", "Keep a cluster running on this machine."),
    "schedule": (f"{_COMMANDS}.schedule:schedule", "Show and run what the clock asks for."),
    "simulate": (f"{_COMMANDS}.simulate:simulate", "Serve simulated or recorded market data."),
    "doctor": (f"{_COMMANDS}.doctor:doctor", "Check the cluster and the data providers."),
    "metrics": (f"{_COMMANDS}.metrics:metrics", "Serve the cluster's figures to Prometheus."),
    "notify": (f"{_COMMANDS}.notify:notify", "Show and try who is told of decisions and alerts."),
    "config": (f"{_COMMANDS}.config:config", "Show and check the configuration."),
}


@click.command(
    cls=LazyGroup,
    table=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@version_option
@click.pass_context
def sigmax(context: click.Context) -> None:
    """Distributed market research that ends in one decision per symbol. It never trades."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> NoReturn:
    """Console script ``sigmax``."""
    sigmax.main(prog_name="sigmax")


def submit_main() -> NoReturn:
    """Console script ``sigmax-submit``."""
    submit.main(prog_name="sigmax-submit")
