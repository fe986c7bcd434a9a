"""``sigmax replay``: decide an exported run again."""

from __future__ import annotations

import click

from sigmax_tasks.cli.options import json_option


@click.command()
@click.argument("file", metavar="FILE")
@json_option
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="What if: decide with this setting changed, e.g. "
    "decision.profiles.balanced.buy_threshold=0.2; repeatable.",
)
@click.option(
    "--from-observations",
    is_flag=True,
    help="Run the research again too, on the stored observations.",
)
@click.option(
    "--config",
    "config_dir",
    metavar="DIR",
    help="Whose handlers of custom tasks may be run by --from-observations.",
)
def replay(
    file: str,
    as_json: bool,
    overrides: tuple[str, ...],
    from_observations: bool,
    config_dir: str | None,
) -> int:
    """Decide an exported run again, from its FILE alone ('-' is stdin).

    Needs no cluster and no network. The decision, with its hash, is the one of the run; if it is
    not, the command says why and ends with code 2. Plan, times and costs are those of the run, and
    so are the settings, besides what --set changes.
    """
    # The decision chain and rich, which --help can do without.
    from sigmax_tasks.cli.replay_flow import replay_file

    return replay_file(
        file,
        as_json=as_json,
        overrides=overrides,
        from_observations=from_observations,
        config_dir=config_dir,
    )
