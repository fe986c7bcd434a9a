"""The file of what is held: YAML with ``equity_usd`` and ``holdings``."""

from __future__ import annotations

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
    if not isinstance(content, dict) or not isinstance(content.get("holdings", {}), dict):
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
