"""``sigmax report``: a finished run as an HTML page."""

from __future__ import annotations

import click

from sigmax_tasks.cli.options import broker_option, settings_options


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--output",
    "-o",
    metavar="PATH",
    default="",
    help="A file, or a folder to write one named after the run into; '-' is stdout "
    "[the current folder].",
)
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
@broker_option
@settings_options
def report(
    run: str,
    output: str,
    show: bool,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> int:
    """Write a finished run as one HTML page that loads nothing from anywhere.

    RUN is its id, the start or the last part of it, or 'last'. The page has the decision, charts,
    the debate, validation, risk and sizing, and where each figure came from.
    """
    # The engine and jinja, which --help can do without.
    from sigmax_tasks.cli.report_flow import report_run

    return report_run(
        run, output=output, show=show, broker=broker, config_dir=config_dir, overrides=overrides
    )
