"""DefiLlama: chain TVL, fees of chains and protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sigmax_tasks.simulator.protocols.reply import Reply, Request, json_reply, unknown_path
from sigmax_tasks.simulator.world import FeeSeries, Point, UnknownNameError, World

_TYPES: Final = ("dailyFees", "dailyRevenue", "dailyHoldersRevenue")


def answer(world: World, request: Request) -> Reply:
    data_type = request.text("dataType", "dailyFees")
    if data_type not in _TYPES:
        return json_reply({"error": f"dataType must be one of {', '.join(_TYPES)}"}, 400)
    try:
        match request.path.strip("/").split("/"):
            case ["v2", "historicalChainTvl"]:
                return _tvl(world.chain_tvl(None))
            case ["v2", "historicalChainTvl", chain]:
                return _tvl(world.chain_tvl(chain))
            case ["overview", "fees"]:
                return _overview(world, request, data_type, None)
            case ["overview", "fees", chain]:
                return _overview(world, request, data_type, chain)
            case ["summary", "fees", slug]:
                return _summary(world, slug, data_type)
            case _:
                return unknown_path(request)
    except UnknownNameError as unknown:
        return json_reply({"message": f"{unknown} not found"}, 404)


def answer_coins(world: World, request: Request) -> Reply:
    """Prices by `coingecko:ID`; what it does not know is left out, with status 200."""
    match request.path.strip("/").split("/"):
        case ["prices", "current", names]:
            pass
        case _:
            return unknown_path(request)
    found = {}
    for name in names.split(","):
        source, _, coin_id = name.partition(":")
        if source != "coingecko":
            continue
        try:
            coin = world.coin(coin_id)
        except UnknownNameError:
            continue
        found[name] = {
            "price": coin.price,
            "symbol": coin.symbol.upper(),
            "timestamp": world.now_ms // 1000 - 30,
            "confidence": 0.99,
        }
    return json_reply({"coins": found})


def answer_stablecoins(world: World, request: Request) -> Reply:
    """The supply over all chains; here the date is a string."""
    match request.path.strip("/").split("/"):
        case ["stablecoincharts", "all"]:
            rows = [
                {"date": str(point.seconds), "totalCirculatingUSD": {"peggedUSD": point.value}}
                for point in world.stablecoin_supply()
            ]
            return json_reply(rows)
        case ["stablecoincharts", chain]:
            return json_reply({"message": f"{chain} not found"}, 404)
        case _:
            return unknown_path(request)


def _tvl(points: Sequence[Point]) -> Reply:
    return json_reply([{"date": point.seconds, "tvl": round(point.value)} for point in points])


def _overview(world: World, request: Request, data_type: str, chain: str | None) -> Reply:
    wanted = None if chain is None else _chain_name(chain)
    series = world.fees(data_type, wanted)
    days = [
        Point(day[0].seconds, sum(point.value for point in day))
        for day in zip(*(row.days for row in series), strict=True)
    ]
    without = request.flag("excludeTotalDataChart")
    parts = request.flag("excludeTotalDataChartBreakdown")
    breakdown = []
    if not parts:
        breakdown = [
            [day[0].seconds, {s.name: p.value for s, p in zip(series, day, strict=True)}]
            for day in zip(*(row.days for row in series), strict=True)
        ]
    payload = {
        "totalDataChart": [] if without else [[p.seconds, p.value] for p in days],
        "totalDataChartBreakdown": breakdown,
        "breakdown24h": None,
        "breakdown30d": None,
        "chain": wanted,
        "allChains": sorted({name for row in series for name in row.chains}),
        **_totals(days),
        "protocols": [_protocol(row) for row in series],
    }
    return json_reply(payload)


def _summary(world: World, slug: str, data_type: str) -> Reply:
    series = world.fees(data_type, None, slug)
    if not series:
        raise UnknownNameError(slug)
    found = series[0]
    payload = {
        **_protocol(found),
        "totalDataChart": [[point.seconds, point.value] for point in found.days],
        "totalDataChartBreakdown": [],
    }
    return json_reply(payload)


def _chain_name(text: str) -> str:
    """The API takes a chain in any case."""
    special = {"bsc": "BSC"}
    return special.get(text.lower(), text[:1].upper() + text[1:].lower())


def _protocol(row: FeeSeries) -> dict[str, Any]:
    return {
        **_totals(row.days),
        "name": row.name,
        "displayName": row.name,
        "module": row.slug,
        "category": row.category,
        "chains": list(row.chains),
        "protocolType": "chain" if row.category == "Chain" else "protocol",
        "methodology": {"Fees": "Fees paid by users", "Revenue": "Fees kept by the protocol"},
        "slug": row.slug,
        "parentProtocol": None,
        "linkedProtocols": [row.name],
    }


def _totals(days: Sequence[Point]) -> dict[str, float | None]:
    values = [point.value for point in days]

    def between(first: int, last: int) -> float | None:
        """Sum of the days from `first` to `last` days before the newest, both counted."""
        part = values[max(len(values) - last, 0) : len(values) - first + 1]
        return sum(part) if part else None

    def change(new: float | None, old: float | None) -> float | None:
        return None if new is None or not old else round((new / old - 1.0) * 100.0, 2)

    day, week, month = between(1, 1), between(1, 7), between(1, 30)
    return {
        "total24h": day,
        "total48hto24h": between(2, 2),
        "total7d": week,
        "total14dto7d": between(8, 14),
        "total30d": month,
        "total60dto30d": between(31, 60),
        "total1y": between(1, 365),
        "totalAllTime": sum(values) if values else None,
        "change_1d": change(day, between(2, 2)),
        "change_7d": change(day, between(8, 8)),
        "change_1m": change(day, between(31, 31)),
        "change_7dover7d": change(week, between(8, 14)),
        "change_30dover30d": change(month, between(31, 60)),
        "total7DaysAgo": between(8, 8),
        "total30DaysAgo": between(31, 31),
    }
