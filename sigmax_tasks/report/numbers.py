"""Numbers, times and the data mode as a person reads them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sigmax_planner.estimates import usd_text
from sigmax_planner.models import DataMode

MISSING = "n/a"


def money(amount: Decimal) -> str:
    """USD: ``$0.19``, and up to four decimals for small amounts."""
    return usd_text(amount.quantize(Decimal("0.0001")))


def price(value: float | None, *, like: float | None = None) -> str:
    """In the quote currency, with as many decimals as its size, or that of ``like``, calls for."""
    if value is None:
        return MISSING
    return f"{value:,.{price_decimals(value if like is None else like)}f}"


def price_decimals(value: float) -> int:
    size = abs(value)
    return 2 if size >= 100 else 4 if size >= 1 else 8


def percent(fraction: float | None, *, signed: bool = False) -> str:
    if fraction is None:
        return MISSING
    return f"{fraction * 100:{'+' if signed else ''}.1f} %"


def seconds_text(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"


def hours_text(hours: float) -> str:
    return f"{hours:g} h" if hours <= 72 else f"{hours / 24:.3g} days"


def time_text(moment: datetime) -> str:
    """Minutes are enough for people; the JSON has the rest."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def count(number: int, word: str, plural: str = "s") -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}{plural}"


def data_banner(mode: DataMode, as_of: datetime | None, seed: int | None = None) -> str:
    """Says where the data come from; stands on everything a run prints."""
    moment = "" if as_of is None else f", as of {time_text(as_of)}"
    if mode is DataMode.LIVE:
        return f"LIVE DATA{moment}"
    if mode is DataMode.REPLAY:
        return f"REPLAY OF RECORDED DATA{moment}"
    shown_seed = "" if seed is None else f", seed {seed}"
    return f"SIMULATED DATA{shown_seed}{moment}"
