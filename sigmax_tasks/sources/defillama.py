"""DefiLlama: value locked on a chain or in a protocol, what it earns, prices and stablecoins.

The base coin stands for a chain (``chains`` in sources.yaml: SOL is Solana) or a protocol
(``protocols``: UNI is uniswap). Series ``chain_tvl`` (USD, daily; without a symbol: all chains).
Measures ``fees`` and ``revenue``: total24h_usd, total7d_usd, total30d_usd, total1y_usd, and
change_7d_percent, change_30d_percent against the 7 or 30 days before.

Prices come from a host of their own, put together from many venues: measures ``coin_price``
(price_usd, and confidence from 0 to 1), or a ticker of a market against the dollar. So do
stablecoins: series ``stablecoin_supply_usd``, all of them or those on one chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, RootModel

from sigmax_planner.models import Symbol
from sigmax_tasks.models.observations import DataNeed, Measure, Observation, Ticker
from sigmax_tasks.sources.bulk import Outcome, Part, Scope, each, neighbours, of_all
from sigmax_tasks.sources.call import Call, drop_unfinished_days, from_ms
from sigmax_tasks.sources.domains import observe_measures, observe_series


class _ChainPoint(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    date: int
    tvl: float


class _ChainTvl(RootModel[list[_ChainPoint]]):
    pass


class _ProtocolPoint(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    date: int
    totalLiquidityUSD: float  # noqa: N815  # the provider's name


class _Protocol(BaseModel):
    tvl: list[_ProtocolPoint]


class _Totals(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    total24h: float | None = None
    total7d: float | None = None
    total30d: float | None = None
    total1y: float | None = None
    change_7dover7d: float | None = None
    change_30dover30d: float | None = None


class _CoinPrice(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    price: float = Field(gt=0)
    symbol: str = ""
    timestamp: int = Field(gt=1_000_000_000, lt=100_000_000_000)
    confidence: float | None = Field(default=None, ge=0, le=1)


class _CoinPrices(BaseModel):
    coins: dict[str, _CoinPrice]


class _SupplyPoint(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    date: int
    totalCirculatingUSD: dict[str, float]  # noqa: N815  # the provider's name


class _Supply(RootModel[list[_SupplyPoint]]):
    pass


_PRICES_PATH: Final = "/prices/current"
_MOST_COINS: Final = 100
_DOLLARS: Final = frozenset({"USD", "USDT", "USDC"})
_OLD_PRICE_SECONDS: Final = 1800
_POOR_CONFIDENCE: Final = 0.5
_DATA_TYPES: Final = {"fees": "dailyFees", "revenue": "dailyRevenue"}


def fetch_defillama(need: DataNeed, call: Call) -> Observation:
    """Series ``chain_tvl``, or measures ``fees`` or ``revenue``."""
    if need.kind == "series":
        return _tvl(need, call)
    return _earnings(need, call)


def _tvl(need: DataNeed, call: Call) -> Observation:
    if call.series_entry().id != "tvl":
        raise call.not_offered(f"series {call.series_entry().id}")
    chain, slug = _subject(need, call) if need.symbol else ("", "")
    if slug:
        protocol = call.get_model(_Protocol, f"/protocol/{quote(slug, safe='')}")
        points = [(p.date * 1000, p.totalLiquidityUSD) for p in protocol.tvl]
    else:
        path = "/v2/historicalChainTvl" + (f"/{quote(chain, safe='')}" if chain else "")
        points = [(p.date * 1000, p.tvl) for p in call.get_model(_ChainTvl, path).root]
    return observe_series(need, call, drop_unfinished_days(points, call.now_ms))


def _earnings(need: DataNeed, call: Call) -> Observation:
    data_type = _DATA_TYPES.get(need.name)
    if data_type is None:
        raise call.not_offered(need.label)
    chain, slug = _subject(need, call)
    path = f"/overview/fees/{quote(chain, safe='')}" if chain else f"/summary/fees/{quote(slug)}"
    params = {
        "dataType": data_type,
        "excludeTotalDataChart": "true",
        "excludeTotalDataChartBreakdown": "true",
    }
    totals = call.get_model(_Totals, path, params)
    numbers = {
        "total24h_usd": (totals.total24h, "USD"),
        "total7d_usd": (totals.total7d, "USD"),
        "total30d_usd": (totals.total30d, "USD"),
        "total1y_usd": (totals.total1y, "USD"),
        "change_7d_percent": (totals.change_7dover7d, "percent"),
        "change_30d_percent": (totals.change_30dover30d, "percent"),
    }
    values = [
        Measure(name=key, value=value, unit=unit)
        for key, (value, unit) in numbers.items()
        if value is not None
    ]
    return observe_measures(need, call, f"{chain or slug} {need.name}", values)


def _subject(need: DataNeed, call: Call) -> tuple[str, str]:
    """(chain, "") or ("", protocol slug) of the need's base coin."""
    coin = call.base_coin(need)
    chain, slug = call.settings.chains.get(coin, ""), call.settings.protocols.get(coin, "")
    if not chain and not slug:
        raise call.not_offered(f"{coin}, it is neither a chain nor a protocol in sources.yaml")
    return chain, "" if chain else slug


def fetch_defillama_price(need: DataNeed, call: Call) -> Observation:
    """The base coin's price in dollars now, over many venues.

    Measures ``coin_price``, or a :class:`Ticker` with the price alone. A price of low confidence or
    older than half an hour is refused.
    """
    if need.kind == "measures" and need.name != "coin_price":
        raise call.not_offered(need.label)
    coin = call.base_coin(need)
    quoted = (need.symbol or "").partition("/")[2]
    if need.kind == "ticker" and quoted not in _DOLLARS:
        raise call.not_offered(f"{need.label}, only prices in dollars")
    coin_id = call.settings.coin_ids.get(coin)
    if coin_id is None:
        raise call.not_offered(f"{coin}, it is not in the coin_ids of sources.yaml")
    return _price(need, call, coin_id, _prices(call, [coin_id]))


class PricesTogether:
    """The prices of many coins."""

    def scope(self, part: Part, symbols: Sequence[Symbol], call: Call) -> Scope | None:
        ids = call.settings.coin_ids
        known = [symbol for symbol in symbols if symbol.partition("/")[0] in ids]
        if part.need.kind == "ticker":
            known = [symbol for symbol in known if symbol.partition("/")[2] in _DOLLARS]
        elif part.need.name != "coin_price":
            return None
        found = neighbours(known, part.need.symbol, _MOST_COINS)
        return Scope(part.need.kind, found) if found else None

    def fetch(self, part: Part, scope: Scope, call: Call) -> list[tuple[Part, Outcome]]:
        parts = of_all(part, scope.symbols)
        ids = {own: call.settings.coin_ids[call.base_coin(own.need)] for own in parts}
        prices = _prices(call, sorted(set(ids.values())))

        def answer(part: Part) -> Observation:
            if f"coingecko:{ids[part]}" not in prices:
                raise call.not_offered(f"price of {ids[part]}")
            shown = f"{_PRICES_PATH}/coingecko:{ids[part]} (one of {len(ids)})"
            return _price(part.need, replace(call, endpoint=shown), ids[part], prices)

        return each(call, parts, answer)


def _prices(call: Call, coin_ids: Sequence[str]) -> Mapping[str, _CoinPrice]:
    names = ",".join(f"coingecko:{coin_id}" for coin_id in coin_ids)
    return call.get_model(_CoinPrices, f"{_PRICES_PATH}/{quote(names, safe=':,')}").coins


def _price(
    need: DataNeed, call: Call, coin_id: str, prices: Mapping[str, _CoinPrice]
) -> Observation:
    name = f"coingecko:{coin_id}"
    found = prices.get(name)
    if found is None:
        raise call.bad(f"no price of {name}")
    if found.confidence is not None and found.confidence < _POOR_CONFIDENCE:
        raise call.bad(f"a price of {name} of confidence {found.confidence:g} only")
    age = call.now_ms // 1000 - found.timestamp
    if age > _OLD_PRICE_SECONDS:
        raise call.bad(f"stale: its price of {name} is {age // 60} minutes old")
    moment = from_ms(found.timestamp * 1000)
    if need.kind == "ticker":
        return call.observe(need, Ticker(symbol=need.symbol or "", last=found.price), moment)
    values = [Measure(name="price_usd", value=found.price, unit="USD")]
    if found.confidence is not None:
        values.append(Measure(name="confidence", value=found.confidence, unit="fraction"))
    return observe_measures(need, call, coin_id, values, moment)


def fetch_stablecoins(need: DataNeed, call: Call) -> Observation:
    """Dollar value of all stablecoins, daily; the id is ``all`` or a chain."""
    scope = call.series_entry().id
    found = call.get_model(_Supply, f"/stablecoincharts/{quote(scope, safe='')}").root
    points = []
    for point in found:
        if any(value < 0 for value in point.totalCirculatingUSD.values()):
            raise call.bad("a negative supply of stablecoins")
        if point.totalCirculatingUSD:
            points.append((point.date * 1000, sum(point.totalCirculatingUSD.values())))
    return observe_series(need, call, drop_unfinished_days(points, call.now_ms))
