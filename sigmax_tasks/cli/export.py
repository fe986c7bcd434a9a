"""``sigmax export``: a finished run as one file."""

from __future__ import annotations

import click

from sigmax_tasks.cli.options import broker_option, settings_options


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--output",
    "-o",
    metavar="PATH",
    default="-",
    help="A file, or a folder to write one named after the run into; stdout where left out.",
)
@broker_option
@settings_options
def export(
    run: str,
    output: str,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> int:
    """Write a finished run to a file from which 'sigmax replay' decides again anywhere.

    RUN is its id, the start or the last part of it, or 'last'. The file holds the request, the
    plan, the settings, all findings and what they rest on, the decision and the versions.
    """
    # The engine and rich, which --help can do without.
    from sigmax_tasks.cli.export_flow import export_run

    return export_run(run, output=output, broker=broker, config_dir=config_dir, overrides=overrides)
