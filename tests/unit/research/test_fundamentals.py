"""The fundamentals task: ratios, supplies, activity, and what is missing."""

from __future__ import annotations

import math

import pytest
from family_inputs import AS_OF, check_finding, daily, inputs, measures, series
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmax_tasks.models.observations import Observation
from sigmax_tasks.models.research import Evidence, Finding
from sigmax_tasks.research.fundamentals import earnings_of, needs, research
from sigmax_tasks.research.scoring import InsufficientDataError

SOL = "SOL/USDT"


def profile(**values: float) -> Observation:
    return measures("coingecko", "coin_profile", values, SOL)


def earned(kind: str, endpoint: str = "/test", **values: float) -> Observation:
    return measures("defillama", kind, values, SOL, endpoint)


def locked(values: list[float]) -> Observation:
    return series("defillama", "chain_tvl", daily(values), SOL, "USD")


def ask(*observations: Observation) -> Finding:
    return research(inputs("fundamentals", *observations, symbol=SOL))


def evidence(finding: Finding, short_name: str) -> Evidence:
    return next(e for e in finding.evidence if e.evidence_id == f"fundamentals.{short_name}")


def test_needs_are_about_the_asked_symbol() -> None:
    assert {(n.source, n.name) for n in needs(SOL, ())} == {
        ("coingecko", "coin_profile"),
        ("defillama", "chain_tvl"),
        ("defillama", "fees"),
        ("defillama", "revenue"),
    }
    assert all(n.symbol == SOL for n in needs(SOL, ()))


def test_ratios_by_hand() -> None:
    finding = ask(
        profile(market_cap_usd=73e9, fully_diluted_valuation_usd=80.3e9, volume_24h_usd=7.3e9),
        locked([7.3e9] * 40),
        earned("fees", total30d_usd=30e6, total7d_usd=10.5e6, total24h_usd=1e6),
        earned("revenue", total30d_usd=15e6),
    )
    check_finding(finding, "fundamentals")
    assert finding.metric("annual_fees_usd") == pytest.approx(365e6)
    assert finding.metric("price_to_fees") == pytest.approx(200)
    assert finding.metric("price_to_sales") == pytest.approx(400)
    assert finding.metric("cap_to_tvl") == pytest.approx(10)
    assert finding.metric("fdv_to_cap") == pytest.approx(1.1)
    assert finding.metric("turnover_24h") == pytest.approx(0.1)
    assert finding.metric("fee_momentum") == pytest.approx(0.5)
    assert evidence(finding, "fee_momentum").polarity == pytest.approx(math.tanh(1))
    assert evidence(finding, "cap_to_tvl").polarity == pytest.approx(-0.15)
    assert finding.metric("tvl_change_30d") == pytest.approx(0)


def test_shorter_periods_are_used_where_that_is_all() -> None:
    week = ask(profile(market_cap_usd=1e9), earned("fees", total7d_usd=7e5, total24h_usd=9e5))
    assert week.metric("annual_fees_usd") == pytest.approx(365e5)
    day = ask(profile(market_cap_usd=1e9), earned("fees", total24h_usd=9e5))
    assert day.metric("annual_fees_usd") == pytest.approx(9e5 * 365)
    assert day.metric("fee_momentum") is None


def test_revenue_is_told_from_fees_by_subject_or_endpoint() -> None:
    task = inputs(
        "fundamentals",
        earned("solana", "/summary/fees/solana?dataType=dailyRevenue", total30d_usd=1e6),
        measures("defillama", "solana ", {"total30d_usd": 2e6}, SOL, "/summary/fees/solana"),
        symbol=SOL,
    )
    fees, revenue = earnings_of(task, "fees"), earnings_of(task, "revenue")
    assert fees is not None
    assert revenue is not None
    assert fees.annual_usd == pytest.approx(2 * revenue.annual_usd)


def test_cheap_networks_speak_for_a_rise_and_dear_ones_for_a_fall() -> None:
    fees = earned("fees", total30d_usd=30e6)
    cheap, dear = (ask(profile(market_cap_usd=cap), fees) for cap in (365e7, 365e9))
    assert evidence(cheap, "price_to_fees").polarity == pytest.approx(0.4)
    assert evidence(dear, "price_to_fees").polarity == pytest.approx(-0.25)


def test_no_earnings_gives_no_ratio() -> None:
    finding = ask(profile(market_cap_usd=1e9), earned("fees", total30d_usd=0.0))
    assert finding.metric("annual_fees_usd") == 0
    assert finding.metric("price_to_fees") is None
    assert "P/F" in finding.labels["unavailable"]


def test_dilution_by_hand() -> None:
    capped = ask(profile(circulating_supply=19e6, total_supply=19e6, max_supply=20.9e6))
    assert capped.metric("dilution") == pytest.approx(0.1)
    assert evidence(capped, "dilution").polarity == pytest.approx(0.05)
    assert capped.labels["supply"] == "capped"
    uncapped = ask(profile(circulating_supply=100.0, total_supply=400.0))
    assert uncapped.metric("dilution") == pytest.approx(3)
    assert evidence(uncapped, "dilution").polarity == pytest.approx(-0.5)
    assert evidence(uncapped, "dilution").reliability < evidence(capped, "dilution").reliability


def test_developer_activity() -> None:
    busy, idle = (ask(profile(commit_count_4_weeks=n, stars=9.0)) for n in (200.0, 0.0))
    assert evidence(busy, "developers").polarity == pytest.approx(0.25)
    assert evidence(idle, "developers").polarity == pytest.approx(-0.3)
    assert busy.metric("developer_stars") == 9


def test_growing_value_locked_speaks_for_a_rise() -> None:
    finding = ask(locked([100.0] * 10 + [130.0] * 30))
    assert finding.metric("tvl_change_7d") == pytest.approx(0)
    assert finding.metric("tvl_change_30d") == pytest.approx(0.3)
    assert evidence(finding, "tvl_trend").polarity == pytest.approx(math.tanh(1))


def test_gaps_are_stated_and_nothing_is_an_error() -> None:
    finding = ask(profile(market_cap_usd=1e9))
    assert finding.labels["unavailable"].startswith("P/F, P/S, MC/TVL, dilution, developer")
    assert "NVT" in finding.labels["unavailable"]
    assert finding.score == 0
    with pytest.raises(InsufficientDataError, match="SOL/USDT"):
        ask()


def test_numbers_of_another_asset_or_of_tomorrow_are_not_used() -> None:
    other = measures("coingecko", "coin_profile", {"market_cap_usd": 1e9}, "ETH/USDT")
    later = measures(
        "coingecko", "coin_profile", {"market_cap_usd": 1e9}, SOL, at=AS_OF.replace(day=16)
    )
    for observation in (other, later):
        with pytest.raises(InsufficientDataError):
            ask(observation)


NAMES = (
    *("market_cap_usd", "fully_diluted_valuation_usd", "volume_24h_usd", "circulating_supply"),
    *("total_supply", "max_supply", "commit_count_4_weeks", "stars", "forks"),
)
number = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1e-308, 5.0])


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), number, min_size=1),
    st.lists(number, min_size=1, max_size=40),
    st.dictionaries(
        st.sampled_from(["total24h_usd", "total7d_usd", "total30d_usd"]), number, min_size=1
    ),
)
def test_any_numbers_give_a_sound_finding_in_any_order(values, tvl, totals) -> None:
    found = [profile(**values), locked(tvl), earned("fees", **totals), earned("revenue", **totals)]
    try:
        first = ask(*found)
    except InsufficientDataError:
        return
    check_finding(first, "fundamentals")
    second = ask(*found[::-1])
    assert (second.score, second.metrics) == (first.score, first.metrics)
