"""Files of symbols: one a line, ``#`` starts a comment."""

from __future__ import annotations

from pathlib import Path

from sigmax_planner.errors import InvalidSymbolError
from sigmax_planner.models import parse_symbol
from sigmax_tasks.errors import ConfigurationError

MOST_BYTES = 100_000


def read_symbols(path: Path, called: str) -> tuple[str, ...]:
    """The symbols of a file; :class:`ConfigurationError` names it as ``called``, and the line."""
    try:
        if not path.is_file():
            raise ConfigurationError(f"{called} is not a file")
        if path.stat().st_size > MOST_BYTES:
            raise ConfigurationError(f"{called} is larger than {MOST_BYTES} bytes")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{called} cannot be read: {error}") from error
    symbols = []
    for number, line in enumerate(lines, start=1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        try:
            symbols.append(parse_symbol(entry))
        except InvalidSymbolError as error:
            raise ConfigurationError(f"{path} line {number}: {error}") from error
    if not symbols:
        raise ConfigurationError(f"{called} names no symbol")
    return tuple(symbols)
