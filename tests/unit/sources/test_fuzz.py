"""Ten thousand damaged answers over every parser: refused or sound, never a crash.

The simulator's answers, taken in process, are the undamaged ones. Each is damaged by a seeded
chance: in its bytes (cut, HTML, other text, deep nesting, NaN, unreadable bytes), in its values
(null, another type, negative, huge, zero, another unit of time, twice, in another order, gone), or
as XML (entity bombs, document types). What an adapter raises must be one of our errors, and what it
accepts must lie in the domain it states and not in the future.
"""

from __future__ import annotations

import json
import math
import random
import resource
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from pydantic import ValidationError

from sigmax_planner.models import DataMode
from sigmax_tasks.clock import Deadline, RunClock
from sigmax_tasks.errors import BadPayloadError, SourceError
from sigmax_tasks.models.observations import (
    Candles,
    DataNeed,
    FearGreed,
    FundingRates,
    Measures,
    Observation,
    OrderBook,
    Series,
    Texts,
    Ticker,
    Trades,
)
from sigmax_tasks.settings.sources import SeriesEntry, SourceSettings
from sigmax_tasks.simulator.worlds import Worlds, parse_address
from sigmax_tasks.sources import Call
from sigmax_tasks.sources.answers import Answer, refusal
from sigmax_tasks.sources.ccxt_session import Markets
from sigmax_tasks.sources.domains import RANGES
from sigmax_tasks.sources.http import Meter
from sigmax_tasks.sources.registry import Provider, build_providers

BODIES = 10_000
SEED = 20261008
NOW = datetime(2019, 6, 3, 9, 7, 30, tzinfo=UTC)
ROOT = "http://127.0.0.1:1/sim/5/{ms}/{provider}"
Change = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Subject:
    """One question to one provider. ``series`` names its entry as (source, name)."""

    provider: str
    need: DataNeed
    series: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        return f"{self.provider} {self.need.label}"


def about(
    kind: str, name: str = "", symbol: str | None = "BTC/USDT", limit: int = 8, source: str = "x"
) -> DataNeed:
    return DataNeed(source=source, kind=kind, name=name, symbol=symbol, limit=limit)


def a_series(provider: str, source: str, name: str, symbol: str | None = None) -> Subject:
    return Subject(provider, about("series", name, symbol), (source, name))


EXCHANGES = ("kraken", "coinbase", "binance", "okx", "bybit")
PERPETUALS = ("binance_futures", "okx_futures", "bybit_futures", "hyperliquid")
SUBJECTS = [
    *(Subject(name, about("candles", "1h")) for name in EXCHANGES),
    *(Subject(name, about("ticker")) for name in EXCHANGES),
    *(Subject(name, about("order_book")) for name in EXCHANGES),
    *(Subject(name, about("trades")) for name in EXCHANGES),
    *(Subject(name, about("funding")) for name in PERPETUALS),
    *(Subject(name, about("measures", "open_interest")) for name in PERPETUALS),
    Subject("alternative_me", about("fear_greed", symbol=None)),
    Subject("coingecko", about("measures", "coin_profile")),
    Subject("coingecko", about("measures", "coin_market")),
    Subject("coingecko", about("measures", "global", None)),
    Subject("defillama", about("measures", "fees", "SOL/USDT")),
    a_series("defillama", "defillama", "chain_tvl", "SOL/USDT"),
    Subject("defillama_coins", about("measures", "coin_price")),
    Subject("defillama_coins", about("ticker")),
    a_series("defillama_stablecoins", "defillama", "stablecoin_supply_usd"),
    a_series("coinmetrics", "onchain", "transactions", "BTC/USDT"),
    a_series("blockchain_info", "onchain", "hash_rate", "BTC/USDT"),
    Subject("mempool", about("measures", "fee_rates")),
    Subject("ethereum_node", about("measures", "fee_rates", "ETH/USDT")),
    Subject("ethereum_node", about("measures", "chain_head", "ETH/USDT")),
    Subject("blockcypher", about("measures", "fee_rates", "ETH/USDT")),
    *(
        Subject(name, about("texts", symbol=None, source="news"))
        for name in (
            "coindesk",
            "cointelegraph",
            "decrypt",
            "the_block",
            "bitcoin_magazine",
            "gdelt",
        )
    ),
    Subject("reddit", about("texts", symbol=None, source="social", limit=5)),
    Subject("stocktwits", about("texts", source="social")),
    a_series("fred", "macro_data", "us10y"),
    a_series("treasury", "macro_data", "yield_curve_10y2y"),
    a_series("yahoo", "macro_data", "gold"),
    a_series("ecb", "macro_data", "eur_usd"),
    a_series("frankfurter", "macro_data", "eur_usd"),
    a_series("worldbank", "macro_data", "world_gdp_growth"),
]
# Yearly figures of the young simulated world appear later than those of the others.
LATER = {"worldbank": datetime(2022, 6, 3, 9, tzinfo=UTC)}


@dataclass
class InProcessHttp:
    """Stands for the HTTP client: asks the simulator without a socket, and damages an answer.

    ``damage`` is applied to the answer number ``victim`` of a fetch. Answers are kept by question.
    """

    worlds: Worlds
    kept: dict[tuple[str, bytes], Answer] = field(default_factory=dict)
    damage: Change | None = None
    victim: int = 0
    asked: int = 0

    def exchange(
        self,
        budget: Any,
        method: str,  # the signature of the client
        url: str,
        *,
        endpoint: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | str | None = None,
    ) -> Answer:
        query = "&".join(f"{name}={value}" for name, value in (params or {}).items())
        target = url.removeprefix("http://127.0.0.1:1") + (f"?{query}" if query else "")
        body = data.encode() if isinstance(data, str) else data or b""
        answer = self.kept.get((target, body))
        if answer is None:
            reply = self.worlds.answer(target, parse_address(target, body))
            answer = Answer(budget.provider, endpoint, reply.status, reply.headers, reply.body)
            self.kept[target, body] = answer
        number, self.asked = self.asked, self.asked + 1
        if self.damage is not None and number == self.victim:
            changed = self.damage(answer.body)
            answer = Answer(answer.provider, endpoint, answer.status, answer.headers, changed)
        error = refusal(answer.provider, answer.status, answer.headers, answer.body, NOW)
        if error is not None:
            raise error
        return answer


def as_call(
    subject: Subject, provider: Provider, settings: SourceSettings, http: InProcessHttp
) -> Call:
    entry: SeriesEntry | None = None
    if subject.series is not None:
        source, name = subject.series
        entry = next(e for e in settings.series[source][name] if e.provider == subject.provider)
    now = LATER.get(subject.provider, NOW)
    return Call(
        provider_id=subject.provider,
        provider=provider.settings,
        options=provider.options,
        base_url=ROOT.format(ms=round(now.timestamp() * 1000), provider=subject.provider),
        settings=settings,
        http=http,  # type: ignore[arg-type]  # only exchange() of the client is used
        meter=Meter({subject.provider: Decimal(0)}),
        clock=RunClock(now),
        deadline=Deadline.after(60),
        data_mode=DataMode.SIMULATED,
        max_response_bytes=50_000_000,
        series=entry,
    )


# what an answer can suffer

HTML = b"<!DOCTYPE html><html><head><title>Just a moment</title></head><body>wait</body></html>"
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><rss><channel><item><title>&j;</title></item></channel></rss>"
)
OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    b"<feed><entry><title>&x;</title></entry></feed>"
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    -0.5,
    1e308,
    -1e308,
    1e-320,
    10**25,
    -(10**25),
    2**63,
    "",
    " ",
    "0",
    "-5",
    "nan",
    "NaN",
    "inf",
    "-Infinity",
    "1e400",
    "abc",
    "0x",
    "0xzz",
    "0x" + "f" * 80,
    "\u0000\ud7ff",
    "x" * 5000,
    "<b>&amp;</b>",
    [],
    {},
    [None],
    [[]],
    {"": None},
    [1, 2, 3, 4, 5, 6, 7],
)
JUNK: tuple[bytes, ...] = (
    b"",
    b" ",
    b"null",
    b"[]",
    b"{}",
    b"true",
    b"42",
    b'"text"',
    b"NaN",
    b"[NaN]",
    b"[1e999]",
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf",
    b"Please limit requests to one every 5 seconds",
    b'{"error":"no"}',
    b'{"status":{"error_code":429,"error_message":"slow"}}',
    b'{"status":{"error_code":10005}}',
    b'{"code":"50011","msg":"Too Many Requests","data":[]}',
    b'{"error":["EAPI:Rate limit exceeded"],"result":{}}',
    b'{"retCode":10006,"retMsg":"Too many visits!","result":{}}',
    b'{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit"}}',
    b'[{"message":[{"id":"120","value":"The provided parameter value is not valid"}]}]',
    b'{"code":0,"msg":"Service unavailable from a restricted location"}',
    b"[" * 5000,
    b'{"a":' * 3000 + b"1" + b"}" * 3000,
    b"[[[[[[[[" * 4 + b"]]]]]]]]" * 4,
    b"9" * 6000,
    HTML,
    BOMB,
    OUTSIDE,
)


def in_the_bytes(luck: random.Random) -> Change:
    kind = luck.randrange(6)

    def change(body: bytes) -> bytes:
        place = luck.randrange(len(body) + 1)
        match kind:
            case 0:
                return body[:place]
            case 1:
                return luck.choice(JUNK)
            case 2:
                return body[:place] + luck.randbytes(luck.randrange(1, 6)) + body[place + 2 :]
            case 3:
                return body[:place] + luck.choice((HTML, BOMB, b"NaN", b"-")) + body[place:]
            case 4:
                return body[place:] + body[:place]
            case _:
                return body.replace(
                    luck.choice((b"0", b"1", b'"', b",", b":", b"<", b">", b"2019")),
                    luck.choice((b"", b"-", b"9", b"NaN", b"\x00", b"&a;")),
                    luck.randrange(1, 4),
                )

    return change


def in_the_values(luck: random.Random) -> Change:
    def change(body: bytes) -> bytes:
        try:
            data = json.loads(body)
        except ValueError:
            return in_the_text(luck)(body)
        for _ in range(luck.choice((1, 1, 1, 2, 5))):
            data = damaged(data, luck)
        return json.dumps(data).encode()

    return change


def damaged(data: Any, luck: random.Random) -> Any:
    """``data`` with something wrong somewhere; deep places are as likely as shallow ones."""
    if isinstance(data, dict) and data and luck.random() < 0.85:
        key = luck.choice(list(data))
        if luck.random() < 0.08:
            return {name: value for name, value in data.items() if name != key}
        return {**data, key: damaged(data[key], luck)}
    if isinstance(data, list) and data and luck.random() < 0.85:
        place = luck.randrange(len(data))
        match luck.randrange(9):
            case 0:
                return data[::-1]
            case 1:
                return [*data, data[place]]
            case 2:
                return data[:place] + data[place + 1 :]
            case 3:
                return luck.sample(data, len(data))
            case _:
                return [*data[:place], damaged(data[place], luck), *data[place + 1 :]]
    if luck.random() < 0.35 and isinstance(data, int | float | str):
        return rescaled(data, luck)
    return luck.choice(VALUES)


def rescaled(data: Any, luck: random.Random) -> Any:
    """A number in another unit or with another sign, in its own form."""
    factor = luck.choice((1000, 1e6, 1e-3, 1e-6, -1, 0, 1e12))
    try:
        value = float(data) * factor
    except (ValueError, OverflowError):
        return luck.choice(VALUES)
    if isinstance(data, str):
        return f"{value:.12g}"
    if isinstance(data, int) and math.isfinite(value):
        return int(value)
    return value


def in_the_text(luck: random.Random) -> Change:
    """CSV and XML: a field replaced by something else."""

    def change(body: bytes) -> bytes:
        text = body.decode("utf-8", "replace")
        cuts = [n for n, char in enumerate(text) if char in ",\n<>"]
        if len(cuts) < 3:
            return luck.choice(JUNK)
        at = luck.randrange(len(cuts) - 1)
        new = luck.choice(
            ("", ".", "-1", "nan", "inf", "1e400", "2019-13-40", "x" * 300, "0", "&a;", "<![CDATA[")
        )
        return (text[: cuts[at] + 1] + new + text[cuts[at + 1] :]).encode()

    return change


def some_change(luck: random.Random) -> Change:
    return (in_the_values, in_the_values, in_the_bytes)[luck.randrange(3)](luck)


# what an accepted answer must be


def check(observation: Observation, now: datetime) -> None:
    """AssertionError for a value out of its stated domain."""
    data = observation.data
    assert observation.lineage.observed_at <= now
    match data:
        case Candles():
            times = [row[0] for row in data.rows]
            assert times == sorted(set(times))
            for _, opened, high, low, close, volume in data.rows:
                assert 0 < low <= min(opened, close) <= max(opened, close) <= high < math.inf
                assert 0 <= volume < math.inf
            assert times[-1] + 3_600_000 <= now.timestamp() * 1000
        case Ticker():
            assert 0 < data.last < math.inf
            if data.bid is not None and data.ask is not None:
                assert data.bid <= data.ask
            assert data.base_volume_24h is None or 0 <= data.base_volume_24h < math.inf
        case OrderBook():
            for side, sign in ((data.bids, -1), (data.asks, 1)):
                prices = [sign * price for price, _ in side]
                assert prices == sorted(set(prices))
                assert all(0 < p < math.inf and 0 < a < math.inf for p, a in side)
            assert data.bids[0][0] < data.asks[0][0]
        case Trades():
            assert all(0 < row[1] < math.inf and 0 < row[2] < math.inf for row in data.rows)
            check_times([row[0] for row in data.rows], now, distinct=False)
        case FundingRates():
            assert 0 < data.interval_hours < math.inf
            assert all(abs(rate) <= 1 for _, rate in data.rows)
            check_times([row[0] for row in data.rows], now)
        case FearGreed():
            assert all(0 <= value <= 100 for _, value in data.rows)
            check_times([row[0] for row in data.rows], now)
        case Series():
            for _, value in data.rows:
                check_unit(value, data.unit)
            check_times([row[0] for row in data.rows], now)
        case Measures():
            for measure in data.values:
                check_unit(measure.value, measure.unit)
        case Texts():
            for item in data.items:
                assert item.title
                assert len(item.title) <= 300
                assert len(item.body) <= 2000
                assert item.url == "" or item.url.startswith(("http://", "https://"))
                assert item.published_at <= now


def check_times(times: Sequence[int], now: datetime, *, distinct: bool = True) -> None:
    assert list(times) == sorted(set(times) if distinct else times)
    assert times[-1] <= now.timestamp() * 1000
    assert datetime.fromtimestamp(times[-1] / 1000, UTC).year >= 2009


def check_unit(value: float, unit: str) -> None:
    assert math.isfinite(value)
    if unit in RANGES:
        low, high, closed = RANGES[unit]
        assert (low <= value if closed else low < value) and value <= high
    else:
        assert value >= 0


@cache
def worlds() -> Worlds:
    return Worlds(None)


@dataclass
class Bench:
    settings: SourceSettings
    providers: Mapping[str, Provider]
    http: InProcessHttp

    def fetch(self, subject: Subject) -> Observation:
        self.http.asked = 0
        provider = self.providers[subject.provider]
        call = as_call(subject, provider, self.settings, self.http)
        return provider.family.fetch(subject.need, call)


@pytest.fixture(scope="module")
def bench(settings: SourceSettings) -> Bench:
    providers = build_providers(settings, Markets(3600, 12))
    made = Bench(settings, providers, InProcessHttp(worlds()))
    for subject in SUBJECTS:
        made.fetch(subject)  # the market tables and the undamaged answers
    return made


def test_the_undamaged_answers_are_accepted(bench: Bench) -> None:
    for subject in SUBJECTS:
        bench.http.damage = None
        check(bench.fetch(subject), LATER.get(subject.provider, NOW))
    built_in = {name for name, p in bench.providers.items() if p.settings.adapter != "fred_api"}
    assert {subject.provider for subject in SUBJECTS} == built_in


def test_ten_thousand_damaged_answers(bench: Bench) -> None:
    """One of our errors, or an observation whose every value can be."""
    luck = random.Random(SEED)
    counts = {subject.name: [0, 0] for subject in SUBJECTS}
    asked = {}
    for subject in SUBJECTS:
        bench.http.damage = None
        bench.fetch(subject)
        asked[subject.name] = bench.http.asked
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(BODIES):
        subject = SUBJECTS[number % len(SUBJECTS)]
        seed = luck.randrange(2**62)
        chance = random.Random(seed)
        bench.http.victim = chance.randrange(asked[subject.name])
        bench.http.damage = some_change(chance)
        where = f"{subject.name}, seed {seed}, body {number}"
        try:
            found = bench.fetch(subject)
        except (SourceError, ValidationError):
            # The desk turns pydantic's refusal of an observation into a BadPayloadError.
            counts[subject.name][1] += 1
            continue
        except Exception as error:
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
        try:
            check(found, LATER.get(subject.provider, NOW))
        except AssertionError as error:
            raise AssertionError(f"{where}: accepted {str(found.data)[:300]}") from error
        counts[subject.name][0] += 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident
    assert grown < 200_000, f"{grown} KB more than before"
    for name, (accepted, refused) in counts.items():
        assert refused, f"{name}: nothing was refused"
        assert accepted, f"{name}: nothing was accepted, the damage is too great to test it"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000_000,
        b'[{"a":[]}' + b',{"a":[]}' * 5_500_000 + b"]",
        b'{"data":"' + b"x" * 50_000_000,
        b"<rss>" + b"<item>" * 8_000_000,
        b"<rss>" + b"<item/>" * 7_000_000 + b"</rss>",
        BOMB,
    ],
    ids=["brackets", "objects", "text", "nested items", "items", "entities"],
)
@pytest.mark.parametrize("name", ["kraken", "coindesk", "treasury", "fred", "hyperliquid"])
def test_huge_answers_take_bounded_memory(bench: Bench, body: bytes, name: str) -> None:
    """As they would come where a provider's size cap were set to 50 MB and more."""
    subject = next(subject for subject in SUBJECTS if subject.provider == name)
    bench.http.victim = 0
    bench.http.damage = lambda _: body
    tracemalloc.start()
    try:
        with pytest.raises(BadPayloadError):
            bench.fetch(subject)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        bench.http.damage = None
    assert peak < 3 * len(body) + 5_000_000
