"""``sigmax up``: a cluster on this machine, in one terminal."""

from __future__ import annotations

from typing import Any

import click

from sigmax_tasks.cli.options import settings_options


@click.command()
@click.option("--workers", default="2", show_default=True, metavar="N", help="Worker processes.")
@click.option("--concurrency", metavar="N", help="Tasks at a time per worker [runtime.yaml].")
@click.option(
    "--pool",
    type=click.Choice(["threads", "prefork"]),
    help="Kind of worker [runtime.yaml].",
)
@click.option("--port", default="0", metavar="N", help="Port of Redis; 0 [default]: a free one.")
@click.option(
    "--flower-port",
    default="5555",
    show_default=True,
    metavar="N",
    help="Port of Flower; 0: a free one.",
)
@click.option(
    "--metrics-port",
    default="9464",
    show_default=True,
    metavar="N",
    help="Port of the metrics; 0: a free one.",
)
@click.option("--no-flower", is_flag=True, help="Start no Flower.")
@click.option("--no-beat", is_flag=True, help="Start no beat: schedules do not run.")
@click.option("--no-metrics", is_flag=True, help="Serve no metrics.")
@click.option(
    "--no-standby", is_flag=True, help="Keep no process that spares sigmax-submit its imports."
)
@settings_options
def up(**options: Any) -> int:
    """Run Redis, workers, beat, Flower and metrics until Ctrl-C; sigmax-submit finds them.

    All of it listens on this machine only. What dies is started again. Redis keeps its data in
    $XDG_DATA_HOME/sigmax/cluster. The login of Flower is SIGMAX_FLOWER_LOGIN (user:password), or
    made up and shown.
    """
    # The engine and rich, which --help can do without.
    from sigmax_tasks.cli.up_flow import keep_up

    return keep_up(**options)
