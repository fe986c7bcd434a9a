"""``sigmax status``, ``watch`` and ``cancel``: runs of a cluster that are not over yet."""

from __future__ import annotations

import click

from sigmax_tasks.cli.options import broker_option, config_path, json_option, settings_options


@click.command()
@json_option
@broker_option
@settings_options
def status(
    as_json: bool, broker: str | None, config_dir: str | None, overrides: tuple[str, ...]
) -> int:
    """Show the workers and the open runs of the cluster."""
    # The engine and rich, which --help can do without.
    from sigmax_tasks import clock
    from sigmax_tasks.cli.records import open_client
    from sigmax_tasks.redact import redact_url
    from sigmax_tasks.report.record_view import status_view
    from sigmax_tasks.report.terminal import Terminal
    from sigmax_tasks.settings import load_settings

    settings = load_settings(config_path(config_dir), overrides).settings
    with open_client(settings, broker) as client:
        workers = client.workers()
        runs = client.live_runs()
    url = redact_url(broker or settings.runtime.broker.url or "")
    terminal = Terminal.of_streams()
    if as_json:
        terminal.write_json(
            {
                "broker": url,
                "workers": list(workers),
                "runs": [{"run_id": run_id, "deadline_unix": at} for run_id, at in runs],
            }
        )
    else:
        terminal.result(status_view(url, workers, runs, clock.now()))
    return 0


@click.command()
@click.argument("run", metavar="RUN")
@json_option
@broker_option
@settings_options
def watch(
    run: str, as_json: bool, broker: str | None, config_dir: str | None, overrides: tuple[str, ...]
) -> int:
    """Follow RUN to its decision and print that.

    Exit codes as for submit. Leaving with Ctrl-C does not stop the run; sigmax cancel does.
    """
    # The engine and rich, which --help can do without.
    from sigmax_tasks.cli.watch_flow import watch_run
    from sigmax_tasks.settings import load_settings

    settings = load_settings(config_path(config_dir), overrides).settings
    return watch_run(run, settings, broker, as_json=as_json)


@click.command()
@click.argument("run", metavar="RUN")
@broker_option
@settings_options
def cancel(run: str, broker: str | None, config_dir: str | None, overrides: tuple[str, ...]) -> int:
    """Stop the queued and running work of RUN; it gives no decision."""
    # The engine, which --help can do without.
    from sigmax_tasks.cli.records import find_run, open_client
    from sigmax_tasks.settings import load_settings

    settings = load_settings(config_path(config_dir), overrides).settings
    with open_client(settings, broker) as client:
        run_id = find_run(run, [run_id for run_id, _ in client.live_runs()], "the open runs")
        stopped = client.cancel(run_id)
    click.echo(f"cancelled run {run_id}" if stopped else f"run {run_id} was over already")
    return 0
