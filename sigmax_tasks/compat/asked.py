"""From Python arguments to checked requests, before anything is started or sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sigmax_planner.models import (
    LONGEST_SECONDS,
    AnalysisRequest,
    DataMode,
    MarketContext,
    Portfolio,
    parse_symbol,
)
from sigmax_planner.policy import Planning, PlanningPolicy
from sigmax_tasks import clock
from sigmax_tasks.data_choice import DataOptions
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.portfolio import compared_with, portfolio_of, read_portfolio
from sigmax_tasks.settings import Settings, load_settings

Held = Mapping[str, Any] | str | Path
"""What is held: a file, or what would stand in it."""


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


def data_mode(data: str) -> DataMode:
    """:class:`ConfigurationError` for a word that is none."""
    try:
        return DataMode(data)
    except ValueError:
        known = ", ".join(repr(known.value) for known in DataMode)
        raise ConfigurationError(f"data={data!r} is not one of {known}") from None


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
    portfolio: Held | None = None,
) -> AnalysisRequest:
    """One checked question; a planning or configuration error says what is wrong with it."""
    if isinstance(watchlist, str):
        raise ConfigurationError("watchlist is a list of symbols, not one text")
    own = parse_symbol(symbol)
    if isinstance(market, Mapping):
        # A context without a time is of the moment that is asked about.
        market = {"observed_at": data.as_of or clock.now(), **market}
    others = [parse_symbol(other) for other in watchlist]
    held = _portfolio(portfolio)
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
                "watchlist": compared_with(own, others, held),
                "portfolio": held,
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


def _portfolio(asked: Held | None) -> Portfolio | None:
    if asked is None:
        return None
    if isinstance(asked, str | Path):
        return read_portfolio(Path(asked), f"portfolio {str(asked)!r}")
    return portfolio_of(asked, "portfolio")


def one_line(error: ValidationError, where: str) -> ConfigurationError:
    """The first problem of a validation as one clear line."""
    first = error.errors(include_url=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    shown = "" if isinstance(first["input"], Mapping) else f" (got {first['input']!r})"
    return ConfigurationError(f"{where}: {key}: {first['msg']}{shown}")
