"""Writes HTML pages of runs, for ``sigmax report`` and ``sigmax-submit --report``."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Iterable
from pathlib import Path

from sigmax_tasks.cli.export_flow import Dossiers, Target, check_target
from sigmax_tasks.cli.options import config_path
from sigmax_tasks.cli.records import MOST_RUNS, find_run, open_records
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.report.html import report_html
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.settings import load_settings
from sigmax_tasks.whole_file import write_whole

STANDARD_STREAM = "-"


def report_run(
    run: str,
    *,
    output: str,
    show: bool,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> int:
    """Everything behind ``sigmax report``. The path of the page goes to stdout."""
    if show and output == STANDARD_STREAM:
        raise ConfigurationError("--open needs a file, and --output - is stdout")
    target = None if output == STANDARD_STREAM else check_target(output or "./", "--output")
    settings = load_settings(config_path(config_dir), overrides).settings
    terminal = Terminal.of_streams()
    with open_records(settings, broker) as records:
        dossier = records.dossier(find_run(run, records.ids(MOST_RUNS), records.where))
    if target is None:
        sys.stdout.buffer.write(report_html(dossier).encode())
        sys.stdout.buffer.flush()
        return 0
    path = write_report(dossier, target)
    terminal.write_line(str(path))
    if show and not webbrowser.open(path.resolve().as_uri()):
        terminal.log("no browser could be started; open the file yourself")
    return 0


def report_finished(
    dossiers: Dossiers, run_ids: Iterable[str], target: Target, terminal: Terminal
) -> None:
    """Write the pages of runs that have just ended."""
    for run_id in run_ids:
        path = write_report(dossiers.dossier(run_id), target)
        terminal.log(f"report of {run_id} in {path}")


def write_report(dossier: Dossier, target: Target) -> Path:
    """Write the page whole or not at all; an existing file is replaced. The file it went to.

    Raises :class:`ConfigurationError` where it cannot be written.
    """
    path = target.path / page_name(dossier) if target.folder else target.path
    content = report_html(dossier).encode()
    try:
        write_whole(path, content)
    except OSError as error:
        raise ConfigurationError(
            f"the report {str(path)!r} cannot be written: {error.strerror}"
        ) from error
    return path


def page_name(dossier: Dossier) -> str:
    """``20241115-093012-4f9c2a7b-BTC-USDT.html``: in a folder, pages sort by time."""
    symbol = dossier.record.decision.symbol.replace("/", "-")
    return f"{dossier.record.run_id}-{symbol}.html"
