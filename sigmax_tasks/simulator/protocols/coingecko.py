"""CoinGecko public API: prices, market lists, one coin, its chart, the whole market. USD only."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, Final

from sigmax_tasks.simulator.protocols.reply import (
    BadRequestError,
    Reply,
    Request,
    iso,
    json_reply,
    unknown_path,
)
from sigmax_tasks.simulator.world import Coin, UnknownNameError, World

_PERIODS: Final = {7: "7d", 14: "14d", 30: "30d", 60: "60d", 200: "200d", 365: "1y"}
_DAY: Final = 86_400


def answer(world: World, request: Request) -> Reply:
    try:
        match request.path.strip("/").split("/"):
            case ["api", "v3", "ping"]:
                return json_reply({"gecko_says": "(V3) To the Moon!"})
            case ["api", "v3", "simple", "price"]:
                return _simple_price(world, request)
            case ["api", "v3", "coins", "markets"]:
                return _markets(world, request)
            case ["api", "v3", "coins", "list"]:
                rows = [
                    {"id": c.coin_id, "symbol": c.symbol, "name": c.name} for c in world.coins()
                ]
                return json_reply(rows)
            case ["api", "v3", "coins", name]:
                return json_reply(_coin(world, world.coin(name), request))
            case ["api", "v3", "coins", name, "market_chart"]:
                return _chart(world, name, request)
            case ["api", "v3", "global"]:
                return _global(world)
            case _:
                return unknown_path(request)
    except BadRequestError as refusal:
        return json_reply({"error": f"Missing parameter {refusal.parameter}"}, 422)
    except UnknownNameError:
        return json_reply({"error": "coin not found"}, 404)


def _required(request: Request, name: str) -> str:
    text = request.text(name)
    if not text:
        raise BadRequestError(name, "is missing")
    return text


def _usd(request: Request, name: str) -> None:
    if "usd" not in _required(request, name).lower().split(","):
        raise BadRequestError(name, "must be usd here")


def _simple_price(world: World, request: Request) -> Reply:
    names = _required(request, "ids").replace(" ", "").split(",")[:250]
    _usd(request, "vs_currencies")
    prices: dict[str, dict[str, float | int]] = {}
    for name in sorted(set(names)):
        try:
            coin = world.coin(name)
        except UnknownNameError:
            continue
        prices[name] = row = {"usd": _price(coin.price)}
        if request.flag("include_market_cap"):
            row["usd_market_cap"] = coin.price * coin.circulating
        if request.flag("include_24hr_vol"):
            row["usd_24h_vol"] = coin.total_volume
        if request.flag("include_24hr_change"):
            row["usd_24h_change"] = coin.changes[1]
        if request.flag("include_last_updated_at"):
            row["last_updated_at"] = world.now_ms // 1000
    return json_reply(prices)


def _price(value: float) -> float:
    return float(f"{value:.6g}")


def _markets(world: World, request: Request) -> Reply:
    _usd(request, "vs_currency")
    names = [name for name in request.text("ids").replace(" ", "").split(",") if name]
    coins = list(world.coins()) if not names else []
    for name in names[:250]:
        try:
            coins.append(world.coin(name))
        except UnknownNameError:
            continue
    coins.sort(key=lambda coin: coin.rank)
    size = request.integer("per_page", 100, 1, 250)
    page = request.integer("page", 1, 1, 10_000)
    rows = [_row(world, coin, request) for coin in coins[(page - 1) * size : page * size]]
    return json_reply(rows)


def _row(world: World, coin: Coin, request: Request) -> dict[str, Any]:
    cap = coin.price * coin.circulating
    before = coin.price / (1.0 + coin.changes[1] / 100.0)
    row = {
        "id": coin.coin_id,
        "symbol": coin.symbol,
        "name": coin.name,
        "image": _image(coin, "large"),
        "current_price": _price(coin.price),
        "market_cap": round(cap),
        "market_cap_rank": coin.rank,
        "fully_diluted_valuation": round(coin.price * (coin.maximum or coin.total or 0.0)),
        "total_volume": round(coin.total_volume),
        "high_24h": _price(coin.high_24h),
        "low_24h": _price(coin.low_24h),
        "price_change_24h": coin.price - before,
        "price_change_percentage_24h": round(coin.changes[1], 5),
        "market_cap_change_24h": (coin.price - before) * coin.circulating,
        "market_cap_change_percentage_24h": round(coin.changes[1], 5),
        "circulating_supply": coin.circulating,
        "total_supply": coin.total,
        "max_supply": coin.maximum,
        "ath": _price(coin.ath),
        "ath_change_percentage": round((coin.price / coin.ath - 1.0) * 100.0, 5),
        "ath_date": iso(coin.ath_ms),
        "atl": _price(coin.atl),
        "atl_change_percentage": round((coin.price / coin.atl - 1.0) * 100.0, 5),
        "atl_date": iso(coin.atl_ms),
        "roi": None,
        "last_updated": iso(world.now_ms),
    }
    for period in request.text("price_change_percentage").split(","):
        for days, label in {1: "24h", **_PERIODS}.items():
            if label == period and days in coin.changes:
                row[f"price_change_percentage_{label}_in_currency"] = coin.changes[days]
    return row


def _image(coin: Coin, size: str) -> str:
    return f"https://assets.coingecko.com/coins/images/{coin.rank}/{size}/{coin.coin_id}.png"


def _coin(world: World, coin: Coin, request: Request) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "id": coin.coin_id,
        "symbol": coin.symbol,
        "name": coin.name,
        "web_slug": coin.coin_id,
        "asset_platform_id": None,
        "platforms": {"": ""},
        "detail_platforms": {"": {"decimal_place": None, "contract_address": ""}},
        "block_time_in_minutes": 10 if coin.symbol == "btc" else 0,
        "hashing_algorithm": "SHA-256" if coin.symbol == "btc" else None,
        "categories": list(coin.categories),
        "preview_listing": False,
        "public_notice": None,
        "additional_notices": [],
        "description": {"en": f"{coin.name} as a simulated market knows it."},
        "links": {"homepage": [""], "repos_url": {"github": [], "bitbucket": []}},
        "image": {size: _image(coin, size) for size in ("thumb", "small", "large")},
        "country_origin": "",
        "genesis_date": coin.genesis_date,
        "sentiment_votes_up_percentage": None,
        "sentiment_votes_down_percentage": None,
        "watchlist_portfolio_users": None,
        "market_cap_rank": coin.rank,
    }
    if request.text("market_data", "true") == "true":
        payload["market_data"] = _market_data(world, coin)
    if request.text("community_data", "true") == "true":
        payload["community_data"] = {
            "facebook_likes": None,
            "reddit_average_posts_48h": 0.0,
            "reddit_average_comments_48h": 0.0,
            "reddit_subscribers": 0,
            "reddit_accounts_active_48h": 0,
            "telegram_channel_user_count": None,
        }
    if request.text("developer_data", "true") == "true":
        payload["developer_data"] = {
            "forks": coin.forks,
            "stars": coin.stars,
            "subscribers": coin.stars // 14,
            "total_issues": coin.stars // 9,
            "closed_issues": coin.stars // 10,
            "pull_requests_merged": coin.stars // 6,
            "pull_request_contributors": coin.contributors,
            "code_additions_deletions_4_weeks": {
                "additions": coin.commits_4_weeks * 23,
                "deletions": -coin.commits_4_weeks * 9,
            },
            "commit_count_4_weeks": coin.commits_4_weeks,
            "last_4_weeks_commit_activity_series": [],
        }
    payload["status_updates"] = []
    payload["last_updated"] = iso(world.now_ms)
    return payload


def _market_data(world: World, coin: Coin) -> dict[str, Any]:
    cap = coin.price * coin.circulating
    diluted = coin.price * (coin.maximum or coin.total or 0.0)
    tvl = None if coin.tvl is None else {"usd": round(coin.tvl)}
    before = coin.price / (1.0 + coin.changes[1] / 100.0)
    data: dict[str, Any] = {
        "current_price": {"usd": _price(coin.price)},
        "total_value_locked": tvl,
        "mcap_to_tvl_ratio": None if coin.tvl is None else round(cap / coin.tvl, 2),
        "fdv_to_tvl_ratio": None if coin.tvl is None else round(diluted / coin.tvl, 2),
        "roi": None,
        "ath": {"usd": _price(coin.ath)},
        "ath_change_percentage": {"usd": (coin.price / coin.ath - 1.0) * 100.0},
        "ath_date": {"usd": iso(coin.ath_ms)},
        "atl": {"usd": _price(coin.atl)},
        "atl_change_percentage": {"usd": (coin.price / coin.atl - 1.0) * 100.0},
        "atl_date": {"usd": iso(coin.atl_ms)},
        "market_cap": {"usd": round(cap)},
        "market_cap_rank": coin.rank,
        "fully_diluted_valuation": {"usd": round(diluted)},
        "total_volume": {"usd": round(coin.total_volume)},
        "high_24h": {"usd": _price(coin.high_24h)},
        "low_24h": {"usd": _price(coin.low_24h)},
        "price_change_24h": coin.price - before,
        "price_change_percentage_24h": coin.changes[1],
        "market_cap_change_24h": (coin.price - before) * coin.circulating,
        "market_cap_change_percentage_24h": coin.changes[1],
        "total_supply": coin.total,
        "max_supply": coin.maximum,
        "circulating_supply": coin.circulating,
        "last_updated": iso(world.now_ms),
    }
    for days, label in _PERIODS.items():
        if days in coin.changes:
            data[f"price_change_percentage_{label}"] = coin.changes[days]
            data[f"price_change_percentage_{label}_in_currency"] = {"usd": coin.changes[days]}
    return data


def _chart(world: World, name: str, request: Request) -> Reply:
    """5 minutes for a day, hours up to 90 days, else days at 00:00; the present point last."""
    coin = world.coin(name)
    _usd(request, "vs_currency")
    text = _required(request, "days")
    days = 3650 if text == "max" else request.integer("days", 1, 1, 3650)
    if request.text("interval") == "daily" or days > 90:
        step, count = _DAY, days + 1
    elif days > 1:
        step, count = 3600, days * 24 + 1
    else:
        step, count = 300, 289
    window = _DAY // step
    rows = world.coin_history(name, step, count + window)
    running = list(accumulate((row.quote_volume or 0.0 for row in rows), initial=0.0))
    points = [
        (row.open_ms, row.open, running[n] - running[n - window])
        for n, row in enumerate(rows)
        if n >= window
    ]
    if points and points[-1][0] < world.now_ms:
        points.append((world.now_ms, rows[-1].close, coin.total_volume))
        points = points[1:]
    payload = {
        "prices": [[time, price] for time, price, _ in points],
        "market_caps": [[time, price * coin.circulating] for time, price, _ in points],
        "total_volumes": [[time, volume] for time, _, volume in points],
    }
    return json_reply(payload)


def _global(world: World) -> Reply:
    state = world.global_market()
    data = {
        "active_cryptocurrencies": state.active,
        "upcoming_icos": 0,
        "ongoing_icos": 49,
        "ended_icos": 3376,
        "markets": state.venues,
        "total_market_cap": {"usd": state.cap_usd},
        "total_volume": {"usd": state.volume_usd},
        "market_cap_percentage": state.shares,
        "market_cap_change_percentage_24h_usd": state.change_24h,
        "updated_at": world.now_ms // 1000,
    }
    return json_reply({"data": data})
