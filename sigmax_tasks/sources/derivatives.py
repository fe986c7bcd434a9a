"""Perpetual futures against the dollar: funding rates and open interest of four venues.

Funding (kind ``funding``) is a fraction per interval; the interval is the usual distance of the
rows (8 hours at most venues, 1 hour at Hyperliquid). Open interest (kind ``measures``, name
``open_interest``) holds ``open_interest_coins`` and, where the venue states it,
``open_interest_usd``; what only one of them gives is not worked out from the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel

from sigmax_tasks.errors import (
    PermanentSourceError,
    RateLimitedError,
    TransientSourceError,
    WrongQuestionError,
)
from sigmax_tasks.models.observations import (
    DataNeed,
    FundingRates,
    Measure,
    Observation,
)
from sigmax_tasks.sources.call import Call, tidy_points
from sigmax_tasks.sources.domains import check_newest, observe_measures
from sigmax_tasks.sources.posting import post_json

OPEN_INTEREST: Final = "open_interest"
_DOLLARS: Final = frozenset({"USDT", "USD", "USDC"})
_HOUR_MS: Final = 3_600_000
_LARGEST_RATE: Final = 1.0
_OKX_BUSY: Final = frozenset({"50001", "50004", "50013", "50026"})
_BYBIT_BUSY: Final = frozenset({10000, 10016})
_MOST_HYPERLIQUID_ROWS: Final = 500

Rate = Annotated[float, Field(ge=-_LARGEST_RATE, le=_LARGEST_RATE)]
TimeMs = Annotated[int, Field(gt=1_000_000_000_000, lt=100_000_000_000_000)]
"""Milliseconds: seconds and nanoseconds are out of this range."""
Amount = Annotated[float, Field(ge=0)]
Stated = Annotated[Amount | None, BeforeValidator(lambda value: None if value == "" else value)]


class _Row(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)


class _BinanceRate(_Row):
    symbol: str
    fundingTime: TimeMs  # noqa: N815  # the providers' names, here and below
    fundingRate: Rate  # noqa: N815


class _BinanceRates(RootModel[list[_BinanceRate]]):
    pass


class _BinanceInterest(_Row):
    symbol: str
    openInterest: Amount  # noqa: N815
    time: TimeMs


class _OkxEnvelope(_Row):
    code: str
    msg: str = ""
    data: list[dict[str, Any]] = []


class _OkxRate(_Row):
    instId: str  # noqa: N815
    fundingTime: TimeMs  # noqa: N815
    fundingRate: Rate  # noqa: N815


class _OkxRates(RootModel[list[_OkxRate]]):
    pass


class _OkxInterest(_Row):
    instId: str  # noqa: N815
    oiCcy: Amount  # noqa: N815
    oiUsd: Stated = None  # noqa: N815
    ts: TimeMs


class _OkxInterests(RootModel[list[_OkxInterest]]):
    pass


class _BybitResult(_Row):
    category: Literal["linear"]
    rows: list[dict[str, Any]] = Field(default=[], alias="list")


class _BybitEnvelope(_Row):
    retCode: int  # noqa: N815
    retMsg: str = ""  # noqa: N815
    result: dict[str, Any] = {}
    time: TimeMs | None = None


class _BybitRate(_Row):
    symbol: str
    fundingRate: Rate  # noqa: N815
    fundingRateTimestamp: TimeMs  # noqa: N815


class _BybitTicker(_Row):
    symbol: str
    openInterest: Amount  # noqa: N815
    openInterestValue: Stated = None  # noqa: N815


class _HyperRate(_Row):
    coin: str
    fundingRate: Rate  # noqa: N815
    time: TimeMs


class _HyperRates(RootModel[list[_HyperRate]]):
    pass


class _HyperAsset(_Row):
    name: str


class _HyperUniverse(_Row):
    universe: list[_HyperAsset]


class _HyperState(_Row):
    openInterest: Amount  # noqa: N815


class _HyperMarkets(RootModel[tuple[_HyperUniverse, list[_HyperState]]]):
    pass


def fetch_binance_perpetual(need: DataNeed, call: Call) -> Observation:
    """``/fapi/v1/fundingRate`` (at most 1000 rows, oldest first) or ``/fapi/v1/openInterest``."""
    name = f"{_perpetual_of(need, call)}USDT"
    if _wants_interest(need, call):
        found = call.get_model(_BinanceInterest, "/fapi/v1/openInterest", {"symbol": name})
        _same(call, name, [found.symbol])
        return _interest(need, call, name, found.openInterest, None, found.time)
    params: dict[str, str | int] = {"symbol": name, "limit": min(max(need.limit, 2), 1000)}
    rates = call.get_model(_BinanceRates, "/fapi/v1/fundingRate", params).root
    _same(call, name, [rate.symbol for rate in rates])
    return _funding(need, call, [(rate.fundingTime, rate.fundingRate) for rate in rates])


def fetch_okx_perpetual(need: DataNeed, call: Call) -> Observation:
    """``funding-rate-history`` (at most 100 rows, newest first) or ``open-interest``."""
    name = f"{_perpetual_of(need, call)}-USDT-SWAP"
    if _wants_interest(need, call):
        params: dict[str, str | int] = {"instType": "SWAP", "instId": name}
        data = _okx_data(call, "/api/v5/public/open-interest", params)
        found = call.parse(_OkxInterests, data).root
        _same(call, name, [row.instId for row in found])
        if not found:
            raise call.bad(f"no open interest of {name}")
        newest = max(found, key=lambda row: row.ts)
        return _interest(need, call, name, newest.oiCcy, newest.oiUsd, newest.ts)
    params = {"instId": name, "limit": min(max(need.limit, 2), 100)}
    rates = call.parse(
        _OkxRates, _okx_data(call, "/api/v5/public/funding-rate-history", params)
    ).root
    _same(call, name, [rate.instId for rate in rates])
    return _funding(need, call, [(rate.fundingTime, rate.fundingRate) for rate in rates])


def _okx_data(call: Call, path: str, params: dict[str, str | int]) -> list[dict[str, Any]]:
    """The rows of OKX's envelope; its errors come in the body, with status 200."""
    answer = call.get_model(_OkxEnvelope, path, params)
    if answer.code == "0":
        return answer.data
    problem = f"error {answer.code}: {answer.msg}"
    if answer.code in {"50011", "50061"}:
        raise RateLimitedError(call.provider_id, problem)
    if answer.code in _OKX_BUSY:
        raise TransientSourceError(call.provider_id, problem)
    if answer.code.startswith("51"):
        raise WrongQuestionError(call.provider_id, problem)
    raise PermanentSourceError(call.provider_id, problem)


def fetch_bybit_perpetual(need: DataNeed, call: Call) -> Observation:
    """``funding/history`` (at most 200 rows, newest first) or the open interest of ``tickers``."""
    name = f"{_perpetual_of(need, call)}USDT"
    params: dict[str, str | int] = {"category": "linear", "symbol": name}
    if _wants_interest(need, call):
        rows, at = _bybit_rows(call, "/v5/market/tickers", params)
        found = [call.parse(_BybitTicker, row) for row in rows]
        _same(call, name, [row.symbol for row in found])
        if not found or at is None:
            raise call.bad(f"no open interest of {name}, or no time of it")
        return _interest(need, call, name, found[0].openInterest, found[0].openInterestValue, at)
    params["limit"] = min(max(need.limit, 2), 200)
    rows, _ = _bybit_rows(call, "/v5/market/funding/history", params)
    rates = [call.parse(_BybitRate, row) for row in rows]
    _same(call, name, [rate.symbol for rate in rates])
    return _funding(need, call, [(rate.fundingRateTimestamp, rate.fundingRate) for rate in rates])


def _bybit_rows(
    call: Call, path: str, params: dict[str, str | int]
) -> tuple[list[dict[str, Any]], int | None]:
    """The rows of Bybit's envelope and its time; errors come in the body, with status 200."""
    answer = call.get_model(_BybitEnvelope, path, params)
    if answer.retCode == 0:
        return call.parse(_BybitResult, answer.result).rows, answer.time
    problem = f"error {answer.retCode}: {answer.retMsg}"
    if answer.retCode in {10006, 10018}:
        raise RateLimitedError(call.provider_id, problem)
    if answer.retCode in _BYBIT_BUSY:
        raise TransientSourceError(call.provider_id, problem)
    if answer.retCode == 10001:
        raise WrongQuestionError(call.provider_id, problem)
    raise PermanentSourceError(call.provider_id, problem)


def fetch_hyperliquid(need: DataNeed, call: Call) -> Observation:
    """``POST /info``: ``fundingHistory`` (hourly, oldest first) or ``metaAndAssetCtxs``."""
    coin = _perpetual_of(need, call)
    if _wants_interest(need, call):
        data = post_json(call, "/info", {"type": "metaAndAssetCtxs"})
        head, states = call.parse(_HyperMarkets, data).root
        if len(head.universe) != len(states):
            raise call.bad(f"{len(states)} states for {len(head.universe)} markets")
        for asset, state in zip(head.universe, states, strict=True):
            if asset.name == coin:
                return _interest(need, call, coin, state.openInterest, None, None)
        raise call.not_offered(f"a perpetual of {coin}")
    rows = min(max(need.limit, 2), _MOST_HYPERLIQUID_ROWS)
    start = call.now_ms - rows * _HOUR_MS
    question = {"type": "fundingHistory", "coin": coin, "startTime": start}
    data = post_json(call, "/info", {**question, "endTime": call.now_ms})
    if data is None:
        raise call.not_offered(f"a perpetual of {coin}")
    rates = call.parse(_HyperRates, data).root
    _same(call, coin, [rate.coin for rate in rates])
    return _funding(need, call, [(rate.time, rate.fundingRate) for rate in rates])


def _wants_interest(need: DataNeed, call: Call) -> bool:
    if need.kind == "funding":
        return False
    if need.kind != "measures" or need.name != OPEN_INTEREST:
        raise call.not_offered(need.label)
    return True


def _perpetual_of(need: DataNeed, call: Call) -> str:
    base = call.base_coin(need)
    quote = (need.symbol or "").partition("/")[2]
    if quote not in _DOLLARS:
        raise call.not_offered(f"{need.label}, only perpetuals against the dollar")
    return base


def _same(call: Call, name: str, answered: Sequence[str]) -> None:
    if any(other != name for other in answered):
        raise call.bad(f"asked for {name}, answered about another contract")


def _funding(need: DataNeed, call: Call, points: Sequence[tuple[int, float]]) -> Observation:
    """The interval is the usual distance of the rows, so at least two are needed."""
    rows = tidy_points(points)
    if len(rows) < 2:
        raise call.bad("fewer than two funding rates, their interval is unknown")
    hours = round(median(b[0] - a[0] for a, b in pairwise(rows)) / _HOUR_MS, 2)
    if hours <= 0:
        raise call.bad("funding rates without a distance between them")
    data = FundingRates(
        symbol=need.symbol or "", interval_hours=hours, rows=tuple(rows[-need.limit :])
    )
    return call.observe(need, data)


def _interest(
    need: DataNeed, call: Call, subject: str, coins: float, usd: float | None, at_ms: int | None
) -> Observation:
    """``at_ms`` is the venue's own time of it; None where it gives none."""
    values = [Measure(name="open_interest_coins", value=coins, unit="coins")]
    if usd is not None:
        values.append(Measure(name="open_interest_usd", value=usd, unit="USD"))
    moment = None if at_ms is None else check_newest(call, at_ms)
    return observe_measures(need, call, subject, values, moment)
