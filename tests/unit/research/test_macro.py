"""The macro task: changes, z-scores, composite, ages."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import pytest
from family_inputs import (
    AS_OF,
    check_finding,
    csv_rows,
    daily,
    fear_greed,
    inputs,
    observed,
    series,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmax_tasks.models.observations import FearGreed, Observation
from sigmax_tasks.models.research import Evidence, Finding
from sigmax_tasks.research.lookup import find_series
from sigmax_tasks.research.macro import FACTORS, move_of, needs, research
from sigmax_tasks.research.scoring import InsufficientDataError

FRED = {
    "us10y": "DGS10",
    "us2y": "DGS2",
    "yield_curve_10y2y": "T10Y2Y",
    "vix": "VIXCLS",
    "sp500": "SP500",
    "oil": "DCOILWTICO",
    "fed_funds": "FEDFUNDS",
    "m2": "M2SL",
    "fed_balance_sheet": "WALCL",
}


def one(name: str, values: list[float], last=None) -> Observation:
    return series("macro_data", name, daily(values, last))


def evidence(finding: Finding, short_name: str) -> Evidence:
    return next(e for e in finding.evidence if e.evidence_id == f"macro.{short_name}")


def swing(up: bool, count: int = 90) -> list[float]:
    """Flat with small waves, then a clear move over the last 20."""
    flat = [100 + math.sin(i) for i in range(count - 20)]
    return flat + [flat[-1] + (1 if up else -1) * 0.8 * i for i in range(1, 21)]


def test_needs_are_market_wide_with_260_rows() -> None:
    asked = needs("SOL/USDT", ("BTC/USDT",))
    assert all(need.symbol is None for need in asked)
    assert {n.name for n in asked if n.kind == "series"} == {f.name for f in FACTORS}
    assert {n.limit for n in asked if n.kind == "series"} == {260}
    assert asked[-1].source == "fear_greed"


def test_move_by_hand() -> None:
    task = inputs("macro", one("us10y", [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0]))
    points = find_series(task, "macro_data", "us10y")
    assert points is not None
    move = move_of(points, (1, 2, 60), in_points=True)
    assert move.changes == (1.0, 1.0, None)
    assert move.z_scores[0] == pytest.approx(1 / math.sqrt(1 / 6))
    assert move.z_scores[1] == pytest.approx(1 / math.sqrt(1 / 5))
    expected = (0.25 * move.z_scores[0] + 0.5 * move.z_scores[1]) / 0.75
    assert move.signal == pytest.approx(expected)


def test_changes_are_fractions_except_for_rates() -> None:
    finding = research(inputs("macro", one("sp500", swing(True)), one("us10y", swing(True))))
    last, before = swing(True)[-1], swing(True)[-21]
    assert finding.metric("sp500_change_20") == pytest.approx(last / before - 1)
    assert finding.metric("us10y_change_20") == pytest.approx(last - before)


@pytest.mark.parametrize(
    ("name", "sign"),
    [("sp500", 1), ("vix", -1), ("dollar_index", -1), ("us10y", -1), ("us2y", -1), ("m2", 1)],
)
def test_direction_of_each_factor(name: str, sign: int) -> None:
    last = AS_OF.replace(hour=0) - timedelta(days=60 if name == "m2" else 1)
    up = research(inputs("macro", one(name, swing(True), last)))
    down = research(inputs("macro", one(name, swing(False), last)))
    assert sign * evidence(up, name).polarity > 0.1
    assert sign * evidence(down, name).polarity < -0.1


def test_risk_on_and_risk_off() -> None:
    on = research(inputs("macro", one("sp500", swing(True)), one("dollar_index", swing(False))))
    off = research(inputs("macro", one("sp500", swing(False)), one("dollar_index", swing(True))))
    calm = research(inputs("macro", one("sp500", [100.0] * 90)))
    assert [f.labels["regime"] for f in (on, off, calm)] == ["risk_on", "risk_off", "neutral"]
    assert on.metric("risk_score") == pytest.approx(on.score)
    assert on.score > 0.15 > -0.15 > off.score


def test_gold_and_oil_are_context_only() -> None:
    finding = research(
        inputs(
            "macro", one("sp500", swing(True)), one("gold", swing(True)), one("oil", swing(False))
        )
    )
    assert finding.labels["gold"] == "rising"
    assert finding.labels["oil"] == "falling"
    assert finding.metric("gold_change_20") is not None
    assert {e.evidence_id for e in finding.evidence} == {"macro.sp500"}
    with pytest.raises(InsufficientDataError):
        research(inputs("macro", one("gold", swing(True))))


def test_reliability_falls_with_age_and_the_age_is_stated() -> None:
    fresh = research(inputs("macro", one("sp500", swing(True))))
    week = AS_OF.replace(hour=0) - timedelta(days=9)
    old = research(inputs("macro", one("sp500", swing(True), week)))
    ratio = evidence(old, "sp500").reliability / evidence(fresh, "sp500").reliability
    assert ratio == pytest.approx(0.5 ** ((9.5 - 4.5) / 5))
    assert old.metric("sp500_age_days") == pytest.approx(9.5)
    assert "2024-11-06" in evidence(old, "sp500").claim


def test_a_value_is_not_known_before_its_publication() -> None:
    """M2 of 1 October comes out at the end of November: unknown on 15 November."""
    rows = daily([100.0 + i for i in range(20)], AS_OF.replace(month=10, day=1, hour=0))
    finding = research(inputs("macro", one("sp500", swing(True)), series("macro_data", "m2", rows)))
    assert finding.metric("m2") is not None
    assert finding.metric("m2") < 119


def test_fear_and_greed_is_a_part() -> None:
    finding = research(inputs("macro", one("sp500", swing(True)), fear_greed([30.0] * 31 + [55.0])))
    item = evidence(finding, "fear_greed")
    assert item.polarity == pytest.approx((0.05 + math.tanh(1)) / 2)
    assert item.reliability == pytest.approx(0.4 * 0.6)


def test_vix_level_speaks_for_itself() -> None:
    assert (
        evidence(research(inputs("macro", one("vix", [45.0] * 90))), "vix_level").polarity == -0.7
    )
    assert evidence(research(inputs("macro", one("vix", [20.0] * 90))), "vix_level").polarity == 0


def test_nothing_is_an_error() -> None:
    with pytest.raises(InsufficientDataError, match="no macro series"):
        research(inputs("macro", fear_greed([50.0] * 40)))
    with pytest.raises(InsufficientDataError):
        research(inputs("macro", one("sp500", [1.0, 2.0])))


def recorded(shared_data: Path) -> list[Observation]:
    fred, market = shared_data / "macro/fred", shared_data / "macro/market"
    tables = {name: (fred / f"{series_id}.csv", "value") for name, series_id in FRED.items()}
    tables["dollar_index"] = (market / "dxy_daily.csv", "dxy")
    tables["gold"] = (market / "gld_daily.csv", "close")
    found = [
        series("macro_data", name, csv_rows(path, column, AS_OF, 260))
        for name, (path, column) in tables.items()
    ]
    mood = csv_rows(shared_data / "fear_greed/fear_greed_daily.csv", "value", AS_OF, 90)
    return [*found, observed(FearGreed(rows=tuple(mood)), "fear_greed")]


def test_recorded_macro_of_november_2024(shared_data: Path) -> None:
    """A week after the US election: dollar and yields up, volatility down, equities up."""
    finding = research(inputs("macro", *recorded(shared_data)))
    check_finding(finding, "macro")
    assert finding.metric("us10y") == 4.43
    assert finding.metric("vix") == 14.31
    assert finding.metric("fed_funds") == 4.83
    assert evidence(finding, "dollar_index").polarity < -0.5
    assert evidence(finding, "us10y").polarity < -0.3
    assert evidence(finding, "vix").polarity > 0.2
    assert evidence(finding, "sp500").polarity > 0
    assert finding.labels["regime"] in {"neutral", "risk_on", "risk_off"}
    assert all(item.observed_at <= AS_OF for item in finding.evidence)


def test_order_of_observations_does_not_matter(shared_data: Path) -> None:
    found = recorded(shared_data)
    forward = research(inputs("macro", *found))
    backward = research(inputs("macro", *found[::-1]))
    assert backward.evidence == forward.evidence
    assert backward.score == forward.score


values = st.lists(
    st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1.0, -3.0, 1e-300]),
    min_size=1,
    max_size=90,
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.sampled_from([f.name for f in FACTORS]), values, min_size=1))
def test_any_numbers_give_a_sound_finding(tables: dict[str, list[float]]) -> None:
    task = inputs("macro", *(one(name, numbers) for name, numbers in tables.items()))
    try:
        check_finding(research(task), "macro")
    except InsufficientDataError as error:
        assert "macro" in str(error)
