"""Liquidity: what it costs to trade now, and whether volume is there.

Everything about the book is measured against its mid price (best bid + best ask) / 2. Depth is the
quote value of the levels within a distance of it; a band the book does not reach to the end of is
left out, since what lies behind the last level is not known. Slippage is the loss against mid of a
market order that walks the book, half the spread included; an order the book cannot fill has none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from sigmax_tasks.models.observations import DataNeed, Observation, OrderBook, Trades
from sigmax_tasks.models.research import Finding, ResearchInputs
from sigmax_tasks.research.scoring import (
    InsufficientDataError,
    Notebook,
    clip,
    sample_reliability,
    squash,
)
from sigmax_tasks.research.series import (
    FLAT,
    LIMIT_1D,
    CandleSeries,
    find_candles,
    find_observation,
    log_returns,
    volume_ratio,
)

Levels = Sequence[tuple[float, float]]

BOOK_LEVELS: Final = 500
TRADES_LIMIT: Final = 500
BANDS: Final = ((0.001, "0_1pct"), (0.005, "0_5pct"), (0.01, "1pct"), (0.02, "2pct"))
ORDER_SIZES: Final = ((10_000.0, "10k"), (50_000.0, "50k"), (100_000.0, "100k"))
DOLLARS: Final = frozenset({"USD", "USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI", "PYUSD", "USDE"})
VOLUME_ONLY_STRENGTH: Final = 0.4


def needs(symbol: str, watchlist: tuple[str, ...]) -> tuple[DataNeed, ...]:  # noqa: ARG001 (common signature)
    """The order book, daily volumes and recent trades; each can be missing, not the first two."""
    return (
        DataNeed(source="orderbook", kind="order_book", symbol=symbol, limit=BOOK_LEVELS),
        DataNeed(source="volume_data", kind="candles", name="1d", symbol=symbol, limit=LIMIT_1D),
        DataNeed(source="volume_data", kind="trades", symbol=symbol, limit=TRADES_LIMIT),
    )


def research(inputs: ResearchInputs) -> Finding:
    """The liquidity finding, on volume alone (and weak) without a book.

    InsufficientDataError where there is neither a book nor six daily candles.
    """
    observation = find_observation(inputs, "orderbook", "order_book")
    days = find_candles(inputs, "volume_data", "1d")
    ratio = volume_ratio(days.volumes) if days is not None else None
    if observation is None and ratio is None:
        raise InsufficientDataError(
            f"liquidity of {inputs.symbol} needs an order book or six daily volumes, "
            "there is neither"
        )
    notes = Notebook(inputs)
    if observation is not None and isinstance(observation.data, OrderBook):
        _read_book(notes, observation, observation.data)
    else:
        notes.labels["book"] = "missing, volume only"
    if days is not None and ratio is not None:
        _read_volume(notes, days, *ratio)
    else:
        notes.labels["volume"] = "missing"
    trades = find_observation(inputs, "volume_data", "trades")
    if trades is not None and isinstance(trades.data, Trades):
        _read_trades(notes, trades, trades.data)
    return notes.finding(
        _summary(notes),
        strength_factor=1.0 if observation is not None else VOLUME_ONLY_STRENGTH,
    )


def depth_within(levels: Levels, mid: float, distance: float) -> float | None:
    """Quote value of the levels within ``distance`` (a fraction) of mid; one side, best first.

    None where the last level is still inside the band: the book may go on there.
    """
    if abs(levels[-1][0] / mid - 1.0) < distance - FLAT:
        return None
    return _value_within(levels, mid, distance)


def slippage(levels: Levels, mid: float, quote_size: float) -> float | None:
    """Loss against mid, a fraction of price, of an order for ``quote_size`` on this side.

    Walks the levels from the best until their quote value reaches the size; the average price is
    the size over the base amount. None where all levels together are worth less.
    """
    left, base = quote_size, 0.0
    for price, amount in levels:
        value = price * amount
        if value >= left:
            base += left / price
            return abs(quote_size / base / mid - 1.0)
        left -= value
        base += amount
    return None


def _value_within(levels: Levels, mid: float, distance: float) -> float:
    return math.fsum(
        price * amount for price, amount in levels if abs(price / mid - 1.0) <= distance + FLAT
    )


def _read_book(notes: Notebook, observation: Observation, book: OrderBook) -> None:
    bid, ask = book.bids[0][0], book.asks[0][0]
    mid = (bid + ask) / 2.0
    spread_bps = (ask - bid) / mid * 1e4
    notes.measure("mid_price", mid, "quote currency", observation)
    notes.measure("spread_bps", spread_bps, "basis points of mid", observation)
    sides: tuple[tuple[str, Levels], ...] = (("bid", book.bids), ("ask", book.asks))
    for side, levels in sides:
        reach = abs(levels[-1][0] / mid - 1.0)
        notes.measure(f"book_reach_{side}", reach, "fraction of mid", observation)
        notes.measure(f"book_levels_{side}", len(levels), "count", observation)
        total = math.fsum(price * amount for price, amount in levels)
        notes.measure(f"book_value_{side}", total, "quote currency", observation)
        for distance, tag in BANDS:
            depth = depth_within(levels, mid, distance)
            if not notes.measure(f"depth_{side}_{tag}", depth, "quote currency", observation):
                notes.labels[f"depth_{side}_{tag}"] = f"book reaches only {reach:.2%}"
    for _, tag in BANDS:
        bids, asks = notes.value(f"depth_bid_{tag}"), notes.value(f"depth_ask_{tag}")
        if bids is not None and asks is not None and bids + asks > 0:
            notes.measure(
                f"imbalance_{tag}",
                (bids - asks) / (bids + asks),
                "(bid - ask) / (bid + ask)",
                observation,
            )
    _measure_slippage(notes, observation, book, mid)
    notes.labels["liquidity"] = _grade(notes, spread_bps)
    notes.argue(
        "spread",
        f"spread {spread_bps:.2f} bps on {observation.lineage.provider}, "
        f"{notes.labels['liquidity']} market",
        observation,
        polarity=0.0,
        reliability=0.15,
        metric_names=("spread_bps", "mid_price"),
    )
    _read_imbalance(notes, observation, book, mid)


def _measure_slippage(
    notes: Notebook, observation: Observation, book: OrderBook, mid: float
) -> None:
    quote = book.symbol.partition("/")[2]
    if quote not in DOLLARS:
        notes.labels["slippage"] = f"not computed, {quote} is not a dollar"
        return
    for side, levels in (("buy", book.asks), ("sell", book.bids)):
        for size, tag in ORDER_SIZES:
            loss = slippage(levels, mid, size)
            if not notes.measure(f"slippage_{side}_{tag}", loss, "fraction of price", observation):
                notes.labels[f"slippage_{side}_{tag}"] = "book too thin for the order"


def _read_imbalance(notes: Notebook, observation: Observation, book: OrderBook, mid: float) -> None:
    """Bids against asks out to 1 %, or as far as both sides reach. Orders can be withdrawn."""
    reach = min(abs(levels[-1][0] / mid - 1.0) for levels in (book.bids, book.asks))
    distance = min(0.01, reach)
    bids, asks = (_value_within(levels, mid, distance) for levels in (book.bids, book.asks))
    if bids + asks <= 0:
        return
    imbalance = (bids - asks) / (bids + asks)
    notes.measure("imbalance", imbalance, "(bid - ask) / (bid + ask)", observation)
    notes.measure("imbalance_distance", distance, "fraction of mid", observation)
    levels_read = min(len(book.bids), len(book.asks))
    notes.argue(
        "imbalance",
        f"order book imbalance {imbalance:+.2f} within {distance:.2%} of mid",
        observation,
        polarity=squash(imbalance, 0.6),
        reliability=0.25 * sample_reliability(levels_read, 20) * clip(distance / 0.002, 0.2, 1.0),
        metric_names=("imbalance", "imbalance_distance"),
    )


def _read_volume(notes: Notebook, days: CandleSeries, ratio: float, median: float) -> None:
    """The last closed day's volume; a day's move counts for more where many traded it."""
    notes.measure("volume_ratio", ratio, "times the 30 d median", days.observation)
    notes.measure("volume_median_30d", median, "base currency a day", days.observation)
    returns = log_returns(days.closes)[-31:]
    usual = math.sqrt(math.fsum(r * r for r in returns) / len(returns))
    move = float(returns[-1]) / usual if usual > FLAT else 0.0
    word = "high" if ratio > 1.5 else "low" if ratio < 0.6 else "usual"
    notes.labels["volume"] = word
    notes.argue(
        "volume",
        f"daily volume {ratio:.2f}x its 30-day median on a {math.expm1(float(returns[-1])):+.1%} "
        "day",
        days.observation,
        polarity=squash(move, 1.5) * clip(ratio / 2.0, 0.0, 1.0),
        reliability=0.25 * sample_reliability(len(days), 10),
        metric_names=("volume_ratio",),
    )


def _read_trades(notes: Notebook, observation: Observation, trades: Trades) -> None:
    """Who crossed the spread: the buyers' share of the quote value of recent trades."""
    rows = trades.rows
    total = math.fsum(price * amount for _, price, amount, _ in rows)
    if total <= 0:
        return
    bought = math.fsum(price * amount for _, price, amount, side in rows if side == "buy")
    share = bought / total
    notes.measure("taker_buy_share", share, "fraction of traded value", observation)
    notes.argue(
        "taker_flow",
        f"takers bought {share:.0%} of the value of the last {len(rows)} trades",
        observation,
        polarity=squash(2.0 * share - 1.0, 0.6),
        reliability=0.15 * sample_reliability(len(rows), 100),
        metric_names=("taker_buy_share",),
    )


def _grade(notes: Notebook, spread_bps: float) -> str:
    """``deep`` and ``thin`` by spread and, where known, the worse 50k slippage; else ``normal``."""
    losses = [notes.value(f"slippage_{side}_50k") for side in ("buy", "sell")]
    known = [loss for loss in losses if loss is not None]
    too_thin = any(key.startswith("slippage_") for key in notes.labels)
    if spread_bps > 20 or too_thin or (known and max(known) > 0.005):
        return "thin"
    if spread_bps <= 3 and len(known) == 2 and max(known) <= 0.001:
        return "deep"
    return "normal"


def _summary(notes: Notebook) -> str:
    symbol = notes.inputs.symbol
    parts = []
    spread = notes.value("spread_bps")
    if spread is None:
        parts.append("no order book")
    else:
        parts.append(f"{notes.labels['liquidity']}, spread {spread:.2f} bps")
    loss = notes.value("slippage_buy_50k")
    if loss is not None:
        parts.append(f"buying 50k costs {loss * 1e4:.1f} bps")
    imbalance = notes.value("imbalance")
    if imbalance is not None:
        parts.append(f"imbalance {imbalance:+.2f}")
    ratio = notes.value("volume_ratio")
    parts.append("no volume" if ratio is None else f"volume {ratio:.2f}x its median")
    return f"{symbol}: " + ", ".join(parts) + "."
