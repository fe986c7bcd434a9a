"""What ``sigmax schedule`` prints."""

from __future__ import annotations

import os
import re
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from sigmax_tasks import clock
from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cli.options import config_path
from sigmax_tasks.cluster import running_cluster
from sigmax_tasks.cluster_link import connect, reachable
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.report.schedule_view import ScheduleLine, schedule_view, times_view
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.settings import LoadedSettings, load_settings
from sigmax_tasks.settings.schedule import ScheduleEntry
from sigmax_tasks.slots import LastSlot, SlotBook
from sigmax_tasks.timetable import check_data_server, crontab_of

_MOST_TIMES = 1000


def list_schedules(
    *, as_json: bool, broker: str | None, config_dir: str | None, overrides: tuple[str, ...]
) -> ExitCode:
    """The entries in the order of the file."""
    loaded = load_settings(config_path(config_dir), overrides)
    schedules = loaded.settings.schedule.schedules
    terminal = Terminal.of_streams()
    last = _last_slots(loaded, broker, list(schedules))
    now = clock.now()
    lines = [
        ScheduleLine(name, entry, crontab_of(name, entry).next_after(now), last.get(name))
        for name, entry in schedules.items()
    ]
    for line in lines:
        if as_json:
            terminal.write_json(_json_line(line))
    if not lines:
        terminal.log("no schedules; describe them in schedule.yaml, the shipped one shows how")
    elif not as_json:
        terminal.result(schedule_view(lines))
    try:
        check_data_server(loaded.settings.schedule, os.environ)
    except ConfigurationError as error:
        terminal.log(f"warning: beat would not start from here: {error}")
    return ExitCode.OK


def next_times(
    *,
    name: str | None,
    count: str,
    as_json: bool,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> ExitCode:
    """The coming times, each in UTC and in its zone."""
    if not re.fullmatch(r"[0-9]{1,4}", count, re.ASCII) or not 1 <= int(count) <= _MOST_TIMES:
        raise ConfigurationError(f"--count {count!r} is not a whole number from 1 to {_MOST_TIMES}")
    settings = load_settings(config_path(config_dir), overrides).settings.schedule
    chosen = settings.schedules if name is None else {name: settings.entry(name)}
    now = clock.now()
    found = sorted(
        (at, each, entry.timezone)
        for each, entry in chosen.items()
        for at in islice(crontab_of(each, entry).upcoming(now), int(count))
    )[: int(count)]
    terminal = Terminal.of_streams()
    if as_json:
        for at, each, zone in found:
            local = at.astimezone(ZoneInfo(zone)).isoformat()
            terminal.write_json({"name": each, "at": at.isoformat(), "local": local, "zone": zone})
    elif found:
        terminal.result(times_view(found, now))
    else:
        terminal.log("no schedules")
    return ExitCode.OK


def submission_of(name: str, config_dir: str | None, overrides: tuple[str, ...]) -> dict[str, Any]:
    """The options of ``sigmax-submit`` that say the same as an entry."""
    loaded = load_settings(config_path(config_dir), overrides)
    entry = loaded.settings.schedule.entry(name).resolved(loaded.folder)
    return {
        "symbols": entry.symbols,
        "watchlist": entry.watchlist,
        "portfolio": entry.portfolio,
        "profile": entry.profile,
        "data": entry.data,
        "deadline": None if entry.deadline is None else f"{entry.deadline:g}",
        "max_cost": None if entry.max_cost is None else str(entry.max_cost),
    }


def _last_slots(
    loaded: LoadedSettings, broker: str | None, names: list[str]
) -> dict[str, LastSlot]:
    """How the last time of each ended; nothing where no cluster runs."""
    cluster = running_cluster(loaded.settings, broker) if names else None
    if cluster is None:
        return {}
    url = cluster.broker_url
    seconds = loaded.settings.runtime.broker.connect_timeout_seconds
    with closing(connect(url, connect_timeout_seconds=seconds)) as client, reachable(url):
        book = SlotBook(client)
        found = {name: book.last(name) for name in names}
    return {name: last for name, last in found.items() if last is not None}


def _json_line(line: ScheduleLine) -> dict[str, Any]:
    entry: ScheduleEntry = line.entry
    last = line.last
    return {
        "name": line.name,
        **entry.model_dump(mode="json"),
        "next": line.next_at.isoformat(),
        "last": None
        if last is None
        else {
            "slot": datetime.fromtimestamp(last.slot, UTC).isoformat(),
            "result": last.result,
            "detail": last.detail,
            "at": last.at.isoformat(),
            "run_ids": list(last.run_ids),
        },
    }
