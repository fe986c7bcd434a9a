"""What is held: ``equity_usd`` and ``holdings``, in a YAML file or as a mapping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sigmax_planner.errors import InvalidSymbolError
from sigmax_planner.models import Holding, Portfolio, parse_symbol
from sigmax_tasks.errors import ConfigurationError

MOST_BYTES = 100_000
_FORM = (
    "write equity_usd: 100000 and holdings: {ETH/USDT: 0.10}, shares of the equity, below 0 short"
)


def read_portfolio(path: Path, called: str) -> Portfolio:
    """The portfolio in a file; :class:`ConfigurationError` names it as ``called``."""
    try:
        if not path.is_file():
            raise ConfigurationError(f"{called} is not a file")
        if path.stat().st_size > MOST_BYTES:
            raise ConfigurationError(f"{called} is larger than {MOST_BYTES} bytes")
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{called} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{called} is not valid YAML: {error}", advice=_FORM) from error
    return portfolio_of(content, called)


def portfolio_of(content: object, called: str) -> Portfolio:
    """The portfolio in a mapping; :class:`ConfigurationError` names it as ``called``."""
    if not isinstance(content, Mapping) or not isinstance(content.get("holdings", {}), Mapping):
        raise ConfigurationError(f"{called} is not a portfolio", advice=_FORM)
    unknown = set(content) - {"equity_usd", "holdings"}
    if unknown:
        raise ConfigurationError(f"{called}: unknown key {min(map(str, unknown))!r}", advice=_FORM)
    try:
        holdings = tuple(
            Holding(symbol=parse_symbol(symbol), fraction=fraction)
            for symbol, fraction in (content.get("holdings") or {}).items()
        )
        return Portfolio(equity_usd=content.get("equity_usd"), holdings=holdings)
    except InvalidSymbolError as error:
        raise ConfigurationError(f"{called}: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "holdings"
        raise ConfigurationError(f"{called}: {place}: {first['msg']}", advice=_FORM) from error


def compared_with(
    symbol: str, others: Iterable[str], portfolio: Portfolio | None
) -> tuple[str, ...]:
    """The markets that research on ``symbol`` compares it with.

    What is held comes first: research compares with a limited number of markets.
    """
    held = [holding.symbol for holding in portfolio.holdings] if portfolio is not None else []
    return tuple(other for other in dict.fromkeys((*held, *others)) if other != symbol)
