"""Funding rates of USDT perpetuals: Binance futures and OKX. Rates are fractions per interval."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from pydantic import BaseModel, ConfigDict, RootModel

from sigmax_tasks.errors import PermanentSourceError, RateLimitedError, WrongQuestionError
from sigmax_tasks.models.observations import DataNeed, FundingRates, Observation
from sigmax_tasks.sources.call import Call, tidy_points

_DOLLARS: Final = frozenset({"USDT", "USD", "USDC"})
_HOUR_MS: Final = 3_600_000


class _BinanceRate(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    symbol: str
    fundingTime: int  # noqa: N815  # the provider's names
    fundingRate: float  # noqa: N815


class _BinanceRates(RootModel[list[_BinanceRate]]):
    pass


class _OkxRate(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    instId: str  # noqa: N815  # the provider's names
    fundingTime: int  # noqa: N815
    fundingRate: float  # noqa: N815


class _OkxAnswer(BaseModel):
    code: str
    msg: str = ""
    data: list[_OkxRate] = []


def fetch_binance_funding(need: DataNeed, call: Call) -> Observation:
    """``/fapi/v1/fundingRate``, at most 1000 rows, oldest first."""
    name = f"{_perpetual_of(need, call)}USDT"
    params: dict[str, str | int] = {"symbol": name, "limit": min(max(need.limit, 2), 1000)}
    rates = call.get_model(_BinanceRates, "/fapi/v1/fundingRate", params).root
    if any(rate.symbol != name for rate in rates):
        raise call.bad(f"asked for {name}, answered about another contract")
    return _observe(need, call, [(rate.fundingTime, rate.fundingRate) for rate in rates])


def fetch_okx_funding(need: DataNeed, call: Call) -> Observation:
    """``/api/v5/public/funding-rate-history``, at most 100 rows, newest first."""
    name = f"{_perpetual_of(need, call)}-USDT-SWAP"
    params: dict[str, str | int] = {"instId": name, "limit": min(max(need.limit, 2), 100)}
    answer = call.get_model(_OkxAnswer, "/api/v5/public/funding-rate-history", params)
    if answer.code != "0":
        problem = f"error {answer.code}: {answer.msg}"
        if answer.code == "50011":
            raise RateLimitedError(call.provider_id, problem)
        if answer.code.startswith("51"):
            raise WrongQuestionError(call.provider_id, problem)
        raise PermanentSourceError(call.provider_id, problem)
    if any(rate.instId != name for rate in answer.data):
        raise call.bad(f"asked for {name}, answered about another contract")
    return _observe(need, call, [(rate.fundingTime, rate.fundingRate) for rate in answer.data])


def _perpetual_of(need: DataNeed, call: Call) -> str:
    base = call.base_coin(need)
    quote = (need.symbol or "").partition("/")[2]
    if quote not in _DOLLARS:
        raise call.not_offered(f"{need.label}, only perpetuals against the dollar")
    return base


def _observe(need: DataNeed, call: Call, points: Sequence[tuple[int, float]]) -> Observation:
    """The interval is the usual distance of the rows, so at least two are needed."""
    rows = tidy_points(points)
    if len(rows) < 2:
        raise call.bad("fewer than two funding rates, their interval is unknown")
    gap_ms = median(b[0] - a[0] for a, b in pairwise(rows))
    data = FundingRates(
        symbol=need.symbol or "",
        interval_hours=round(gap_ms / _HOUR_MS, 2),
        rows=tuple(rows[-need.limit :]),
    )
    return call.observe(need, data)
