"""Daily statistics of blockchains: CoinMetrics, blockchain.info charts, and mempool.space fees.

A daily value is stamped 00:00 UTC of its day; the running day is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from sigmax_planner.models import Symbol
from sigmax_tasks.errors import PermanentSourceError
from sigmax_tasks.models.observations import DataNeed, Measure, Observation
from sigmax_tasks.sources.bulk import Outcome, Part, Scope, each, neighbours
from sigmax_tasks.sources.call import Call, drop_unfinished_days
from sigmax_tasks.sources.domains import observe_measures, observe_series

_METRICS_PATH: Final = "/v4/timeseries/asset-metrics"
_PAGE: Final = 10_000
_SPARE_DAYS: Final = 5
_MOST_ASSETS: Final = 60
_BTC_ONLY: Final = "it knows bitcoin only"


class _MetricsAnswer(BaseModel):
    data: list[dict[str, str | None]]
    next_page_token: str | None = None


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
    rows = _metrics(call, [asset], [metric], need.limit)
    return _metric(need, call, rows, asset, metric)


class MetricsTogether:
    """All metrics of this provider that sources.yaml names for a data source, of many coins.

    Those that are not free, or do not exist of a coin, are left out of the answer.
    """

    def scope(self, part: Part, symbols: Sequence[Symbol], call: Call) -> Scope | None:  # noqa: ARG002 (common signature)
        """As many coins as fit into one page of daily rows."""
        most = min(_MOST_ASSETS, _PAGE // (part.need.limit + _SPARE_DAYS + 1))
        found = neighbours(symbols, part.need.symbol, most) if most and part.series else None
        return Scope(f"{part.need.source} {part.need.limit}", found) if found else None

    def fetch(self, part: Part, scope: Scope, call: Call) -> list[tuple[Part, Outcome]]:
        named = call.settings.series.get(part.need.source, {})
        parts = [
            Part(part.need.model_copy(update={"name": name, "symbol": symbol}), entry)
            for name, entries in named.items()
            for entry in entries
            if entry.provider == call.provider_id
            for symbol in scope.symbols
            if entry.covers(symbol)
        ]
        assets = sorted({_asset(part) for part in parts})
        metrics = sorted({_metric_id(part) for part in parts})
        rows = _metrics(call, assets, metrics, part.need.limit, lenient=True)

        def answer(part: Part) -> Observation:
            asset, metric = _asset(part), _metric_id(part)
            shown = f"{_METRICS_PATH}?assets={asset}&metrics={metric} (one of {len(parts)})"
            own = replace(call, series=part.series, endpoint=shown)
            if not any(row.get(metric) is not None for row in rows.get(asset, ())):
                raise call.not_offered(f"{metric} of {asset}")
            return _metric(part.need, own, rows, asset, metric)

        return each(call, parts, answer)


_Row = Mapping[str, str | None]


def _metrics(
    call: Call,
    assets: Sequence[str],
    metrics: Sequence[str],
    limit: int,
    *,
    lenient: bool = False,
) -> dict[str, list[_Row]]:
    """The rows of the last ``limit`` days by asset; ``lenient`` leaves out what it has not."""
    start = call.clock.now() - timedelta(days=limit + _SPARE_DAYS)
    params: dict[str, str | int] = {
        "assets": ",".join(assets),
        "metrics": ",".join(metrics),
        "frequency": "1d",
        "start_time": f"{start:%Y-%m-%d}",
        "page_size": _PAGE,
    }
    if lenient:
        params |= {"ignore_forbidden_errors": "true", "ignore_unsupported_errors": "true"}
    answer = call.get_model(_MetricsAnswer, _METRICS_PATH, params)
    if answer.next_page_token:
        raise call.bad(f"more than {_PAGE} rows of {len(assets)} assets")
    found: dict[str, list[_Row]] = {}
    for row in answer.data:
        asset = row.get("asset") or ""
        if asset not in assets:
            raise call.bad(f"asked for {', '.join(assets)[:60]}, answered about {asset[:20]}")
        found.setdefault(asset, []).append(row)
    return found


def _metric(
    need: DataNeed, call: Call, rows: Mapping[str, Sequence[_Row]], asset: str, metric: str
) -> Observation:
    points = [
        (_day_ms(call, row.get("time")), _number(call, value))
        for row in rows.get(asset, ())
        if (value := row.get(metric)) is not None
    ]
    return observe_series(need, call, drop_unfinished_days(points, call.now_ms))


def _asset(part: Part) -> str:
    return (part.need.symbol or "").partition("/")[0].lower()


def _metric_id(part: Part) -> str:
    return part.series.id if part.series is not None else ""


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
