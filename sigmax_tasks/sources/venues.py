"""The table of exchanges: what ccxt needs to know of each, and what each can give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal


@dataclass(frozen=True)
class Venue:
    """One exchange.

    ``api_paths`` maps ccxt's names of its API roots to the path behind the base address.
    ``last_path`` leads to the last price in the raw ticker: ccxt computes one where it is missing.
    ``page`` is the most candles of one answer, ``reach`` the most that exist at all (None: years).
    ``skip_timeframes`` are offered but built from finer ones here. ``day_change`` says whether
    ccxt's ``percentage`` is over 24 hours, ``tickers_together`` says what the tickers of
    many markets in one request hold: as much as that of one, or its price alone.
    """

    exchange_id: str
    api_paths: Mapping[str, str]
    last_path: tuple[str | int, ...]
    page: int
    reach: int | None
    book_limit: int
    trades_limit: int
    day_change: bool
    skip_timeframes: frozenset[str] = frozenset()
    tickers_together: Literal["all", "price"] = "all"
    ccxt_options: Mapping[str, Any] = field(default_factory=dict)


VENUES: Final[Mapping[str, Venue]] = MappingProxyType(
    {
        venue.exchange_id: venue
        for venue in (
            Venue(
                "kraken",
                api_paths={"public": ""},
                last_path=("c", 0),
                page=720,
                reach=720,
                book_limit=500,
                trades_limit=1000,
                day_change=False,  # its "o" is today's opening price
                skip_timeframes=frozenset({"1w"}),  # its weeks start on Thursday
            ),
            Venue(
                "coinbase",
                api_paths={"rest": ""},
                last_path=("price",),
                page=300,
                reach=None,
                book_limit=1000,
                trades_limit=1000,
                day_change=False,
                tickers_together="price",  # in its list of products
            ),
            Venue(
                "binance",
                api_paths={"public": "/api/v3"},
                last_path=("lastPrice",),
                page=1000,
                reach=None,
                book_limit=5000,
                trades_limit=1000,
                day_change=True,
                # Without this ccxt also asks the futures hosts, which refuse whole countries.
                ccxt_options={"fetchMarkets": {"types": ["spot"]}},
            ),
            Venue(
                "okx",
                api_paths={"rest": ""},
                last_path=("last",),
                page=300,
                reach=None,
                book_limit=400,
                trades_limit=500,
                day_change=True,
                skip_timeframes=frozenset({"1w"}),  # the day its weeks start on is not recorded
                ccxt_options={"fetchMarkets": {"types": ["spot"]}},
            ),
            Venue(
                "bybit",
                api_paths={"public": ""},
                last_path=("lastPrice",),
                page=1000,
                reach=None,
                book_limit=200,
                trades_limit=60,
                day_change=True,
                skip_timeframes=frozenset({"1w"}),  # as for okx
                ccxt_options={"fetchMarkets": {"types": ["spot"]}},
            ),
        )
    }
)
