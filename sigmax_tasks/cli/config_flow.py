"""What ``sigmax config`` prints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sigmax_planner.models import AnalysisRequest
from sigmax_planner.planner import create_plan
from sigmax_tasks import clock
from sigmax_tasks.errors import UnknownKeyError
from sigmax_tasks.handlers import check_handlers
from sigmax_tasks.llm.readiness import check_key, readiness_line
from sigmax_tasks.redact import names_secret, redact_url
from sigmax_tasks.settings import LoadedSettings
from sigmax_tasks.settings.layers import flatten
from sigmax_tasks.timetable import crontab_of
from sigmax_tasks.watchlist import read_symbols


@dataclass(frozen=True)
class EffectiveValue:
    """One leaf of the configuration; secrets are taken out of ``value``, which is JSON."""

    key: str
    value: Any
    origin: str


def effective_values(loaded: LoadedSettings, key: str | None) -> tuple[EffectiveValue, ...]:
    """All leaves at or below ``key``, sorted; :class:`UnknownKeyError` where there is none."""
    leaves = dict(flatten(loaded.tree))
    wanted = [
        dotted
        for dotted in sorted(leaves)
        if key is None or dotted == key or dotted.startswith(f"{key}.")
    ]
    if not wanted and key is not None:
        sections = {".".join(k.split(".")[:n]) for k in leaves for n in range(1, k.count(".") + 1)}
        raise UnknownKeyError(key, "the configuration", {*leaves, *sections})
    return tuple(
        EffectiveValue(dotted, _harmless(dotted, leaves[dotted]), _origin(dotted, loaded))
        for dotted in wanted
    )


def check_configuration(loaded: LoadedSettings) -> list[str]:
    """A line per profile and schedule, and one on the debate; raises the first problem.

    Loading has checked the settings.
    """
    settings = loaded.settings
    check_handlers(
        [task for name in settings.planning.profiles for task in _plan(loaded, name).tasks]
    )
    lines = [
        f"profile {name}: {_plan(loaded, name).summary.removeprefix('Research plan created: ')}"
        for name in settings.planning.profiles
    ]
    check_key(settings.decision.debate)
    lines.append(readiness_line(settings.decision.debate))
    now = clock.now()
    for name, entry in settings.schedule.schedules.items():
        coming = crontab_of(name, entry).next_after(now)
        found = entry.resolved(loaded.folder)
        if (watchlist := found.watchlist) is not None:
            read_symbols(Path(watchlist), f"the watchlist {watchlist!r} of schedule {name!r}")
        found.holdings(name)
        lines.append(f"schedule {name}: next at {coming:%Y-%m-%d %H:%M} UTC")
    return [f"configuration of {loaded.folder} is sound", *lines]


def _plan(loaded: LoadedSettings, profile: str) -> Any:
    settings = loaded.settings
    request = AnalysisRequest(symbol="BTC/USDT", risk_profile=profile)
    return create_plan(request, settings.planning, settings.catalog, clock.now())


def _origin(dotted: str, loaded: LoadedSettings) -> str:
    """The origin of the key, or of the section it came in with."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        found = loaded.origins.get(".".join(parts[:length]))
        if found is not None:
            return found
    return "shipped"


def _harmless(dotted: str, value: Any) -> Any:
    if value is not None and names_secret(dotted):
        return "***"
    if isinstance(value, str):
        return redact_url(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(k): _harmless(f"{dotted}.{k}", v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_harmless(dotted, item) for item in value]
    return value
