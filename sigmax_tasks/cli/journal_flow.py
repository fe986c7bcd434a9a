"""The flow of ``sigmax journal``: open the right home, list, resolve, sum up."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sigmax_planner.models import DataMode, parse_symbol
from sigmax_tasks import clock
from sigmax_tasks.cli.options import config_path, parse_as_of
from sigmax_tasks.cli.records import open_client
from sigmax_tasks.cluster_link import reachable
from sigmax_tasks.data_choice import data_server_url
from sigmax_tasks.data_server import serve_data
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.journal import FileJournal, Journal, JournalQuery, default_file
from sigmax_tasks.models.journal import JournalEntry, Outcome
from sigmax_tasks.outcomes import OutcomeDesk
from sigmax_tasks.report.journal_view import entry_line, journal_view, stats_view
from sigmax_tasks.report.numbers import count, percent
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.settings import Settings, load_settings
from sigmax_tasks.stages.calibrate import track_records
from sigmax_tasks.stages.resolve import StillOpen

_TABLE_ROWS = 50
_MOST_LISTED = 1_000_000

CSV_COLUMNS = (
    "run_id", "symbol", "profile", "data_mode", "simulated", "seed", "as_of", "decided_at",
    "action", "confidence", "score", "size", "validated", "reference", "stop", "target",
    "horizon_hours", "decision_hash", "settings_hash", "resolved_at", "exit_at", "exit_price",
    "return_fraction", "hit", "correct", "candles",
)  # fmt: skip
"""An entry and its outcome in one row; contributions and gaps are in the JSON only."""


def list_entries(
    *,
    as_json: bool,
    as_csv: bool,
    symbol: str | None,
    profile: str | None,
    data: str | None,
    limit: str | None,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> int:
    """Everything behind ``sigmax journal``."""
    if as_json and as_csv:
        raise ConfigurationError("--json and --csv do not go together")
    most = _parse_limit(limit)
    query = _query(symbol, profile, data, most)
    settings = load_settings(config_path(config_dir), overrides).settings
    terminal = Terminal.of_streams()
    with open_journal(settings, broker) as kept:
        if most is None and not (as_json or as_csv):
            query = _query(symbol, profile, data, _TABLE_ROWS)
        entries = kept.entries(query)
        if most is None:  # who asks for a few does not want to wait for all
            _tell_damage(kept, terminal)
        where = kept.where
    if as_json:
        for entry in entries:
            terminal.write_json(entry.model_dump(mode="json"))
    elif as_csv:
        terminal.write_line(_csv_line(CSV_COLUMNS))
        for entry in entries:
            terminal.write_line(_csv_line(csv_row(entry)))
    elif entries:
        terminal.result(journal_view(entries))
        if most is None and len(entries) == _TABLE_ROWS:
            terminal.log(f"the newest {_TABLE_ROWS}; --limit N shows more")
    else:
        terminal.log(f"no decision in {where}")
    return 0


def resolve_entries(
    *,
    data: str,
    replay_dir: str | None,
    as_of: str | None,
    symbol: str | None,
    profile: str | None,
    as_json: bool,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> int:
    """Everything behind ``sigmax journal resolve``; JSON Lines hold the entries just resolved."""
    mode = DataMode(data.lower())
    now = clock.now()
    moment = parse_as_of(as_of, now) or now
    settings = load_settings(config_path(config_dir), overrides).settings
    server_url = None if mode is DataMode.LIVE else data_server_url(os.environ)
    folder = _replay_folder(mode, replay_dir, server_url)
    terminal = Terminal.of_streams()

    def tell(entry: JournalEntry, found: Outcome | StillOpen) -> None:
        if isinstance(found, Outcome):
            gained = percent(found.return_fraction, signed=True)
            ending = f"{found.hit.value}, {gained} ({found.candles})"
        else:
            ending = f"still open, {found.reason}"
        terminal.log(entry_line(entry, ending))

    with open_journal(settings, broker) as kept:
        entries = kept.entries(_query(symbol, profile, mode.value, None))
        _tell_damage(kept, terminal)
        unresolved = [entry for entry in entries if entry.outcome is None]
        with (
            serve_data(mode, server_url, folder) as source_root,
            closing(OutcomeDesk(settings, source_root)) as desk,
        ):
            found = desk.resolve(unresolved, moment, tell)
        new = kept.settle(found.outcomes)
    for reason, number in sorted(found.still_open.items()):
        terminal.log(f"{count(number, 'decision')} still open: {reason}")
    terminal.log(f"{count(new, 'decision')} resolved")
    if as_json:
        for entry in unresolved:
            if entry.run_id in found.outcomes:
                known = entry.model_copy(update={"outcome": found.outcomes[entry.run_id]})
                terminal.write_json(known.model_dump(mode="json"))
    return 0


def show_stats(
    *,
    symbol: str | None,
    profile: str | None,
    data: str | None,
    as_json: bool,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> int:
    """Everything behind ``sigmax journal stats``; JSON Lines hold one kind of decision each."""
    settings = load_settings(config_path(config_dir), overrides).settings
    terminal = Terminal.of_streams()
    with open_journal(settings, broker) as kept:
        records = track_records(kept.entries(_query(symbol, profile, data, None)))
        _tell_damage(kept, terminal)
        where = kept.where
    if as_json:
        for record in records:
            terminal.write_json(asdict(record))
    elif records:
        terminal.result(stats_view(records))
    else:
        terminal.log(f"no decision in {where}")
    return 0


@contextmanager
def open_journal(settings: Settings, broker: str | None) -> Iterator[Journal]:
    """The journal of the cluster that is named or configured, else that of the data folder."""
    url = broker or settings.runtime.broker.url
    if url is None:
        yield FileJournal(default_file())
        return
    with open_client(settings, broker) as client, reachable(url):
        yield client.journal


def csv_row(entry: JournalEntry) -> list[str]:
    """The values of :data:`CSV_COLUMNS`; empty where there is none."""
    content: dict[str, Any] = entry.model_dump(mode="json")
    content |= content["outcome"] or {}
    return ["" if content.get(name) is None else str(content[name]) for name in CSV_COLUMNS]


def _csv_line(values: list[str] | tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def _tell_damage(kept: Journal, terminal: Terminal) -> None:
    for sentence in kept.damage():
        terminal.log(f"warning: {sentence}")


def _query(
    symbol: str | None, profile: str | None, data: str | None, limit: int | None
) -> JournalQuery:
    return JournalQuery(
        symbol=None if symbol is None else parse_symbol(symbol),
        profile=profile,
        data_mode=None if data is None else DataMode(data.lower()),
        limit=limit,
    )


def _replay_folder(mode: DataMode, text: str | None, server_url: str | None) -> Path | None:
    if mode is not DataMode.REPLAY:
        if text is not None:
            raise ConfigurationError(
                f"--replay-dir does not go with --data {mode.value}", advice="add --data replay"
            )
        return None
    if text is None:
        if server_url is not None:
            return None
        raise ConfigurationError("--data replay needs --replay-dir, the folder of recordings")
    folder = Path(text)
    if not folder.is_dir():
        raise ConfigurationError(f"--replay-dir {text!r} is not a folder")
    return folder.resolve()


def _parse_limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,7}", text, re.ASCII) or not 1 <= int(text) <= _MOST_LISTED:
        raise ConfigurationError(f"--limit {text!r} is not a whole number from 1 to {_MOST_LISTED}")
    return int(text)
