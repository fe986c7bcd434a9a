"""``sigmax doctor``: whether the cluster and the providers of its data are well."""

from __future__ import annotations

import click

from sigmax_tasks.cli.options import broker_option, config_path, json_option, settings_options


@click.command()
@click.option("--providers", is_flag=True, help="Show how each data provider stands.")
@json_option
@broker_option
@settings_options
def doctor(
    providers: bool,
    as_json: bool,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> int:
    """Check broker, workers, clocks, queues, configuration and data folder, and say what to do.

    With --providers also what the workers know of each data provider: whether it answers, what is
    left of its limits, its circuit breaker, its last error and how long it takes. Nothing is asked
    of the providers for this. Exit code 4 when nothing can be researched, 2 for another problem.
    """
    # The engine and rich, which --help can do without.
    from sigmax_tasks.cli.doctor_flow import examine
    from sigmax_tasks.settings import load_settings

    loaded = load_settings(config_path(config_dir), overrides)
    return examine(loaded, broker, providers=providers, as_json=as_json)
