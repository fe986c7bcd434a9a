"""``sigmax status``, ``watch`` and ``cancel``: runs of a cluster that are not over yet."""

from __future__ import annotations

import click

from sigmax_tasks.cli.options import broker_option, config_path, json_option, settings_options

_MOST_LETTERS = 5


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
    from sigmax_tasks.local_state import find_local
    from sigmax_tasks.redact import redact_url
    from sigmax_tasks.report.record_view import (
        local_view,
        refusal_view,
        spent_line,
        status_view,
    )
    from sigmax_tasks.report.terminal import Terminal
    from sigmax_tasks.settings import load_settings

    settings = load_settings(config_path(config_dir), overrides).settings
    with open_client(settings, broker) as client:
        workers = client.workers()
        runs = client.live_runs()
        spent = client.spent_today()
        refused = client.refused()
        dead = client.count_dead()
        letters = client.dead_letters(_MOST_LETTERS)
    named = broker or settings.runtime.broker.url
    local = None if named else find_local()
    url = redact_url(named or (local.url if local is not None else ""))
    terminal = Terminal.of_streams()
    day_limit = settings.planning.performance.max_cost_per_day
    most_runs = settings.runtime.engine.max_open_runs
    if as_json:
        terminal.write_json(
            {
                "broker": url,
                "workers": list(workers),
                "spent_today": {
                    "spent_usd": float(spent.spent_usd),
                    "reserved_usd": float(spent.held_usd),
                    "limit_usd": None if day_limit is None else float(day_limit),
                },
                "max_open_runs": most_runs,
                "runs": [{"run_id": run_id, "deadline_unix": at} for run_id, at in runs],
                "refused_messages": refused,
                "dead_letters": {
                    "count": dead,
                    "latest": [
                        {
                            "run_id": letter.run_id,
                            "task_id": letter.task_id,
                            "reason": letter.reason,
                            "at": letter.at.isoformat(),
                        }
                        for letter in letters
                    ],
                },
                "local": None if local is None else local.model_dump(mode="json", exclude={"url"}),
            }
        )
    else:
        money_line = spent_line(spent.spent_usd, spent.held_usd, day_limit)
        now = clock.now()
        terminal.result(
            status_view(url, workers, runs, now, most_runs=most_runs, money_line=money_line)
        )
        shown = [(letter.run_id, letter.task_id, letter.reason) for letter in letters]
        terminal.result(refusal_view(refused, dead, shown))
        if local is not None:
            terminal.result(
                local_view(local.pid, local.started_at, local.services, local.flower_url)
            )
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
    from sigmax_tasks.cli.records import cancel_run
    from sigmax_tasks.settings import load_settings

    settings = load_settings(config_path(config_dir), overrides).settings
    run_id, stopped = cancel_run(settings, broker, run)
    click.echo(f"cancelled run {run_id}" if stopped else f"run {run_id} was over already")
    return 0
