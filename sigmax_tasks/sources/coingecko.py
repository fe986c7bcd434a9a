"""CoinGecko: what a coin is worth, its profile with its development, and the whole market.

Measures of ``coin_market``, of which one request gives those of many coins: price_usd,
market_cap_usd, fully_diluted_valuation_usd, volume_24h_usd, ath_usd, ath_change_percent,
change_{24h,7d,30d,1y}_percent, circulating_supply, total_supply, max_supply, market_cap_rank.

Measures of ``coin_profile``: price_usd, market_cap_usd, fully_diluted_valuation_usd,
volume_24h_usd, ath_usd, ath_change_percent, change_{24h,7d,30d,1y}_percent, circulating_supply,
total_supply, max_supply (coins), market_cap_rank, tvl_usd, commit_count_4_weeks, stars, forks,
pull_requests_merged, pull_request_contributors. Of ``global``: total_market_cap_usd,
total_volume_24h_usd, market_cap_change_24h_percent, btc_dominance_percent,
eth_dominance_percent. What the provider leaves out or gives as null is not there, nor is an amount
of USD or coins of 0: it stands for one that the provider does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, RootModel

from sigmax_planner.models import Symbol
from sigmax_tasks.models.observations import DataNeed, Measure, Observation
from sigmax_tasks.sources.bulk import Outcome, Part, Scope, each, neighbours, of_all
from sigmax_tasks.sources.call import Call
from sigmax_tasks.sources.domains import check_newest, observe_measures

ByCurrency = Annotated[
    dict[str, float | None], BeforeValidator(lambda v: v if isinstance(v, dict) else {})
]


class _MarketData(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    current_price: ByCurrency = {}
    market_cap: ByCurrency = {}
    fully_diluted_valuation: ByCurrency = {}
    total_volume: ByCurrency = {}
    ath: ByCurrency = {}
    ath_change_percentage: ByCurrency = {}
    total_value_locked: ByCurrency = {}
    price_change_percentage_24h: float | None = None
    price_change_percentage_7d: float | None = None
    price_change_percentage_30d: float | None = None
    price_change_percentage_1y: float | None = None
    circulating_supply: float | None = None
    total_supply: float | None = None
    max_supply: float | None = None


class _DeveloperData(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    commit_count_4_weeks: float | None = None
    stars: float | None = None
    forks: float | None = None
    pull_requests_merged: float | None = None
    pull_request_contributors: float | None = None


class _Coin(BaseModel):
    id: str
    market_cap_rank: int | None = None
    market_data: _MarketData | None = None
    developer_data: _DeveloperData | None = None
    last_updated: AwareDatetime | None = None


class _MarketRow(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    id: str
    market_cap_rank: int | None = None
    current_price: float | None = None
    market_cap: float | None = None
    fully_diluted_valuation: float | None = None
    total_volume: float | None = None
    ath: float | None = None
    ath_change_percentage: float | None = None
    price_change_percentage_24h: float | None = None
    price_change_percentage_7d_in_currency: float | None = None
    price_change_percentage_30d_in_currency: float | None = None
    price_change_percentage_1y_in_currency: float | None = None
    circulating_supply: float | None = None
    total_supply: float | None = None
    max_supply: float | None = None
    last_updated: AwareDatetime | None = None


class _MarketRows(RootModel[list[_MarketRow]]):
    pass


class _Global(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    total_market_cap: ByCurrency
    total_volume: ByCurrency
    market_cap_percentage: ByCurrency = {}
    market_cap_change_percentage_24h_usd: float | None = None
    updated_at: int


class _GlobalAnswer(BaseModel):
    data: _Global


_MARKETS_PATH: Final = "/api/v3/coins/markets"
_PAGE: Final = 250
_MOST_COINS: Final = 100
_PROFILE_PARAMS: Final = {
    "localization": "false",
    "tickers": "false",
    "community_data": "false",
    "developer_data": "true",
}


def fetch_coingecko(need: DataNeed, call: Call) -> Observation:
    """:class:`Measures` ``coin_market``, ``coin_profile`` (of the base coin) or ``global``."""
    if need.name == "global":
        return _global(need, call)
    if need.name not in {"coin_market", "coin_profile"}:
        raise call.not_offered(need.label)
    coin = call.base_coin(need)
    coin_id = call.settings.coin_ids.get(coin)
    if coin_id is None:
        raise call.not_offered(f"{coin}, it is not in the coin_ids of sources.yaml")
    if need.name == "coin_market":
        return _market(need, call, coin_id, _market_rows(call, [coin_id]))
    path = f"/api/v3/coins/{quote(coin_id, safe='')}"
    profile = call.get_model(_Coin, path, _PROFILE_PARAMS)
    if profile.id != coin_id:
        raise call.bad(f"asked for {coin_id}, answered about {profile.id[:40]}")
    values = coin_measures(profile.market_data, profile.developer_data, profile.market_cap_rank)
    return observe_measures(need, call, coin_id, values, profile.last_updated)


class MarketsTogether:
    """What many coins are worth."""

    def scope(self, part: Part, symbols: Sequence[Symbol], call: Call) -> Scope | None:
        ids = call.settings.coin_ids
        known = [symbol for symbol in symbols if symbol.partition("/")[0] in ids]
        found = neighbours(known, part.need.symbol, _MOST_COINS)
        return Scope("coin_market", found) if found and part.need.name == "coin_market" else None

    def fetch(self, part: Part, scope: Scope, call: Call) -> list[tuple[Part, Outcome]]:
        parts = of_all(part, scope.symbols)
        ids = {own: call.settings.coin_ids[call.base_coin(own.need)] for own in parts}
        rows = _market_rows(call, sorted(set(ids.values())))

        def answer(part: Part) -> Observation:
            shown = f"{_MARKETS_PATH}?vs_currency=usd&ids={ids[part]} (one of {len(ids)})"
            return _market(part.need, replace(call, endpoint=shown), ids[part], rows)

        return each(call, parts, answer)


def _market_rows(call: Call, coin_ids: Sequence[str]) -> dict[str, _MarketRow]:
    params: dict[str, str | int] = {
        "vs_currency": "usd",
        "ids": ",".join(coin_ids),
        "per_page": _PAGE,
        "price_change_percentage": "7d,30d,1y",
    }
    return {row.id: row for row in call.get_model(_MarketRows, _MARKETS_PATH, params).root}


def _market(
    need: DataNeed, call: Call, coin_id: str, rows: Mapping[str, _MarketRow]
) -> Observation:
    row = rows.get(coin_id)
    if row is None:
        raise call.not_offered(f"market of {coin_id}")
    values = _stated(
        {
            "market_cap_rank": (row.market_cap_rank, "rank"),
            "price_usd": (row.current_price, "USD"),
            "market_cap_usd": (row.market_cap, "USD"),
            "fully_diluted_valuation_usd": (row.fully_diluted_valuation, "USD"),
            "volume_24h_usd": (row.total_volume, "USD"),
            "ath_usd": (row.ath, "USD"),
            "ath_change_percent": (row.ath_change_percentage, "percent"),
            "change_24h_percent": (row.price_change_percentage_24h, "percent"),
            "change_7d_percent": (row.price_change_percentage_7d_in_currency, "percent"),
            "change_30d_percent": (row.price_change_percentage_30d_in_currency, "percent"),
            "change_1y_percent": (row.price_change_percentage_1y_in_currency, "percent"),
            "circulating_supply": (row.circulating_supply, "coins"),
            "total_supply": (row.total_supply, "coins"),
            "max_supply": (row.max_supply, "coins"),
        }
    )
    return observe_measures(need, call, coin_id, values, row.last_updated)


def coin_measures(
    market: _MarketData | None, developer: _DeveloperData | None, rank: int | None
) -> list[Measure]:
    """The numbers that are there, with their units."""
    found: dict[str, tuple[float | None, str]] = {"market_cap_rank": (rank, "rank")}
    if market is not None:
        usd: Mapping[str, dict[str, float | None]] = {
            "price_usd": market.current_price,
            "market_cap_usd": market.market_cap,
            "fully_diluted_valuation_usd": market.fully_diluted_valuation,
            "volume_24h_usd": market.total_volume,
            "ath_usd": market.ath,
            "tvl_usd": market.total_value_locked,
        }
        found |= {name: (amounts.get("usd"), "USD") for name, amounts in usd.items()}
        found |= {
            "ath_change_percent": (market.ath_change_percentage.get("usd"), "percent"),
            "change_24h_percent": (market.price_change_percentage_24h, "percent"),
            "change_7d_percent": (market.price_change_percentage_7d, "percent"),
            "change_30d_percent": (market.price_change_percentage_30d, "percent"),
            "change_1y_percent": (market.price_change_percentage_1y, "percent"),
            "circulating_supply": (market.circulating_supply, "coins"),
            "total_supply": (market.total_supply, "coins"),
            "max_supply": (market.max_supply, "coins"),
        }
    if developer is not None:
        found |= {
            "commit_count_4_weeks": (developer.commit_count_4_weeks, "commits"),
            "stars": (developer.stars, "count"),
            "forks": (developer.forks, "count"),
            "pull_requests_merged": (developer.pull_requests_merged, "count"),
            "pull_request_contributors": (developer.pull_request_contributors, "count"),
        }
    return _stated(found)


def _global(need: DataNeed, call: Call) -> Observation:
    data = call.get_model(_GlobalAnswer, "/api/v3/global").data
    numbers: dict[str, tuple[float | None, str]] = {
        "total_market_cap_usd": (data.total_market_cap.get("usd"), "USD"),
        "total_volume_24h_usd": (data.total_volume.get("usd"), "USD"),
        "market_cap_change_24h_percent": (data.market_cap_change_percentage_24h_usd, "percent"),
        "btc_dominance_percent": (data.market_cap_percentage.get("btc"), "percent"),
        "eth_dominance_percent": (data.market_cap_percentage.get("eth"), "percent"),
    }
    values = _stated(numbers)
    moment = check_newest(call, data.updated_at * 1000)
    return observe_measures(need, call, "global", values, moment)


def _stated(numbers: Mapping[str, tuple[float | None, str]]) -> list[Measure]:
    """Those that are there; a price or a supply of 0 is not."""
    return [
        Measure(name=name, value=value, unit=unit)
        for name, (value, unit) in numbers.items()
        if value is not None and not (value == 0 and unit in {"USD", "coins"})
    ]
