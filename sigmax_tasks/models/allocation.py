"""How the decisions of one watchlist share the equity."""

from __future__ import annotations

from pydantic import Field

from sigmax_planner.models import Message, Symbol


class AllocationShare(Message):
    """``fraction`` of the equity for one symbol, ``of_total`` its share of all that is placed."""

    symbol: Symbol
    fraction: float = Field(ge=0, le=1)
    of_total: float = Field(ge=0, le=1)


class Allocation(Message):
    """One share per decision, in their order; long and short alike take up equity.

    ``volatility_annual`` is that of all positions together, as a fraction of the equity; None
    where the returns of no position are known. ``steps`` show how it came about.
    """

    shares: tuple[AllocationShare, ...]
    total_fraction: float = Field(ge=0, le=1)
    volatility_annual: float | None = Field(default=None, ge=0)
    steps: tuple[str, ...] = ()

    def share_of(self, symbol: str) -> AllocationShare | None:
        return next((share for share in self.shares if share.symbol == symbol), None)
