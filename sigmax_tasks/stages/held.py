"""What is held already limits what may be added (D5).

With f the share of equity of a holding (below 0: short) and c its correlation with the market in
question, a new position on side d (+1, -1) moves along with

    together = sum over the holdings of max(0, d x sign(f) x c) x |f|

The holding of the market itself has c = 1, and one whose correlation is not known counts in full,
whatever its side: not knowing is never better than knowing. Together and new position stay within
``held_limit_fraction``, all positions within ``max_total_fraction``: the profile's cap is
multiplied by (limit - what is there) / cap.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from sigmax_planner.models import Holding, Portfolio
from sigmax_tasks.models.decision import RiskCheck
from sigmax_tasks.stages.exact import clamp, exact

_MOST_SHOWN = 6


def held_checks(
    portfolio: Portfolio | None,
    symbol: str,
    side: int,
    *,
    correlation_of: Callable[[str], float | None],
    cap_fraction: float,
    held_limit_fraction: float,
    max_total_fraction: float,
) -> tuple[RiskCheck, ...]:
    """One check on what moves along, one on all positions; none without holdings.

    ``correlation_of`` is that of a coin with this market; ``side`` 0 takes no side.
    """
    if portfolio is None or not portfolio.holdings:
        return ()
    parts = [_part(holding, symbol, side, correlation_of) for holding in portfolio.holdings]
    together = exact(math.fsum(share for share, _ in parts))
    everything = exact(math.fsum(abs(h.fraction) for h in portfolio.holdings))
    shown = ", ".join(text for _, text in parts[:_MOST_SHOWN])
    more = len(parts) - _MOST_SHOWN
    detail = f"{shown} and {more} more" if more > 0 else shown
    return (
        _room("held and moving along", together, held_limit_fraction, cap_fraction, detail),
        _room("all positions held", everything, max_total_fraction, cap_fraction, ""),
    )


def _part(
    holding: Holding, symbol: str, side: int, correlation_of: Callable[[str], float | None]
) -> tuple[float, str]:
    """What of a holding moves along, and that in words."""
    size, sign = abs(holding.fraction), 1 if holding.fraction > 0 else -1
    base = holding.symbol.partition("/")[0]
    correlation = 1.0 if base == symbol.partition("/")[0] else correlation_of(base)
    if correlation is None:
        return size, f"{holding.symbol} {size:.2%} x 1 (correlation unknown)"
    along = abs(correlation) if side == 0 else max(0.0, side * sign * correlation)
    return size * along, f"{holding.symbol} {size:.2%} x {along:.2f}"


def _room(name: str, there: float, limit: float, cap: float, detail: str) -> RiskCheck:
    factor = exact(clamp((limit - there) / cap, 0.0, 1.0)) if cap > 0 else 0.0
    said = f" ({detail})" if detail else ""
    return RiskCheck(
        name=name,
        value=there,
        limit=limit,
        factor=factor,
        arithmetic=(
            f"{name} {there:.2%}{said}, limit {limit:.2%}: leaves "
            f"{max(0.0, limit - there):.2%} for a cap of {cap:.2%}: cap x {factor:.4f}"
        ),
    )
