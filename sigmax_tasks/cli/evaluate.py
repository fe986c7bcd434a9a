"""``sigmax evaluate``: decide at every step of a recorded past and see what came of it."""

from __future__ import annotations

from typing import Any

import click

from sigmax_tasks.cli.options import broker_option, json_option, settings_options


@click.command()
@click.argument("symbols", nargs=-1, metavar="SYMBOL...", required=True)
@click.option("--from", "first", metavar="DATE", required=True, help="First moment (ISO; UTC).")
@click.option("--to", "last", metavar="DATE", required=True, help="Last moment (ISO; UTC).")
@click.option(
    "--step", metavar="FRAME", default="1d", show_default=True, help="1h to 1w, as for candles."
)
@click.option("--profile", metavar="P", help="Risk profile [planning.yaml: default_profile].")
@click.option("--replay-dir", metavar="DIR", required=True, help="Folder of recordings.")
@click.option(
    "--only-recorded",
    is_flag=True,
    help="Leave tasks, data sources and needs that are not recorded out of the plans, instead of "
    "letting them count as gaps.",
)
@click.option(
    "--workers",
    metavar="N",
    help="Processes of the private cluster, where no broker is named [number of processors].",
)
@click.option("--no-ablation", is_flag=True, help="Do not decide again without each task.")
@click.option(
    "--trials",
    metavar="N",
    help="Variants tried on these data elsewhere; those tried here are counted by themselves.",
)
@click.option("--report", "report_to", metavar="PATH", help="Write an HTML page.")
@click.option(
    "--calibration",
    "calibration_to",
    metavar="PATH",
    help="Write the fitted calibration as a piece of decision.yaml.",
)
@json_option
@broker_option
@settings_options
def evaluate(**options: Any) -> int:
    """Walk through recorded history and judge the decisions by what followed.

    At each step the pipeline sees only what was public then. Findings and decisions are kept: a
    stopped evaluation goes on where it was, and one with another weight only decides again.
    """
    # The engine, numpy and rich, which --help can do without.
    from sigmax_tasks.cli.evaluate_flow import evaluate_history

    return evaluate_history(**options)
