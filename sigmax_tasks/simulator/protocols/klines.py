"""Candles as Binance and those that follow it are asked for them: an interval, a span, a limit."""

from __future__ import annotations

from typing import Final

from sigmax_tasks.simulator.protocols.reply import Request
from sigmax_tasks.simulator.world import Candle, Market, World

MOST: Final = 1000


def asked_klines(
    world: World,
    venue: str,
    market: Market,
    request: Request,
    seconds: int,
    *,
    span: tuple[str, str],
    usual: int,
) -> list[Candle]:
    """Candles of ``seconds``, oldest first.

    ``span`` names the parameters of the first and the last open time in milliseconds, ``usual`` is
    the limit where none is asked for. Raises ``BadRequestError``.
    """
    start, end = span
    return world.candles(
        venue,
        market,
        seconds,
        start_ms=request.optional(start),
        end_ms=request.optional(end),
        limit=request.integer("limit", usual, 1, MOST),
    )
