"""``sigmax show`` and ``sigmax history``: finished runs."""

from __future__ import annotations

import re

import click

from sigmax_tasks.cli.options import broker_option, config_path, json_option, settings_options
from sigmax_tasks.errors import ConfigurationError

_MOST_LISTED = 1000


@click.command()
@click.argument("run", metavar="RUN")
@json_option
@click.option(
    "--lineage",
    "with_lineage",
    is_flag=True,
    help="Where each number comes from, down to the providers' answers.",
)
@broker_option
@settings_options
def show(
    run: str,
    as_json: bool,
    with_lineage: bool,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> int:
    """Show everything of a finished run.

    RUN is its id, the start or the last part of it, or 'last'.
    """
    # The engine and rich, which --help can do without.
    from sigmax_tasks.cli.records import MOST_RUNS, find_run, open_records
    from sigmax_tasks.errors import RunNotFoundError
    from sigmax_tasks.report.json_line import record_line
    from sigmax_tasks.report.lineage_view import lineage_line, lineage_view
    from sigmax_tasks.report.record_view import record_view
    from sigmax_tasks.report.terminal import Terminal
    from sigmax_tasks.settings import load_settings

    settings = load_settings(config_path(config_dir), overrides).settings
    terminal = Terminal.of_streams()
    with open_records(settings, broker) as records:
        run_id = find_run(run, records.ids(MOST_RUNS), records.where)
        record = records.record(run_id)
        try:
            dossier = records.dossier(run_id)
        except RunNotFoundError:
            dossier = None  # what the tasks were given is kept for a shorter time
    if with_lineage and dossier is None:
        raise RunNotFoundError(run_id, "what is kept of answers; only its decision is left")
    outcomes = dossier.outcomes if dossier is not None else ()
    if as_json:
        lineage = {"lineage": lineage_line(outcomes)} if with_lineage else {}
        terminal.write_json({**record_line(record), **lineage})
        return 0
    providers = [name for task in record.research.tasks for name in task.providers]
    notices = settings.sources.notices(tuple(providers))
    seed = dossier.request.seed if dossier is not None else None
    terminal.result(record_view(record, outcomes=outcomes, seed=seed, notices=notices))
    if with_lineage:
        terminal.result(lineage_view(outcomes))
    return 0


@click.command()
@json_option
@click.option("--limit", default="20", show_default=True, metavar="N", help="How many at most.")
@broker_option
@settings_options
def history(
    as_json: bool,
    limit: str,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> int:
    """List finished runs, newest first."""
    # The engine and rich, which --help can do without.
    from sigmax_tasks.cli.records import open_records
    from sigmax_tasks.errors import RunNotFoundError
    from sigmax_tasks.report.json_line import decision_line
    from sigmax_tasks.report.record_view import history_view
    from sigmax_tasks.report.terminal import Terminal
    from sigmax_tasks.settings import load_settings

    most = _parse_limit(limit)
    settings = load_settings(config_path(config_dir), overrides).settings
    terminal = Terminal.of_streams()
    found = []
    with open_records(settings, broker) as kept:
        for run_id in kept.ids(most):
            try:
                record = kept.record(run_id)
            except RunNotFoundError:
                continue  # its retention ended between the listing and now
            if as_json:
                terminal.write_json(decision_line(record))
            else:
                found.append(record)
    if found:
        terminal.result(history_view(found))
    elif not as_json:
        terminal.log(f"no finished run in {kept.where}")
    return 0


def _parse_limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) or not 1 <= int(text) <= _MOST_LISTED:
        raise ConfigurationError(f"--limit {text!r} is not a whole number from 1 to {_MOST_LISTED}")
    return int(text)
