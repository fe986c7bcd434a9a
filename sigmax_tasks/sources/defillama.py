"""DefiLlama: value locked on a chain or in a protocol, and what it earns.

The base coin stands for a chain (``chains`` in sources.yaml: SOL is Solana) or a protocol
(``protocols``: UNI is uniswap). Series ``chain_tvl`` (USD, daily; without a symbol: all chains).
Measures ``fees`` and ``revenue``: total24h_usd, total7d_usd, total30d_usd, total1y_usd, and
change_7d_percent, change_30d_percent against the 7 or 30 days before.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, RootModel

from sigmax_tasks.models.observations import DataNeed, Measure, Measures, Observation
from sigmax_tasks.sources.call import Call, drop_unfinished_days


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
    return call.observe_series(need, drop_unfinished_days(points, call.now_ms))


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
    values = tuple(
        Measure(name=key, value=value, unit=unit)
        for key, (value, unit) in numbers.items()
        if value is not None
    )
    if not values:
        raise call.bad(f"no {need.name} of {chain or slug}")
    return call.observe(
        need,
        Measures(subject=f"{chain or slug} {need.name}", symbol=need.symbol, values=values),
    )


def _subject(need: DataNeed, call: Call) -> tuple[str, str]:
    """(chain, "") or ("", protocol slug) of the need's base coin."""
    coin = call.base_coin(need)
    chain, slug = call.settings.chains.get(coin, ""), call.settings.protocols.get(coin, "")
    if not chain and not slug:
        raise call.not_offered(f"{coin}, it is neither a chain nor a protocol in sources.yaml")
    return chain, "" if chain else slug
