"""Candles, ticker, order book and trades of spot exchanges, through ccxt.

Every answer is checked: ccxt passes on rows without prices and books without sides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from sigmax_planner.models import Symbol
from sigmax_tasks.candles import (
    TIMEFRAME_SECONDS,
    CandleRow,
    aggregate_candles,
    bucket_start_ms,
)
from sigmax_tasks.errors import BadPayloadError, NotOfferedError
from sigmax_tasks.models.observations import (
    Candles,
    DataNeed,
    Observation,
    OrderBook,
    Ticker,
    Trades,
)
from sigmax_tasks.sources.bulk import Outcome, Part, Scope, each, neighbours, of_all
from sigmax_tasks.sources.call import Call, from_ms
from sigmax_tasks.sources.ccxt_session import Markets, translated
from sigmax_tasks.sources.domains import check_newest
from sigmax_tasks.sources.venues import VENUES, Venue

KINDS: Final = ("candles", "ticker", "order_book", "trades")
_MAX_PAGES: Final = 20
_STALE_AFTER: Final = 3
_MOST_TICKERS: Final = 100


class ExchangeOptions(BaseModel):
    """``exchange`` is the id of a venue in venues.py."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    exchange: str = Field(pattern=f"^({'|'.join(VENUES)})$")


class ExchangeAdapter:
    """The adapter of all venues; holds their market tables for this process."""

    def __init__(self, markets: Markets) -> None:
        self._markets = markets

    def __call__(self, need: DataNeed, call: Call) -> Observation:
        venue = venue_of(call)
        if need.symbol is None:
            raise call.not_offered(f"{need.label} without a symbol")
        if need.kind == "candles":
            check_timeframe(need, call)
        exchange = self._markets.open_exchange(venue, call)
        pair = find_pair(exchange, need.symbol, call)
        match need.kind:
            case "candles":
                return fetch_candles(need, call, exchange, venue, pair)
            case "ticker":
                return fetch_ticker(need, call, exchange, venue, pair)
            case "order_book":
                return fetch_order_book(need, call, exchange, venue, pair)
            case "trades":
                return fetch_trades(need, call, exchange, venue, pair)
            case _:
                raise call.not_offered(need.label)


class TickersTogether:
    """The tickers of many markets of a venue; holds the market tables as the adapter does."""

    def __init__(self, markets: Markets) -> None:
        self._markets = markets

    def scope(self, part: Part, symbols: Sequence[Symbol], call: Call) -> Scope | None:
        """Where the venue gives as much of many as of one; to compare, the price will do."""
        whole = part.need.cross_check or venue_of(call).tickers_together == "all"
        if part.need.kind != "ticker" or not whole:
            return None
        found = neighbours(symbols, part.need.symbol, _MOST_TICKERS)
        what = "cross-check" if part.need.cross_check else "ticker"
        return Scope(what, found) if found and len(found) > 1 else None

    def fetch(self, part: Part, scope: Scope, call: Call) -> list[tuple[Part, Outcome]]:
        venue = venue_of(call)
        exchange = self._markets.open_exchange(venue, call)
        pairs: dict[Symbol, str] = {}
        for symbol in scope.symbols:
            with suppress(NotOfferedError):
                pairs[symbol] = find_pair(exchange, symbol, call)
        if part.need.symbol not in pairs:
            return [(part, call.not_offered(f"market {part.need.symbol}"))]
        call.answers.clear()
        with translated(call.provider_id):
            tickers: Mapping[str, Any] = exchange.fetch_tickers(sorted(set(pairs.values())))

        def answer(part: Part) -> Observation:
            symbol = part.need.symbol or ""
            if symbol not in pairs:
                raise call.not_offered(f"market {symbol}")
            path = call.answers[0].endpoint.partition("?")[0]
            own = replace(call, endpoint=f"{path} {pairs[symbol]} (one of {len(pairs)})")
            ticker = tickers.get(pairs[symbol])
            if ticker is None:
                raise call.not_offered(f"ticker of {pairs[symbol]}")
            return observe_ticker(part.need, own, venue, ticker)

        return each(call, of_all(part, scope.symbols), answer)


def venue_of(call: Call) -> Venue:
    if not isinstance(call.options, ExchangeOptions):
        raise TypeError("the exchange adapter needs ExchangeOptions")
    return VENUES[call.options.exchange]


def find_pair(exchange: Any, symbol: str, call: Call) -> str:
    """The exchange's pair for ``symbol``: itself, or the same base in an alternative quote.

    Which one was used stands in the endpoint of the lineage.
    """
    base, _, quote = symbol.partition("/")
    for candidate in (quote, *call.settings.quote_alternatives.get(quote, ())):
        market = exchange.markets.get(f"{base}/{candidate}")
        if market and market.get("spot") and market.get("active") is not False:
            return f"{base}/{candidate}"
    raise call.not_offered(f"market {symbol}")


def check_timeframe(need: DataNeed, call: Call) -> None:
    if need.name not in TIMEFRAME_SECONDS:
        raise call.not_offered(f"time frame {need.name!r}")


def fetch_candles(
    need: DataNeed, call: Call, exchange: Any, venue: Venue, pair: str
) -> Observation:
    seconds = TIMEFRAME_SECONDS[need.name]
    native = native_timeframe(need.name, exchange.timeframes, venue)
    if native is None:
        raise call.not_offered(f"candles {need.name}")
    native_seconds = TIMEFRAME_SECONDS[native]
    factor = seconds // native_seconds
    if venue.reach is not None and venue.reach // factor < need.limit / 2:
        raise call.not_offered(
            f"{need.limit} candles {need.name}, it keeps {venue.reach // factor}"
        )
    call.answers.clear()
    raw = _pages(call, exchange, venue, pair, native, seconds, need.limit)
    rows = clean_candles(call.provider_id, raw)
    if any(bucket_start_ms(row[0], native_seconds) != row[0] for row in rows):
        raise call.bad(f"its candles do not start where {native} candles do")
    rows = closed_candles(rows, native_seconds, call.now_ms, call.tolerance_ms)
    if factor > 1:
        rows = aggregate_candles(rows, native_seconds, seconds)
    rows = rows[-need.limit :]
    if not rows:
        raise call.bad(f"no closed {need.name} candle")
    check_newest(call, rows[-1][0])
    closed_at = rows[-1][0] + seconds * 1000
    if call.now_ms - closed_at > _STALE_AFTER * seconds * 1000:
        raise call.bad(
            f"stale: its newest {need.name} candle closed {from_ms(closed_at):%Y-%m-%d %H:%M} UTC"
        )
    data = Candles(symbol=need.symbol or "", timeframe=need.name, rows=tuple(rows))
    return call.observe(need, data)


def native_timeframe(name: str, offered: Any, venue: Venue) -> str | None:
    """``name`` if the exchange has it, else the coarsest it has that ``name`` is made of."""
    seconds = TIMEFRAME_SECONDS[name]
    usable = [
        other
        for other, length in TIMEFRAME_SECONDS.items()
        if other in (offered or {}) and other not in venue.skip_timeframes and seconds % length == 0
    ]
    return max(usable, key=lambda other: TIMEFRAME_SECONDS[other], default=None)


def _pages(
    call: Call,
    exchange: Any,
    venue: Venue,
    pair: str,
    timeframe: str,
    seconds: int,
    limit: int,
) -> list[Any]:
    """Raw rows of ``timeframe`` for the last ``limit`` closed candles of ``seconds``.

    All there are where the exchange has no past to page through.
    """
    provider = call.provider_id
    if venue.reach is not None:
        with translated(provider):
            return list(exchange.fetch_ohlcv(pair, timeframe))
    length = TIMEFRAME_SECONDS[timeframe] * 1000
    end = bucket_start_ms(call.now_ms, seconds)
    since = end - limit * seconds * 1000
    wanted = (end - since) // length
    if math.ceil(wanted / venue.page) > _MAX_PAGES:
        raise call.not_offered(f"{wanted} candles {timeframe}, more than {_MAX_PAGES} answers")
    rows: list[Any] = []
    while wanted > 0:
        count = min(venue.page, wanted)
        until = since + count * length - 1
        with translated(provider):
            rows += exchange.fetch_ohlcv(pair, timeframe, since, count, {"until": until})
        since = until + 1
        wanted -= count
    return rows


def clean_candles(provider: str, raw: Sequence[Sequence[Any]]) -> list[CandleRow]:
    """Checked rows, oldest first; of equal times the last one given counts."""
    found: dict[int, CandleRow] = {}
    for row in raw:
        numbers = list(row)[:6]
        if len(numbers) < 6 or not all(_is_number(value) for value in numbers):
            raise BadPayloadError(provider, f"incomplete candle {str(numbers)[:80]}")
        time_ms, (opened, high, low, close, volume) = int(numbers[0]), map(float, numbers[1:])
        if low <= 0 or high < max(opened, close) or low > min(opened, close) or volume < 0:
            raise BadPayloadError(provider, f"impossible candle {str(numbers)[:80]}")
        found[time_ms] = (time_ms, opened, high, low, close, volume)
    return [found[time_ms] for time_ms in sorted(found)]


def closed_candles(
    rows: Sequence[CandleRow], seconds: int, now_ms: int, tolerance_ms: int
) -> list[CandleRow]:
    """Without the running candle.

    A candle that opens in the future stays in, so that the look-ahead guard refuses the answer.
    """
    return [
        row for row in rows if row[0] + seconds * 1000 <= now_ms or row[0] > now_ms + tolerance_ms
    ]


def fetch_ticker(need: DataNeed, call: Call, exchange: Any, venue: Venue, pair: str) -> Observation:
    """A ticker; to compare, the same as is asked for a whole watchlist."""
    call.answers.clear()
    with translated(call.provider_id):
        if need.cross_check and venue.tickers_together == "price":
            ticker = exchange.fetch_tickers([pair]).get(pair, {})
        else:
            ticker = exchange.fetch_ticker(pair)
    return observe_ticker(need, call, venue, ticker)


def observe_ticker(
    need: DataNeed, call: Call, venue: Venue, ticker: Mapping[str, Any]
) -> Observation:
    """A ticker of ccxt's; :class:`BadPayloadError` for one that cannot be."""
    last = raw_price(ticker.get("info"), venue.last_path)
    if last is None:
        raise call.bad("ticker without a last price")
    bid, ask = _positive(ticker.get("bid")), _positive(ticker.get("ask"))
    if bid is not None and ask is not None and bid > ask:
        raise call.bad(f"crossed quotes: bid {bid} above ask {ask}")
    change: Any = ticker.get("percentage") if venue.day_change else None
    volume: Any = ticker.get("baseVolume")
    data = Ticker(
        symbol=need.symbol or "",
        last=last,
        bid=bid,
        ask=ask,
        base_volume_24h=volume if _is_number(volume) and volume >= 0 else None,
        change_24h_fraction=change / 100 if change is not None and _is_number(change) else None,
    )
    return call.observe(need, data, _moment(call, ticker.get("timestamp")))


def raw_price(info: Any, path: Sequence[str | int]) -> float | None:
    """The positive number at ``path`` of a raw answer; None where there is none."""
    try:
        for step in path:
            info = info[step]
        return _positive(float(info))
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def fetch_order_book(
    need: DataNeed, call: Call, exchange: Any, venue: Venue, pair: str
) -> Observation:
    call.answers.clear()
    limit = min(need.limit, venue.book_limit)
    with translated(call.provider_id):
        book = exchange.fetch_order_book(pair, limit)
    bids = _levels(call, book.get("bids"), descending=True)[:limit]
    asks = _levels(call, book.get("asks"), descending=False)[:limit]
    if not bids or not asks:
        raise call.bad("order book with an empty side")
    if bids[0][0] >= asks[0][0]:
        raise call.bad(f"crossed order book: bid {bids[0][0]} not below ask {asks[0][0]}")
    data = OrderBook(symbol=need.symbol or "", bids=tuple(bids), asks=tuple(asks))
    return call.observe(need, data, _moment(call, book.get("timestamp")))


def _levels(call: Call, raw: Any, *, descending: bool) -> list[tuple[float, float]]:
    """(price, amount), best first. Kraken's levels have a third member, their time."""
    levels: dict[float, float] = {}
    for level in raw or ():
        if len(level) < 2 or not _is_number(level[0]) or not _is_number(level[1]):
            raise call.bad(f"incomplete level {str(level)[:60]}")
        price, amount = float(level[0]), float(level[1])
        if price <= 0 or amount < 0:
            raise call.bad(f"impossible level {str(level)[:60]}")
        if amount > 0:
            levels[price] = levels.get(price, 0.0) + amount
    return sorted(levels.items(), reverse=descending)


def fetch_trades(need: DataNeed, call: Call, exchange: Any, venue: Venue, pair: str) -> Observation:
    call.answers.clear()
    with translated(call.provider_id):
        trades = exchange.fetch_trades(pair, None, min(need.limit, venue.trades_limit))
    found: dict[object, tuple[int, float, float, Any]] = {}
    for position, trade in enumerate(trades):
        time_ms, price, amount = trade.get("timestamp"), trade.get("price"), trade.get("amount")
        if not (_is_number(time_ms) and _is_number(price) and _is_number(amount)):
            raise call.bad("incomplete trade")
        if price <= 0 or amount <= 0:
            raise call.bad(f"impossible trade: price {price}, amount {amount}")
        side = trade.get("side")
        if side not in {"buy", "sell"}:
            raise call.bad("trade without a side")
        found[trade.get("id") or position] = (int(time_ms), float(price), float(amount), side)
    rows = sorted(found.values(), key=lambda row: row[0])[-need.limit :]
    if not rows:
        raise call.bad("no trades")
    check_newest(call, rows[-1][0])
    return call.observe(need, Trades(symbol=need.symbol or "", rows=tuple(rows)))


def _moment(call: Call, time_ms: Any) -> datetime | None:
    """None where there is no time; one in another unit is refused."""
    if not _is_number(time_ms) or time_ms <= 0:
        return None
    return check_newest(call, time_ms)


def _positive(value: Any) -> float | None:
    return float(value) if _is_number(value) and value > 0 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
