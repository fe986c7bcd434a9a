"""blockchain.info charts: daily values of the bitcoin chain, unix seconds."""

from __future__ import annotations

import re
from typing import Final

from sigmax_tasks.simulator.protocols.reply import Reply, Request, json_reply, unknown_path
from sigmax_tasks.simulator.world import World

# chart: CoinMetrics name of the same thing, title, unit, description
_CHARTS: Final = {
    "market-price": ("PriceUSD", "Market Price (USD)", "USD", "Average USD market price."),
    "hash-rate": ("HashRate", "Hash Rate", "Hash Rate TH/s", "Estimated hashes per second."),
    "difficulty": ("DiffMean", "Difficulty", "Difficulty", "How difficult a block is to find."),
    "n-transactions": (
        "TxCnt",
        "Confirmed Transactions Per Day",
        "Transactions",
        "The number of daily confirmed Bitcoin transactions.",
    ),
    "n-unique-addresses": (
        "AdrActCnt",
        "Unique Addresses Used",
        "Unique Addresses",
        "The number of unique addresses used per day.",
    ),
    "transaction-fees": ("FeeTotNtv", "Total Transaction Fees", "BTC", "Fees per day in BTC."),
    "transaction-fees-usd": (
        "FeeTotUSD",
        "Total Transaction Fees (USD)",
        "USD",
        "Fees per day in USD.",
    ),
    "market-cap": ("CapMrktCurUSD", "Market Capitalization", "USD", "Value of all bitcoin."),
    "total-bitcoins": ("SplyCur", "Bitcoins in circulation", "BTC", "Bitcoin mined so far."),
}
_SPAN: Final = re.compile(r"(\d{1,4})\s*(day|week|month|year)s?")
_DAYS: Final = {"day": 1, "week": 7, "month": 30, "year": 365}


def answer(world: World, request: Request) -> Reply:
    match request.path.strip("/").split("/"):
        case ["charts", name] if name in _CHARTS:
            metric, title, unit, description = _CHARTS[name]
            points = list(world.chain_metric("blockchain_info", "btc", metric))
        case ["charts", name]:
            return json_reply({"error": "not-found-error", "message": f"No chart {name}"}, 404)
        case _:
            return unknown_path(request)
    span = request.text("timespan", "1year")
    if span != "all":
        found = _SPAN.fullmatch(span)
        if found is None:
            return json_reply({"error": "bad-request", "message": "invalid timespan"}, 400)
        since = world.now_ms // 1000 - int(found[1]) * _DAYS[found[2]] * 86_400
        points = [point for point in points if point.seconds >= since]
    if request.text("sampled", "true") == "true" and len(points) > 1500:
        points = points[:: -(-len(points) // 1500)]
    payload = {
        "status": "ok",
        "name": title,
        "unit": unit,
        "period": "day",
        "description": description,
        "values": [{"x": point.seconds, "y": point.value} for point in points],
    }
    return json_reply(payload)
