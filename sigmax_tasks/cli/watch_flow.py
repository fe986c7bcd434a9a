"""Follows a run that somebody else submitted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cli.following import Follower
from sigmax_tasks.cli.printer import DecisionPrinter
from sigmax_tasks.cli.records import MOST_RUNS, find_run, open_client, open_records
from sigmax_tasks.client import Client
from sigmax_tasks.errors import RunNotFoundError
from sigmax_tasks.ids import RUN_ID_PATTERN
from sigmax_tasks.report.progress import RunProgress
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.settings import Settings


def watch_run(reference: str, settings: Settings, broker: str | None, *, as_json: bool) -> ExitCode:
    """Progress on stderr, the decision on stdout; for a finished run the decision at once."""
    terminal = Terminal.of_streams(streaming=as_json)
    with open_client(settings, broker) as client, open_records(settings, broker) as records:
        newest_first = [run_id for run_id, _ in reversed(client.live_runs())]
        known = [*newest_first, *records.ids(MOST_RUNS)]
        run_id = _find(reference, known, client)
        printer = DecisionPrinter(terminal, [run_id], as_json=as_json, seed=None)
        if run_id in newest_first:
            follower = Follower(client, [RunProgress(run_id)], terminal, on_end=printer.take)
            with terminal.following():
                follower.run()
        else:
            printer.take(run_id, records.record(run_id))
        with suppress(RunNotFoundError):  # a run that gave no decision has no dossier
            printer.seed = records.dossier(run_id).request.seed
        return printer.finish()


def _find(reference: str, known: Sequence[str], client: Client) -> str:
    """The run meant. A cancelled run is in no list: asked by its whole id it says so itself."""
    try:
        return find_run(reference, known, "the cluster")
    except RunNotFoundError:
        if not RUN_ID_PATTERN.fullmatch(reference):
            raise
        for _ in client.follow([reference]):
            pass
        return reference
