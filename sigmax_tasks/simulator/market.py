"""The seeded world: one simulated market and its context at one moment."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from sigmax_tasks.simulator import dice
from sigmax_tasks.simulator.assets import (
    ASSETS,
    BY_BASE,
    BY_COIN_ID,
    INDEX,
    VENUE_LETTERS,
    VENUE_QUOTES,
    amount_decimals,
    price_decimals,
)
from sigmax_tasks.simulator.chain import ChainData
from sigmax_tasks.simulator.coins import CoinList, index_market
from sigmax_tasks.simulator.economy import Economy
from sigmax_tasks.simulator.microstructure import Microstructure
from sigmax_tasks.simulator.networks import Networks
from sigmax_tasks.simulator.prices import DAY_MS, EPOCH_MS, PriceEngine
from sigmax_tasks.simulator.stories import OUTLETS, Newsroom
from sigmax_tasks.simulator.tape import Tape
from sigmax_tasks.simulator.world import (
    Bar,
    Bars,
    Book,
    Candle,
    Coin,
    EthereumState,
    FearGreed,
    FeeSeries,
    Funding,
    GlobalMarket,
    Market,
    Mempool,
    NotRecorded,
    Observation,
    OpenInterest,
    Point,
    Story,
    Ticker,
    Trade,
    UnknownNameError,
    YieldCurve,
)

FIRST_MS: Final = EPOCH_MS + 60 * DAY_MS
"""The earliest moment a seeded world can be asked about: two months after its history begins."""
_RETARGET_MS: Final = 14 * DAY_MS
_CRYPTO_BARS: Final = {f"{asset.base}-USD": asset for asset in ASSETS}


class SeededMarket:
    """Everything of one seed that does not depend on the moment; shared by its worlds."""

    def __init__(self, seed: int, days: int) -> None:
        self.engine = PriceEngine(seed, days)
        self.chain = ChainData(self.engine)
        self.economy = Economy(self.engine)
        self.newsroom = Newsroom(self.engine)
        self.coins = CoinList(self.engine, self.chain)
        self.networks = Networks(self.engine)
        self._tapes: dict[tuple[str, Market], Tape] = {}

    def tape(self, venue: str, market: Market) -> Tape:
        found = self._tapes.get((venue, market))
        if found is None:
            found = self._tapes.setdefault((venue, market), Tape(self.engine, venue, market))
        return found


_build_lock = threading.Lock()


def seeded_market(seed: int, now_ms: int) -> SeededMarket:
    """The market of a seed with a horizon past `now_ms`; the horizon never changes its prices."""
    years = (now_ms - EPOCH_MS) // (366 * DAY_MS) + 1
    with _build_lock:
        return _cached_market(seed, years * 366 + 40)


@lru_cache(maxsize=4)
def _cached_market(seed: int, days: int) -> SeededMarket:
    return SeededMarket(seed, days)


@lru_cache(maxsize=8)
def venue_markets(venue: str) -> tuple[Market, ...]:
    letter = VENUE_LETTERS[venue]
    return tuple(
        Market(asset.base, quote, price_decimals(asset, venue), amount_decimals(asset), asset.name)
        for asset in ASSETS
        if letter in asset.venues
        for quote in VENUE_QUOTES[venue]
    )


class SeededWorld:
    """A World (see world.py) of one seed at one moment. NotRecorded before FIRST_MS."""

    def __init__(self, seed: int, as_of_ms: int) -> None:
        if as_of_ms < FIRST_MS:
            raise NotRecorded("the simulated market can be asked about from 2019-03-02 UTC on")
        self._market = seeded_market(seed, as_of_ms)
        self._now = as_of_ms
        self._seed = seed

    @property
    def now_ms(self) -> int:
        return self._now

    def markets(self, venue: str) -> Sequence[Market]:
        return venue_markets(venue)

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
        tape = self._market.tape(venue, market)
        return tape.candles(seconds, start_ms, end_ms, limit, self._now)

    def ticker(self, venue: str, market: Market) -> Ticker:
        return self._micro(venue, market).ticker()

    def book(self, venue: str, market: Market, depth: int) -> Book:
        return self._micro(venue, market).book(depth)

    def trades(
        self,
        venue: str,
        market: Market,
        limit: int,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> list[Trade]:
        return self._micro(venue, market).trades(limit, start_ms, end_ms)

    def funding(
        self,
        provider: str,  # noqa: ARG002 - all venues fund alike here
        base: str,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
    ) -> list[Funding]:
        return self._market.chain.funding(base, self._now, start_ms, end_ms, limit)

    def open_interest(self, provider: str, base: str) -> OpenInterest:
        asset = BY_BASE.get(base)
        if asset is None:
            raise UnknownNameError(base)
        price = self.coin_history(asset.coin_id, 60, 1)[-1].close
        return self._market.networks.open_interest(provider, asset, price, self._now)

    def ethereum(self) -> EthereumState:
        return self._market.networks.ethereum(self._now)

    def stablecoin_supply(self) -> Sequence[Point]:
        return self._market.networks.stablecoin_supply(self._now)

    def exchange_rate(self, base: str, quote: str) -> Sequence[Observation]:
        return self._market.economy.exchange_rate(base, quote, self._now)

    def yearly(self, country: str, indicator: str) -> Sequence[Observation]:
        return self._market.economy.yearly(country, indicator, self._now)

    def messages(self, base: str) -> list[Story]:
        if base not in BY_BASE:
            raise UnknownNameError(base)
        return self._market.newsroom.messages(base, self._now)

    def fear_greed(self, limit: int) -> list[FearGreed]:
        return self._market.chain.fear_greed(self._now, limit)

    def chain_metric(
        self,
        provider: str,  # noqa: ARG002 - one chain, whoever reports it
        asset: str,
        metric: str,
    ) -> Sequence[Point]:
        return self._market.chain.metric(asset, metric, self._now)

    def economic_series(self, series_id: str) -> Sequence[Observation]:
        return self._market.economy.series(series_id, self._now)

    def yield_curve(self) -> Sequence[YieldCurve]:
        return self._market.economy.yield_curve(self._now)

    def bars(self, symbol: str) -> Bars:
        asset = _CRYPTO_BARS.get(symbol)
        if asset is None:
            return self._market.economy.bars(symbol, self._now)
        rows = self.coin_history(asset.coin_id, 86_400, 100_000)
        bars = [
            Bar(c.open_ms // 1000, c.open, c.high, c.low, c.close, c.quote_volume) for c in rows
        ]
        return Bars(symbol, f"{asset.name} USD", "CRYPTOCURRENCY", bars)

    def headlines(self, outlet: str) -> list[Story]:
        if outlet not in OUTLETS:
            raise UnknownNameError(outlet)
        return self._market.newsroom.headlines(outlet, self._now)

    def posts(self, communities: Sequence[str]) -> list[Story]:
        return self._market.newsroom.posts(communities, self._now)

    def coins(self) -> Sequence[Coin]:
        return sorted((self.coin(asset.coin_id) for asset in ASSETS), key=lambda coin: coin.rank)

    def coin(self, coin_id: str) -> Coin:
        asset = BY_COIN_ID.get(coin_id)
        if asset is None:
            raise UnknownNameError(coin_id)
        tape = self._market.tape("index", index_market(asset))
        return self._market.coins.coin(asset, tape, self._now)

    def coin_history(self, coin_id: str, seconds: int, limit: int) -> list[Candle]:
        asset = BY_COIN_ID.get(coin_id)
        if asset is None:
            raise UnknownNameError(coin_id)
        tape = self._market.tape("index", index_market(asset))
        return tape.candles(seconds, None, None, limit, self._now)

    def global_market(self) -> GlobalMarket:
        return self._market.coins.global_market(self._now)

    def chain_tvl(self, chain: str | None) -> Sequence[Point]:
        return self._market.chain.tvl(chain, self._now)

    def fees(
        self, data_type: str, chain: str | None, slug: str | None = None
    ) -> Sequence[FeeSeries]:
        return self._market.chain.fees(data_type, chain, slug, self._now)

    def mempool(self) -> Mempool:
        minute = (self._now - EPOCH_MS) // 60_000
        stream = dice.key(self._seed, "mempool")
        luck = dice.uniform(stream, np.array([minute, minute + (1 << 40)], dtype=np.int64))
        day = (self._now - EPOCH_MS) // DAY_MS
        heat = float(self._market.engine.sigma[max(day - 1, 0)]) / 0.024
        fast = max(1, round(6.0 * heat**1.5 * (0.5 + float(luck[0]))))
        count = int(40_000 * heat * (0.6 + 0.8 * float(luck[1])))
        epoch_start = EPOCH_MS + (self._now - EPOCH_MS) // _RETARGET_MS * _RETARGET_MS
        pace = 600_000.0 * (1.0 + 0.03 * dice.one_normal(stream, epoch_start))
        last_pace = 600_000.0 * (1.0 + 0.03 * dice.one_normal(stream, epoch_start - _RETARGET_MS))
        epochs = (epoch_start - EPOCH_MS) // _RETARGET_MS
        done = min(int((self._now - epoch_start) / pace), 2015)
        return Mempool(
            now_ms=self._now,
            count=count,
            vsize=count * 480,
            fastest_fee=fast,
            half_hour_fee=max(1, round(fast * 0.8)),
            hour_fee=max(1, round(fast * 0.6)),
            height=556_416 + 2016 * epochs + done,
            epoch_start_ms=epoch_start,
            blocks_into_epoch=done,
            average_block_ms=pace,
            previous_retarget=(600_000.0 / last_pace - 1.0) * 100.0,
        )

    def _micro(self, venue: str, market: Market) -> Microstructure:
        if market.base not in BY_BASE or market.base not in INDEX:
            raise UnknownNameError(market.base)
        tape = self._market.tape(venue, market)
        return Microstructure(self._seed, venue, market, tape, self._now)
