"""Daily statistics of blockchains: CoinMetrics, blockchain.info charts, and mempool.space fees.

A daily value is stamped 00:00 UTC of its day; the running day is left out.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from sigmax_tasks.errors import PermanentSourceError
from sigmax_tasks.models.observations import DataNeed, Measure, Observation
from sigmax_tasks.sources.call import Call, drop_unfinished_days
from sigmax_tasks.sources.domains import observe_measures, observe_series

_BTC_ONLY: Final = "it knows bitcoin only"


class _MetricsAnswer(BaseModel):
    data: list[dict[str, str | None]]


class _ChartPoint(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    x: int
    y: float


class _Chart(BaseModel):
    status: str
    values: list[_ChartPoint]


class _Fees(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    fastestFee: float = Field(gt=0)  # noqa: N815  # the provider's names
    halfHourFee: float = Field(gt=0)  # noqa: N815
    hourFee: float = Field(gt=0)  # noqa: N815
    economyFee: float = Field(gt=0)  # noqa: N815
    minimumFee: float = Field(gt=0)  # noqa: N815


def fetch_coinmetrics(need: DataNeed, call: Call) -> Observation:
    """A daily metric of the need's base coin; values come as strings, times with nanoseconds."""
    metric = call.series_entry().id
    asset = call.base_coin(need).lower()
    start = call.clock.now() - timedelta(days=need.limit + 5)
    answer = call.get_model(
        _MetricsAnswer,
        "/v4/timeseries/asset-metrics",
        {
            "assets": asset,
            "metrics": metric,
            "frequency": "1d",
            "start_time": f"{start:%Y-%m-%d}",
            "page_size": 10_000,
        },
    )
    points = []
    for row in answer.data:
        if row.get("asset") != asset:
            raise call.bad(f"asked for {asset}, answered about {str(row.get('asset'))[:20]}")
        value = row.get(metric)
        if value is not None:
            points.append((_day_ms(call, row.get("time")), _number(call, value)))
    return observe_series(need, call, drop_unfinished_days(points, call.now_ms))


def fetch_blockchain_chart(need: DataNeed, call: Call) -> Observation:
    """A daily chart of the bitcoin chain."""
    if call.base_coin(need) != "BTC":
        raise call.not_offered(f"{need.label}, {_BTC_ONLY}")
    chart = call.get_model(
        _Chart,
        f"/charts/{quote(call.series_entry().id, safe='')}",
        {
            "timespan": f"{need.limit + 5}days",
            "rollingAverage": "1days",
            "sampled": "false",
            "format": "json",
        },
    )
    if chart.status != "ok":
        raise PermanentSourceError(call.provider_id, f"status {chart.status[:40]}")
    points = [(point.x * 1000, point.y) for point in chart.values]
    return observe_series(need, call, drop_unfinished_days(points, call.now_ms))


def fetch_mempool_fees(need: DataNeed, call: Call) -> Observation:
    """Recommended fee rates of the bitcoin network now, in sat/vB."""
    if need.name != "fee_rates" or (need.symbol and call.base_coin(need) != "BTC"):
        raise call.not_offered(f"{need.label}, {_BTC_ONLY}")
    fees = call.get_model(_Fees, "/api/v1/fees/recommended")
    values = [
        Measure(name=name, value=value, unit="sat/vB")
        for name, value in (
            ("fastest_fee", fees.fastestFee),
            ("half_hour_fee", fees.halfHourFee),
            ("hour_fee", fees.hourFee),
            ("economy_fee", fees.economyFee),
            ("minimum_fee", fees.minimumFee),
        )
    ]
    return observe_measures(need, call, "bitcoin", values)


def _day_ms(call: Call, text: str | None) -> int:
    try:
        moment = datetime.fromisoformat((text or "")[:19]).replace(tzinfo=UTC)
    except ValueError as error:
        raise call.bad(f"unreadable time {str(text)[:40]!r}") from error
    return int(moment.timestamp() * 1000)


def _number(call: Call, text: str) -> float:
    try:
        return float(text)  # not finite: refused with the values out of range
    except ValueError as error:
        raise call.bad(f"unreadable number {text[:40]!r}") from error
