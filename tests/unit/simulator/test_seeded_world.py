from __future__ import annotations

from itertools import pairwise
from math import log
from statistics import pstdev

import pytest

from sigmax_tasks.candles import CandleRow, aggregate_candles
from sigmax_tasks.simulator.market import FIRST_MS, SeededWorld, venue_markets
from sigmax_tasks.simulator.prices import EPOCH_MS
from sigmax_tasks.simulator.world import Candle, Market, NotRecorded, UnknownNameError

from .conftest import AS_OF, SEED, Simulator, parse_xml

HOUR = 3_600_000
DAY = 24 * HOUR


def market(base: str, quote: str = "USDT", venue: str = "binance") -> Market:
    return next(m for m in venue_markets(venue) if (m.base, m.quote) == (base, quote))


@pytest.fixture(scope="module")
def world() -> SeededWorld:
    return SeededWorld(SEED, AS_OF)


def plain(row: Candle) -> CandleRow:
    return (row.open_ms, row.open, row.high, row.low, row.close, row.volume)


@pytest.mark.parametrize(
    ("venue", "base", "quote"),
    [("binance", "BTC", "USDT"), ("kraken", "SOL", "USD"), ("coinbase", "PEPE", "USD")],
)
def test_all_time_frames_agree(world: SeededWorld, venue: str, base: str, quote: str) -> None:
    chosen = market(base, quote, venue)
    start = AS_OF - 16 * DAY
    rows = {
        seconds: [
            plain(row)
            for row in world.candles(venue, chosen, seconds, start_ms=start, limit=100_000)
        ]
        for seconds in (60, 300, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400, 604_800)
    }
    frames = sorted(rows)
    for fine in frames:
        for coarse in frames:
            if coarse <= fine or coarse % fine:
                continue
            made = aggregate_candles(rows[fine], fine, coarse, require_complete=False)
            first = rows[coarse][0][0]
            made = [row for row in made if row[0] >= first]
            assert [row[:5] for row in made] == [row[:5] for row in rows[coarse]], (fine, coarse)
            for ours, theirs in zip(made, rows[coarse], strict=True):
                assert ours[5] == pytest.approx(theirs[5], rel=1e-9)


def test_candles_are_possible_and_continuous(world: SeededWorld) -> None:
    rows = world.candles("binance", market("ETH"), 60, limit=3000)
    for before, row in pairwise(rows):
        assert row.open_ms == before.open_ms + 60_000
        assert row.open == before.close
        assert 0 < row.low <= min(row.open, row.close)
        assert row.high >= max(row.open, row.close)
        assert row.volume >= 0
    assert len({row.close for row in rows}) > 1000


def test_the_running_candle_comes_last(world: SeededWorld) -> None:
    rows = world.candles("binance", market("BTC"), 3600, limit=3)
    assert rows[-1].open_ms == AS_OF // HOUR * HOUR
    later = SeededWorld(SEED, AS_OF + HOUR).candles("binance", market("BTC"), 3600, limit=4)
    finished = later[2]
    assert finished.open_ms == rows[-1].open_ms
    assert finished.open == rows[-1].open
    assert finished.high >= rows[-1].high
    assert finished.low <= rows[-1].low
    assert finished.volume > rows[-1].volume


@pytest.mark.parametrize("seconds", [60, 300, 3600, 86_400])
def test_the_past_is_the_same_whenever_it_is_asked_for(seconds: int) -> None:
    early, late = SeededWorld(SEED, AS_OF), SeededWorld(SEED, AS_OF + 800 * DAY)
    seen = early.candles("kraken", market("LINK", "USD", "kraken"), seconds, limit=200)[:-1]
    again = late.candles(
        "kraken", market("LINK", "USD", "kraken"), seconds, start_ms=seen[0].open_ms, limit=199
    )
    assert [plain(row) for row in seen] == [plain(row) for row in again]


def test_context_of_the_past_is_the_same_whenever_it_is_asked_for() -> None:
    early, late = SeededWorld(SEED, AS_OF), SeededWorld(SEED, AS_OF + 3 * HOUR)
    chosen = market("BTC")
    seen = early.trades("binance", chosen, 300)
    again = late.trades("binance", chosen, 300, seen[0].time_ms, seen[-1].time_ms)
    assert seen == again
    assert early.fear_greed(30) == late.fear_greed(30)
    assert early.chain_metric("coinmetrics", "btc", "TxCnt") == late.chain_metric(
        "coinmetrics", "btc", "TxCnt"
    )
    old = {story.story_id: story for story in late.headlines("coindesk")}
    shared = [story for story in early.headlines("coindesk") if story.story_id in old]
    assert len(shared) > 10
    assert all(old[story.story_id] == story for story in shared)


def test_same_seed_same_bytes_other_seed_other_bytes(simulator: Simulator) -> None:
    paths = {
        "binance": "/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=50",
        "kraken": "/0/public/Depth?pair=XBTUSDT&count=10",
        "coindesk": "/arc/outboundfeeds/rss",
        "alternative_me": "/fng/?limit=10",
        "yahoo": "/v8/finance/chart/%5EVIX?range=1mo&interval=1d",
        "coingecko": "/api/v3/coins/solana",
    }
    fresh = SeededWorld(SEED, AS_OF)
    assert fresh.book("kraken", market("BTC", "USDT", "kraken"), 5) == SeededWorld(
        SEED, AS_OF
    ).book("kraken", market("BTC", "USDT", "kraken"), 5)
    for provider, path in paths.items():
        first = simulator.get(provider, path)
        assert first.status == 200
        assert simulator.get(provider, path).body == first.body
        assert simulator.get(provider, path, seed=SEED + 1).body != first.body


def test_exchanges_differ_by_a_few_basis_points(world: SeededWorld) -> None:
    closes = {
        venue: world.candles(venue, market("BTC", "USDT", venue), 3600, limit=50)
        for venue in ("kraken", "coinbase", "binance")
    }
    last = [rows[-1].close for rows in closes.values()]
    assert len(set(last)) == 3
    assert max(last) / min(last) - 1 < 0.001


def test_assets_move_together_and_volume_follows_volatility(world: SeededWorld) -> None:
    def moves(base: str) -> list[float]:
        rows = world.candles("binance", market(base), 86_400, limit=700)
        return [log(b.close / a.close) for a, b in pairwise(rows)]

    btc, eth, sol = moves("BTC"), moves("ETH"), moves("SOL")
    spread = {"btc": pstdev(btc), "sol": pstdev(sol)}
    together = sum(a * b for a, b in zip(btc, eth, strict=True)) / len(btc)
    assert 0.6 < together / (pstdev(btc) * pstdev(eth)) < 0.99
    assert 0.01 < spread["btc"] < 0.06
    assert spread["sol"] > 1.2 * spread["btc"]
    rows = world.candles("binance", market("BTC"), 86_400, limit=700)
    ranked = sorted(rows[:-1], key=lambda row: (row.high - row.low) / row.open)
    third = len(ranked) // 3
    calm, wild = ranked[:third], ranked[-third:]
    assert sum(r.volume * r.open for r in wild) > 1.2 * sum(r.volume * r.open for r in calm)


@pytest.mark.parametrize("base", ["BTC", "PEPE", "SHIB", "PAXG", "YFI"])
def test_books_are_ordered_and_uncrossed(world: SeededWorld, base: str) -> None:
    book = world.book("coinbase", market(base, "USD", "coinbase"), 500)
    bids, asks = [x.price for x in book.bids], [x.price for x in book.asks]
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    last = world.ticker("coinbase", market(base, "USD", "coinbase")).last
    assert bids[0] < last < asks[0]
    assert min(x.size for x in (*book.bids, *book.asks)) > 0


def test_the_book_leans_with_momentum_and_widens_with_volatility() -> None:
    chosen = market("BTC")
    leans, spreads = [], []
    for day in range(120):
        world = SeededWorld(SEED, AS_OF - day * DAY)
        rows = world.candles("binance", chosen, 3600, limit=25)
        book = world.book("binance", chosen, 50)
        bid, ask = sum(x.size for x in book.bids), sum(x.size for x in book.asks)
        moves = [log(b.close / a.close) for a, b in pairwise(rows)]
        leans.append((sum(moves[-2:]), (bid - ask) / (bid + ask)))
        spreads.append((pstdev(moves), book.asks[0].price / book.bids[0].price - 1))
    rising = [lean for move, lean in leans if move > 0.004]
    falling = [lean for move, lean in leans if move < -0.004]
    assert sum(rising) / len(rising) > 0.05 > -0.05 > sum(falling) / len(falling)
    spreads.sort()
    assert sum(s for _, s in spreads[-30:]) > 1.3 * sum(s for _, s in spreads[:30])


def test_trades_lie_near_the_candles_they_belong_to(world: SeededWorld) -> None:
    chosen = market("SOL")
    trades = world.trades("binance", chosen, 500)
    assert [t.time_ms for t in trades] == sorted(t.time_ms for t in trades)
    assert len({t.trade_id for t in trades}) == 500
    assert trades[-1].time_ms <= AS_OF
    rows = {r.open_ms: r for r in world.candles("binance", chosen, 60, limit=500)}
    for trade in trades:
        row = rows[trade.time_ms // 60_000 * 60_000]
        assert row.low * 0.997 <= trade.price <= row.high * 1.003


def test_nothing_of_the_context_is_later_than_now(world: SeededWorld) -> None:
    today = "2024-11-15"
    assert world.chain_metric("coinmetrics", "btc", "AdrActCnt")[-1].seconds * 1000 < AS_OF - DAY
    assert max(row.date for row in world.economic_series("DGS10")) < "2024-11-14"
    assert max(row.date for row in world.yield_curve()) == "2024-11-14"
    assert all(bar.seconds * 1000 <= AS_OF for bar in world.bars("^GSPC").bars)
    assert all(s.time_ms <= AS_OF for s in world.posts(["Bitcoin"]))
    assert all(AS_OF - 48 * HOUR < s.time_ms <= AS_OF for s in world.headlines("decrypt"))
    assert world.funding("okx", "BTC", None, None, 5)[-1].time_ms <= AS_OF
    assert today >= world.economic_series("WALCL")[-1].date


def test_holidays_are_blank_and_yahoo_has_a_null_here_and_there(world: SeededWorld) -> None:
    rows = {row.date: row.value for row in world.economic_series("DGS10")}
    assert rows["2024-07-04"] is None
    assert rows["2023-12-25"] is None
    assert rows["2024-07-05"] is not None
    assert "2024-07-06" not in rows
    assert rows["2024-03-29"] is None  # Good Friday
    bars = world.bars("SPY").bars
    holes = [bar for bar in bars if bar.close is None]
    assert 3 < len(holes) < len(bars) / 20


def test_yahoo_shows_a_running_bar_during_the_session() -> None:
    evening = 1_731_696_000_000  # Friday 2024-11-15 18:40 UTC
    running = SeededWorld(SEED, evening).bars("^GSPC").bars[-1]
    finished = SeededWorld(SEED, evening + 6 * HOUR).bars("^GSPC").bars[-1]
    assert running.seconds == finished.seconds
    assert running.volume == 0
    assert (finished.volume or 0) > 0


def test_moods_of_headlines_follow_the_market_but_not_always() -> None:
    shares = {True: [0, 0], False: [0, 0]}
    for day in range(0, 300, 2):
        world = SeededWorld(SEED, AS_OF - day * DAY)
        level = world.candles("binance", market("BTC"), 86_400, limit=6)
        rising = level[-2].close > level[0].close
        for story in world.headlines("cointelegraph"):
            good = any(w in story.title for w in ("climbs", "rallies", "bullish", "breaks above"))
            bad = any(w in story.title for w in ("drops", "tumbles", "plunges", "slides"))
            shares[rising][0] += good
            shares[rising][1] += bad
    up = shares[True][0] / sum(shares[True])
    down = shares[False][0] / sum(shares[False])
    assert 0.95 > up > down + 0.1 > 0.15


def test_feeds_are_well_formed_although_stories_carry_markup(simulator: Simulator) -> None:
    hostile = 0
    for day in range(4):
        for provider, path in (
            ("coindesk", "/arc/outboundfeeds/rss"),
            ("cointelegraph", "/rss"),
            ("decrypt", "/feed"),
        ):
            root = parse_xml(simulator.get(provider, path, AS_OF - 2 * day * DAY).body)
            titles = [item.findtext("title") or "" for item in root.iter("item")]
            assert len(titles) > 20
            assert len(list(root.iter("script"))) == 0
            hostile += sum("<script>" in t or "]]>" in t or "<!--" in t for t in titles)
    assert hostile > 0


def test_some_stories_run_in_several_outlets(world: SeededWorld) -> None:
    titles = [{s.title for s in world.headlines(o)} for o in ("coindesk", "cointelegraph")]
    assert titles[0] & titles[1]


def test_a_seeded_world_before_its_history_is_not_recorded() -> None:
    with pytest.raises(NotRecorded, match="2019-03-02"):
        SeededWorld(SEED, FIRST_MS - 1)
    assert (
        SeededWorld(SEED, FIRST_MS).candles("binance", market("BTC"), 86_400, limit=500)[0].open_ms
        == EPOCH_MS
    )


def test_unknown_names_are_unknown(world: SeededWorld) -> None:
    for ask in (
        lambda: world.coin("nope"),
        lambda: world.economic_series("NOPE"),
        lambda: world.bars("NOPE"),
        lambda: world.chain_metric("coinmetrics", "sol", "AdrActCnt"),
        lambda: world.chain_tvl("Nope"),
        lambda: world.funding("okx", "NOPE", None, None, 3),
        lambda: world.headlines("nope"),
    ):
        with pytest.raises(UnknownNameError):
            ask()
