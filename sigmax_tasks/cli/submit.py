"""``sigmax-submit`` and ``sigmax submit``: research markets, decide, print."""

from __future__ import annotations

from typing import Any

import click

from sigmax_tasks.cli.early import early_worker
from sigmax_tasks.cli.group import GuardedCommand
from sigmax_tasks.cli.options import (
    broker_option,
    json_option,
    plan_options,
    settings_options,
    version_option,
)
from sigmax_tasks.importing import much_is_imported


@click.command(cls=GuardedCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("symbols", nargs=-1, metavar="SYMBOL...")
@plan_options
@click.option(
    "--data",
    type=click.Choice(["live", "simulated", "replay"], case_sensitive=False),
    default="live",
    show_default=True,
    help="Where the data come from; simulated works without a network.",
)
@click.option("--replay-dir", metavar="DIR", help="Folder of recordings for --data replay.")
@click.option(
    "--as-of", metavar="TIME", help="The moment to decide at (ISO; UTC), replay or simulated."
)
@click.option("--seed", metavar="N", help="Seed of the simulated market [runtime.yaml].")
@click.option("--deadline", metavar="S", help="Seconds until a decision, with what there is.")
@click.option(
    "--wait-for-slot",
    metavar="[S]",
    is_flag=False,
    flag_value="300",
    help="Wait up to S seconds (300) where the cluster takes no further run.",
)
@click.option("--watchlist", metavar="FILE", help="More symbols, one a line; # is a comment.")
@click.option(
    "--portfolio", metavar="FILE", help="What is held already: it limits what may be added."
)
@json_option
@click.option(
    "--export", "export_to", metavar="PATH", help="Write each run to a file, for sigmax replay."
)
@click.option(
    "--report",
    "report_to",
    metavar="PATH",
    help="Write an HTML page: a file for one symbol, a folder for several.",
)
@click.option("--no-wait", is_flag=True, help="Print the run ids and leave; needs a broker.")
@broker_option
@settings_options
@version_option
def submit(**options: Any) -> int:
    """Research each SYMBOL (BASE/QUOTE) on a pool of workers and print one decision for each.

    Without a broker a private Redis and worker are started for this command. Exit codes: 0
    decided on validated research, 2 bad usage or configuration, 3 research not validated, 4
    cluster unreachable or busy, 5 no decision in time.
    """
    with early_worker(options) as worker:
        with much_is_imported():
            # The engine and its libraries, which --help can do without.
            from sigmax_tasks.cli.submit_flow import submit_runs

        return submit_runs(**options, worker=worker)
