"""From Python arguments to checked requests, before anything is started or sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sigmax_planner.models import (
    LONGEST_SECONDS,
    AnalysisRequest,
    DataMode,
    MarketContext,
    parse_symbol,
)
from sigmax_planner.policy import Planning, PlanningPolicy
from sigmax_tasks import clock
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.settings import Settings, load_settings

SIMULATOR_URL = "SIGMAX_SIMULATOR_URL"
_LARGEST_SEED = 10**18 - 1


@dataclass(frozen=True)
class DataOptions:
    """Where the data come from. ``server_url`` is a data server that runs already."""

    mode: DataMode
    seed: int | None = None
    as_of: datetime | None = None
    replay_dir: Path | None = None
    server_url: str | None = None


def read_settings(config_dir: str | Path | None, overrides: Sequence[str]) -> Settings:
    """The configuration, as every command reads it."""
    if isinstance(overrides, str) or not all(isinstance(item, str) for item in overrides):
        raise TypeError("overrides is a list of 'KEY=VALUE' texts")
    return load_settings(None if config_dir is None else Path(config_dir), overrides).settings


def settings_with(settings: Settings, changes: Mapping[str, Any], where: str) -> Settings:
    """Those settings with nested keys of the YAML files on top.

    Keys of planning.yaml's section ``planning`` may also stand at the top level. Raises a
    :class:`ConfigurationError` that names ``where`` and the key.
    """
    if not changes:
        return settings
    tree: dict[str, Any] = deepcopy(settings.tree)
    origins: dict[str, str] = {}
    for key, value in changes.items():
        if not isinstance(key, str):
            raise ConfigurationError(f"{where}: the key {key!r} is not text")
        in_section = key in Planning.model_fields and key not in PlanningPolicy.model_fields
        _merge(tree, {"planning": {key: value}} if in_section else {key: value}, "", where, origins)
    return Settings.from_tree(tree, origins)


def _merge(
    tree: dict[str, Any],
    changes: Mapping[str, Any],
    prefix: str,
    where: str,
    origins: dict[str, str],
) -> None:
    for key, value in changes.items():
        dotted = f"{prefix}{key}"
        old = tree.get(key)
        if isinstance(value, Mapping) and isinstance(old, dict):
            _merge(old, value, f"{dotted}.", where, origins)
        else:
            tree[key] = deepcopy(value)
            origins[dotted] = where


def check_data(
    data: str,
    settings: Settings,
    environ: Mapping[str, str],
    now: datetime,
    *,
    seed: int | None,
    as_of: datetime | str | None,
    replay_dir: str | Path | None,
) -> DataOptions:
    """The options of the data as a whole; :class:`ConfigurationError` where they do not fit.

    The clock of the simulated market stands still, also where ``as_of`` is None.
    """
    try:
        mode = DataMode(data)
    except ValueError:
        known = ", ".join(repr(known.value) for known in DataMode)
        raise ConfigurationError(f"data={data!r} is not one of {known}") from None
    moment = _moment(as_of, now)
    if mode is not DataMode.SIMULATED and seed is not None:
        raise ConfigurationError(f"seed does not go with data={mode.value!r}")
    if mode is not DataMode.REPLAY and replay_dir is not None:
        raise ConfigurationError(f"replay_dir does not go with data={mode.value!r}")
    if mode is DataMode.LIVE:
        if moment is not None:
            raise ConfigurationError(
                "as_of does not go with data='live', which is about now",
                advice="use data='replay' or data='simulated'",
            )
        return DataOptions(mode)
    url = _server_url(environ)
    if mode is DataMode.SIMULATED:
        if moment is not None:
            _check_simulated_time(moment)
        simulator = settings.runtime.simulator
        own_seed = simulator.seed if seed is None else _seed(seed)
        return DataOptions(mode, own_seed, moment or simulator.as_of, None, url)
    if moment is None:
        raise ConfigurationError("data='replay' needs as_of, the moment to replay")
    if replay_dir is None and url is None:
        raise ConfigurationError("data='replay' needs replay_dir, the folder of recordings")
    folder = None if replay_dir is None else Path(replay_dir).resolve()
    if folder is not None and not folder.is_dir():
        raise ConfigurationError(f"replay_dir {str(replay_dir)!r} is not a folder")
    return DataOptions(mode, None, moment, folder, url)


def make_request(
    symbol: str,
    risk_profile: str,
    data: DataOptions,
    *,
    watchlist: Iterable[str] = (),
    width: int | None = None,
    include_optional: bool | None = None,
    max_cost_usd: Decimal | float | str | None = None,
    deadline_seconds: float | None = None,
    market: Mapping[str, Any] | MarketContext | None = None,
) -> AnalysisRequest:
    """One checked question; a planning or configuration error says what is wrong with it."""
    if isinstance(watchlist, str):
        raise ConfigurationError("watchlist is a list of symbols, not one text")
    own = parse_symbol(symbol)
    if isinstance(market, Mapping):
        # A context without a time is of the moment that is asked about.
        market = {"observed_at": data.as_of or clock.now(), **market}
    others = dict.fromkeys(parse_symbol(other) for other in watchlist)
    if deadline_seconds is not None and (
        isinstance(deadline_seconds, bool)
        or not isinstance(deadline_seconds, int | float)
        or not 0 < deadline_seconds <= LONGEST_SECONDS
    ):
        raise ConfigurationError(
            f"deadline_seconds {deadline_seconds!r} is not a number above 0 and up to "
            f"{LONGEST_SECONDS:g}"
        )
    try:
        return AnalysisRequest.model_validate(
            {
                "symbol": own,
                "risk_profile": risk_profile,
                "data_mode": data.mode,
                "watchlist": tuple(other for other in others if other != own),
                "width": width,
                "include_optional": include_optional,
                "max_cost_usd": max_cost_usd,
                "deadline_seconds": deadline_seconds,
                "as_of": data.as_of,
                "seed": data.seed,
                "market": market,
            }
        )
    except ValidationError as error:
        raise one_line(error, "the request") from error


def one_line(error: ValidationError, where: str) -> ConfigurationError:
    """The first problem of a validation as one clear line."""
    first = error.errors(include_url=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    shown = "" if isinstance(first["input"], Mapping) else f" (got {first['input']!r})"
    return ConfigurationError(f"{where}: {key}: {first['msg']}{shown}")


def _moment(as_of: datetime | str | None, now: datetime) -> datetime | None:
    if as_of is None:
        return None
    moment = as_of
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment.strip())
        except ValueError:
            raise ConfigurationError(
                f"as_of {as_of!r} is not a time", advice="write it like 2025-03-14T12:00Z"
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ConfigurationError(f"as_of {as_of!r} is not a time with a zone")
    moment = moment.astimezone(UTC)
    if moment > now:
        raise ConfigurationError(f"as_of {moment:%Y-%m-%d %H:%M} UTC lies in the future")
    return moment


def _check_simulated_time(moment: datetime) -> None:
    from sigmax_tasks.simulator.market import FIRST_MS  # builds tables; other modes need none

    first = datetime.fromtimestamp(FIRST_MS / 1000, UTC)
    if moment < first:
        raise ConfigurationError(
            f"as_of {moment:%Y-%m-%d %H:%M} UTC is before the simulated market, which can be "
            f"asked about from {first:%Y-%m-%d %H:%M} UTC on"
        )


def _seed(seed: int) -> int:
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= _LARGEST_SEED:
        raise ConfigurationError(f"seed {seed!r} is not a whole number from 0 to {_LARGEST_SEED}")
    return seed


def _server_url(environ: Mapping[str, str]) -> str | None:
    url = environ.get(SIMULATOR_URL, "").strip().rstrip("/")
    if url and not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"{SIMULATOR_URL} {url!r} is not an http address")
    return url or None
