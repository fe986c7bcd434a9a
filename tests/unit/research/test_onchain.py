"""The on-chain task: use, mining, flows, valuation, availability."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from family_inputs import AS_OF, check_finding, csv_rows, daily, inputs, measures, series
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmax_planner.models import DataMode
from sigmax_tasks.models.observations import Observation
from sigmax_tasks.models.research import Evidence, Finding
from sigmax_tasks.research.onchain import mvrv_zone, needs, research, wanted_series
from sigmax_tasks.research.scoring import InsufficientDataError

BTC = "BTC/USDT"


def one(name: str, values: list[float], unit: str = "count", symbol: str = BTC) -> Observation:
    return series("onchain", name, daily(values), symbol, unit)


def evidence(finding: Finding, short_name: str) -> Evidence:
    return next(e for e in finding.evidence if e.evidence_id == f"onchain.{short_name}")


def test_mining_series_are_asked_for_proof_of_work_only() -> None:
    names = {n.name for n in needs(BTC, ())}
    assert {"hash_rate", "difficulty", "fee_rates", "coin_market", "global"} <= names
    solana = {n.name for n in needs("SOL/USDT", ())}
    assert not {"hash_rate", "difficulty", "fee_rates"} & solana
    assert "active_addresses" in solana
    assert all(n.symbol == "SOL/USDT" for n in needs("SOL/USDT", ()) if n.source == "onchain")


def test_week_against_month_by_hand() -> None:
    finding = research(inputs("onchain", one("active_addresses", [100.0] * 23 + [123.0] * 7)))
    month = (23 * 100 + 7 * 123) / 30
    change = 123 / month - 1
    assert finding.metric("active_addresses_7d_vs_30d") == pytest.approx(change)
    assert evidence(finding, "active_addresses").polarity == pytest.approx(math.tanh(change / 0.1))
    assert evidence(finding, "active_addresses").reliability == pytest.approx(0.45)


def test_coins_that_move_onto_exchanges_speak_for_a_fall() -> None:
    onto = research(
        inputs("onchain", one("exchange_inflow", [103.0] * 7), one("exchange_outflow", [97.0] * 7))
    )
    assert onto.metric("exchange_net_flow_7d") == pytest.approx(42)
    assert onto.metric("exchange_net_flow_share") == pytest.approx(0.03)
    assert evidence(onto, "exchange_net_flow").polarity == pytest.approx(-math.tanh(1))
    off = research(
        inputs("onchain", one("exchange_inflow", [97.0] * 7), one("exchange_outflow", [103.0] * 7))
    )
    assert evidence(off, "exchange_net_flow").polarity == pytest.approx(math.tanh(1))


def test_one_side_of_the_flows_says_nothing() -> None:
    finding = research(inputs("onchain", one("exchange_inflow", [1.0] * 7), one("mvrv", [2.0])))
    assert finding.metric("exchange_net_flow_7d") is None
    assert "exchange_outflow" in finding.labels["unavailable"]


@pytest.mark.parametrize(
    ("value", "zone", "polarity"),
    [
        (0.8, "undervalued", 0.6),
        (1.0, "fair", 0.45),
        (2.2, "warm", 0.0),
        (3.7, "overvalued", -0.55),
    ],
)
def test_mvrv_zones(value: float, zone: str, polarity: float) -> None:
    finding = research(inputs("onchain", one("mvrv", [value])))
    assert mvrv_zone(value) == finding.labels["mvrv"] == zone
    assert evidence(finding, "mvrv").polarity == pytest.approx(polarity)


def test_nvt_only_where_transfer_volume_is_given() -> None:
    profile = measures("coingecko", "coin_market", {"market_cap_usd": 1.9e12}, BTC)
    without = research(inputs("onchain", profile, one("mvrv", [2.0])))
    assert without.metric("nvt") is None
    volume = one("transfer_volume_usd", [2e10] * 30, "USD")
    finding = research(inputs("onchain", profile, volume))
    assert finding.metric("nvt") == pytest.approx(95)
    assert evidence(finding, "nvt").polarity == pytest.approx(0.0)


def test_availability_is_stated_and_lowers_the_strength() -> None:
    names = wanted_series(BTC)
    full = research(
        inputs("onchain", *(one(name, [100.0 + i for i in range(40)]) for name in names))
    )
    assert full.labels["availability"] == "8 of 8 series"
    assert "unavailable" not in full.labels
    part = research(inputs("onchain", one("mvrv", [2.0])))
    assert part.labels["availability"] == "1 of 8 series"
    assert part.strength < full.strength
    other = research(inputs("onchain", one("mvrv", [2.0], symbol="SOL/USDT"), symbol="SOL/USDT"))
    assert other.labels["availability"] == "1 of 6 series"
    assert other.labels["not_applicable"] == "hash_rate, difficulty"


def test_series_of_another_asset_are_not_used() -> None:
    with pytest.raises(InsufficientDataError, match="BTC/USDT"):
        research(inputs("onchain", one("mvrv", [2.0], symbol="ETH/USDT")))


def test_context_from_the_profile_and_the_whole_market() -> None:
    finding = research(
        inputs(
            "onchain",
            measures(
                "coingecko", "bitcoin", {"market_cap_usd": 1.8e12, "volume_24h_usd": 9e10}, BTC
            ),
            measures(
                "coingecko",
                "global",
                {
                    "btc_dominance_percent": 60.0,
                    "total_market_cap_usd": 3e12,
                    "market_cap_change_24h_percent": -6.0,
                },
            ),
            measures("onchain", "fee_rates", {"fastest": 12.0, "hour": 5.0}, BTC),
        )
    )
    check_finding(finding, "onchain")
    assert finding.metric("market_share") == pytest.approx(0.6)
    assert finding.metric("btc_dominance_percent") == 60
    assert finding.metric("fee_rate_fastest") == 12
    assert evidence(finding, "market_cap").polarity == pytest.approx(-math.tanh(1))
    assert finding.strength == 0


def test_numbers_of_the_future_are_unknown_except_what_a_live_run_just_fetched() -> None:
    later = measures(
        "coingecko", "global", {"btc_dominance_percent": 60.0}, at=AS_OF + timedelta(seconds=5)
    )
    with pytest.raises(InsufficientDataError):
        research(inputs("onchain", later))
    live = later.model_copy(
        update={"lineage": later.lineage.model_copy(update={"data_mode": DataMode.LIVE})}
    )
    assert research(inputs("onchain", live)).metric("btc_dominance_percent") == 60


def test_today_is_not_known_before_tomorrow() -> None:
    rows = daily([1.0, 1.0, 3.0], AS_OF.replace(hour=0))
    finding = research(inputs("onchain", series("onchain", "mvrv", rows, BTC)))
    assert finding.metric("mvrv") == 1


def test_old_values_count_less() -> None:
    rows = daily([2.0], AS_OF.replace(hour=0) - timedelta(days=7))
    finding = research(inputs("onchain", series("onchain", "mvrv", rows, BTC)))
    assert evidence(finding, "mvrv").reliability == pytest.approx(0.4 * 0.5 ** (4.5 / 4))


def test_recorded_mining_of_november_2024(shared_data: Path) -> None:
    folder = shared_data / "onchain"
    rate = csv_rows(folder / "btc_hashrate_daily.csv", "hashrate_th_s", AS_OF, 120)
    difficulty = csv_rows(folder / "btc_difficulty_daily.csv", "difficulty", AS_OF, 120)
    finding = research(
        inputs(
            "onchain",
            series("onchain", "hash_rate", rate, BTC, "TH/s"),
            series("onchain", "difficulty", difficulty, BTC, ""),
        )
    )
    check_finding(finding, "onchain")
    last = [row for row in rate if row[0] <= (AS_OF - timedelta(days=1)).timestamp() * 1000]
    week = [v for _, v in last[-7:]]
    month = [v for _, v in last[-30:]]
    expected = (sum(week) / 7) / (sum(month) / 30) - 1
    assert finding.metric("hash_rate_7d_vs_30d") == pytest.approx(expected)
    assert finding.metric("difficulty_change_30d") > 0


def test_recorded_use_of_the_network(shared_data: Path) -> None:
    path = shared_data / "onchain/btc_coinmetrics_100d.csv"
    now = datetime(2026, 2, 14, tzinfo=UTC)
    columns = {
        "active_addresses": "active_addresses",
        "transactions": "tx_count",
        "fees": "fees_btc",
    }
    found = [
        series("onchain", name, csv_rows(path, column, now, 120), BTC)
        for name, column in columns.items()
    ]
    if not all(o.data.rows for o in found):
        pytest.skip("the recording ends earlier")
    finding = research(inputs("onchain", *found, as_of=now))
    check_finding(finding, "onchain")
    assert finding.labels["availability"] == "3 of 8 series"


values = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(wanted_series(BTC)), values, min_size=1), st.randoms())
def test_any_numbers_give_a_sound_finding_in_any_order(tables, random) -> None:
    found = [one(name, numbers) for name, numbers in tables.items()]
    shuffled = list(found)
    random.shuffle(shuffled)
    try:
        first = research(inputs("onchain", *found))
    except InsufficientDataError:
        return
    check_finding(first, "onchain")
    second = research(inputs("onchain", *shuffled))
    assert (second.score, second.evidence, second.metrics) == (
        first.score,
        first.evidence,
        first.metrics,
    )
