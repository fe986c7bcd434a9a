"""``sigmax journal``: all decisions, what the market did afterwards, how good they were."""

from __future__ import annotations

from typing import Any

import click

from sigmax_tasks.cli.options import broker_option, json_option, settings_options

_symbol = click.option("--symbol", metavar="SYMBOL", help="Only decisions on this market.")
_profile = click.option("--profile", metavar="P", help="Only decisions of this risk profile.")
_data = click.option(
    "--data",
    type=click.Choice(["live", "simulated", "replay"], case_sensitive=False),
    help="Only decisions on this kind of data.",
)


@click.group(invoke_without_command=True)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV on stdout.")
@_symbol
@_profile
@_data
@click.option("--limit", metavar="N", help="How many at most [all; 50 in the table].")
@broker_option
@settings_options
@click.pass_context
def journal(context: click.Context, /, **options: Any) -> int:
    """List the decisions that were made, newest first, and what the market did afterwards.

    They are kept in the Redis of the cluster, or for private clusters in the file journal.jsonl
    of the data folder, for good unless retention.journal_days is set.
    """
    if context.invoked_subcommand is not None:
        if any(options.values()):
            raise click.UsageError(
                f"options go behind the command: sigmax journal {context.invoked_subcommand} ..."
            )
        return 0
    # The engine and rich, which --help can do without.
    from sigmax_tasks.cli.journal_flow import list_entries

    return list_entries(**options)


@journal.command()
@click.option(
    "--data",
    type=click.Choice(["live", "simulated", "replay"], case_sensitive=False),
    default="live",
    show_default=True,
    help="Which decisions, and where the candles come from.",
)
@click.option("--replay-dir", metavar="DIR", help="Folder of recordings for --data replay.")
@click.option("--as-of", metavar="TIME", help="Look at nothing later than this (ISO; UTC) [now].")
@_symbol
@_profile
@json_option
@broker_option
@settings_options
def resolve(**options: Any) -> int:
    """Fetch the candles after open decisions and fill in what followed.

    A decision stays open until its horizon has passed. Where stop and target lie in the same
    candle the stop counts: candles do not tell which came first.
    """
    from sigmax_tasks.cli.journal_flow import resolve_entries  # as above

    return resolve_entries(**options)


@journal.command()
@_symbol
@_profile
@_data
@json_option
@broker_option
@settings_options
def stats(**options: Any) -> int:
    """Hit rate, Brier score and reliability of the confidences, by profile and horizon.

    Decisions on live, replayed and simulated data are never counted together.
    """
    from sigmax_tasks.cli.journal_flow import show_stats  # as above

    return show_stats(**options)
