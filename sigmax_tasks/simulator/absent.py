# ruff: noqa: ARG002 - the signatures are those of World
"""The part of a world of which no recording exists: every question is answered NotRecorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from sigmax_tasks.simulator.world import (
    Book,
    Candle,
    Coin,
    EthereumState,
    FeeSeries,
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
    YieldCurve,
)


class NothingRecorded:
    def ticker(self, venue: str, market: Market) -> Ticker:
        self._absent("tickers")

    def book(self, venue: str, market: Market, depth: int) -> Book:
        self._absent("order books")

    def trades(
        self,
        venue: str,
        market: Market,
        limit: int,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> list[Trade]:
        self._absent("trades")

    def open_interest(self, provider: str, base: str) -> OpenInterest:
        self._absent("open interests")

    def ethereum(self) -> EthereumState:
        self._absent("states of the Ethereum network")

    def stablecoin_supply(self) -> Sequence[Point]:
        self._absent("supplies of stablecoins")

    def exchange_rate(self, base: str, quote: str) -> Sequence[Observation]:
        self._absent("exchange rates")

    def yearly(self, country: str, indicator: str) -> Sequence[Observation]:
        self._absent("yearly figures of countries")

    def messages(self, base: str) -> list[Story]:
        self._absent("messages about a coin")

    def yield_curve(self) -> Sequence[YieldCurve]:
        self._absent("Treasury yield curves")

    def headlines(self, outlet: str) -> list[Story]:
        self._absent("headlines")

    def posts(self, communities: Sequence[str]) -> list[Story]:
        self._absent("posts")

    def coins(self) -> Sequence[Coin]:
        self._absent("coin lists")

    def coin(self, coin_id: str) -> Coin:
        self._absent("coin profiles")

    def coin_history(self, coin_id: str, seconds: int, limit: int) -> list[Candle]:
        self._absent("coin charts")

    def global_market(self) -> GlobalMarket:
        self._absent("whole-market figures")

    def chain_tvl(self, chain: str | None) -> Sequence[Point]:
        self._absent("chain TVL")

    def fees(
        self, data_type: str, chain: str | None, slug: str | None = None
    ) -> Sequence[FeeSeries]:
        self._absent("protocol fees")

    def mempool(self) -> Mempool:
        self._absent("mempool states")

    def _absent(self, what: str) -> NoReturn:
        raise NotRecorded(f"{what} are not among the recordings")
