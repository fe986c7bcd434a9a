"""What a protocol may ask a world, and the plain records it gets back.

All times are unix milliseconds UTC unless a name says seconds. Lists are oldest first unless said
otherwise. A field that a world does not know is None, never a made-up value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class NotRecorded(Exception):  # noqa: N818 - reads as the fact it states
    """This world holds no such data; the message says which and why. Answered as HTTP 404."""


class UnknownNameError(Exception):
    """The real provider would not know this symbol, series or coin either."""


@dataclass(frozen=True, slots=True)
class Market:
    """One spot market of one exchange; the decimals say how its numbers are written."""

    base: str
    quote: str
    price_decimals: int
    amount_decimals: int
    name: str


class Candle(NamedTuple):
    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float | None = None
    trades: int | None = None
    taker_base: float | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Open, high, low, volume-weighted price, base volume and trade count of a span of time."""

    open: float
    high: float
    low: float
    vwap: float
    volume: float
    trades: int


@dataclass(frozen=True, slots=True)
class Ticker:
    now_ms: int
    last: float
    last_size: float
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    day: Window
    today: Window


class Level(NamedTuple):
    price: float
    size: float
    time_ms: int


@dataclass(frozen=True, slots=True)
class Book:
    """Bids from the highest, asks from the lowest."""

    now_ms: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    sequence: int


class Trade(NamedTuple):
    trade_id: int
    time_ms: int
    price: float
    size: float
    buyer_initiated: bool


class Funding(NamedTuple):
    """One funding of a perpetual; `rate` is a fraction."""

    time_ms: int
    rate: float
    mark_price: float | None


class OpenInterest(NamedTuple):
    """Open contracts of a perpetual in coins, at a price in USD."""

    now_ms: int
    coins: float
    price: float


@dataclass(frozen=True, slots=True)
class EthereumState:
    """The newest block and the fees of the last ones, oldest first, in wei.

    `base_fees` has one more than `rewards`: that of the next block. A reward is the priority fee
    at the 10th, 50th and 90th percentile of its block.
    """

    block_number: int
    block_ms: int
    gas_price: int
    base_fees: Sequence[int]
    gas_used_ratios: Sequence[float]
    rewards: Sequence[tuple[int, int, int]]


class FearGreed(NamedTuple):
    day_seconds: int
    value: int
    label: str | None


class Point(NamedTuple):
    """A daily value; `seconds` is 00:00 UTC of its day."""

    seconds: int
    value: float


class Observation(NamedTuple):
    """A value of an economic series; None on a holiday."""

    date: str
    value: float | None


class Bar(NamedTuple):
    """A daily bar of a listed instrument; all None is a day without a print."""

    seconds: int
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None


@dataclass(frozen=True, slots=True)
class Bars:
    symbol: str
    name: str
    kind: str
    bars: Sequence[Bar]


class YieldCurve(NamedTuple):
    """Treasury par yields of one day, percent, by the tag of the real document (BC_2YEAR ...)."""

    date: str
    yields: dict[str, float]


@dataclass(frozen=True, slots=True)
class Story:
    """A headline or a post. `text` is plain text, which may contain markup characters."""

    story_id: str
    time_ms: int
    title: str
    text: str
    author: str
    section: str


@dataclass(frozen=True, slots=True)
class Coin:
    """One coin as an aggregator sees it. Prices in USD, amounts in coins."""

    coin_id: str
    symbol: str
    name: str
    rank: int
    price: float
    total_volume: float
    circulating: float
    total: float | None
    maximum: float | None
    high_24h: float
    low_24h: float
    ath: float
    ath_ms: int
    atl: float
    atl_ms: int
    changes: dict[int, float]
    categories: tuple[str, ...]
    genesis_date: str | None
    stars: int
    forks: int
    commits_4_weeks: int
    contributors: int
    tvl: float | None


@dataclass(frozen=True, slots=True)
class GlobalMarket:
    now_ms: int
    active: int
    venues: int
    cap_usd: float
    volume_usd: float
    shares: dict[str, float]
    change_24h: float


@dataclass(frozen=True, slots=True)
class FeeSeries:
    """Daily USD of one protocol or of all protocols of a chain."""

    name: str
    slug: str
    category: str
    chains: tuple[str, ...]
    days: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Mempool:
    now_ms: int
    count: int
    vsize: int
    fastest_fee: int
    half_hour_fee: int
    hour_fee: int
    height: int
    epoch_start_ms: int
    blocks_into_epoch: int
    average_block_ms: float
    previous_retarget: float


class World(Protocol):
    """Market and context at one moment. Methods raise NotRecorded or UnknownNameError.

    Nothing later than `now_ms` is ever returned. Venues are 'kraken', 'coinbase', 'binance', 'okx'
    and 'bybit'.
    """

    @property
    def now_ms(self) -> int: ...

    def markets(self, venue: str) -> Sequence[Market]: ...

    def candles(
        self,
        venue: str,
        market: Market,
        seconds: int,
        *,
        limit: int,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> list[Candle]:
        """The first `limit` from `start_ms` on, or without it the last `limit` up to `end_ms`.

        A simulated world ends with the candle that is still running, as the exchanges do.
        """
        ...

    def ticker(self, venue: str, market: Market) -> Ticker: ...

    def book(self, venue: str, market: Market, depth: int) -> Book: ...

    def trades(
        self,
        venue: str,
        market: Market,
        limit: int,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> list[Trade]: ...

    def funding(
        self, provider: str, base: str, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[Funding]:
        """Fundings of the perpetual base/USDT: the last `limit`, or the first from `start_ms`."""
        ...

    def open_interest(self, provider: str, base: str) -> OpenInterest: ...

    def ethereum(self) -> EthereumState: ...

    def stablecoin_supply(self) -> Sequence[Point]:
        """Dollar value of all stablecoins, daily, the current point last."""
        ...

    def exchange_rate(self, base: str, quote: str) -> Sequence[Observation]:
        """Reference rates of banking days: `quote` for one `base`."""
        ...

    def yearly(self, country: str, indicator: str) -> Sequence[Observation]:
        """Yearly values of an indicator by the World Bank's names; the date is the year."""
        ...

    def messages(self, base: str) -> list[Story]:
        """Posts about one coin, newest first; the section is Bullish, Bearish or empty."""
        ...

    def fear_greed(self, limit: int) -> list[FearGreed]:
        """Newest first; a limit of 0 means all."""
        ...

    def chain_metric(self, provider: str, asset: str, metric: str) -> Sequence[Point]:
        """Daily values by the CoinMetrics name of the metric; hash rate in TH/s."""
        ...

    def economic_series(self, series_id: str) -> Sequence[Observation]: ...

    def yield_curve(self) -> Sequence[YieldCurve]: ...

    def bars(self, symbol: str) -> Bars: ...

    def headlines(self, outlet: str) -> list[Story]:
        """Newest first."""
        ...

    def posts(self, communities: Sequence[str]) -> list[Story]: ...

    def coins(self) -> Sequence[Coin]: ...

    def coin(self, coin_id: str) -> Coin: ...

    def coin_history(self, coin_id: str, seconds: int, limit: int) -> list[Candle]:
        """USD candles of a coin over all venues, the running one last."""
        ...

    def global_market(self) -> GlobalMarket: ...

    def chain_tvl(self, chain: str | None) -> Sequence[Point]: ...

    def fees(
        self, data_type: str, chain: str | None, slug: str | None = None
    ) -> Sequence[FeeSeries]:
        """The protocols that earn fees on a chain, or everywhere; or only the one of a slug."""
        ...

    def mempool(self) -> Mempool: ...
