"""Numbers that two machines write alike."""

from __future__ import annotations

import math

from sigmax_tasks.errors import SigmaxError

SIGNIFICANT_DIGITS = 10


def exact(value: float) -> float:
    """``value`` to 10 significant digits, never minus zero; NaN and infinity are errors.

    Rounding never turns an order around, so that what grew before still does not shrink.
    """
    if not math.isfinite(value):
        raise SigmaxError(f"a decision cannot rest on the number {value}")
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0


def clamp(value: float, low: float, high: float) -> float:
    """``value`` held inside [low, high]."""
    return max(low, min(high, value))


def share(part: float, whole: float) -> float:
    """part / whole held inside [0, 1]; 0 where there is no whole."""
    return clamp(part / whole, 0.0, 1.0) if whole > 0 else 0.0


def age_text(minutes: float) -> str:
    """``45 min``, ``6.7 h`` up to two days, then ``7.5 d``."""
    if minutes < 90:
        return f"{minutes:.0f} min"
    if minutes < 2880:
        return f"{minutes / 60:.3g} h"
    return f"{minutes / 1440:.3g} d"
