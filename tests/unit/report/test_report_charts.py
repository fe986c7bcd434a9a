"""Scales, labels, averages and the charts that are made of them."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from sigmax_planner.models import Batching
from sigmax_tasks.models.decision import Analysis, Contribution
from sigmax_tasks.report.averages import bollinger_bands, exponential_average, simple_average
from sigmax_tasks.report.gauge_chart import gauge
from sigmax_tasks.report.page import build_page
from sigmax_tasks.report.price_chart import NARROW, WIDE, compact, price_chart
from sigmax_tasks.report.price_model import price_charts
from sigmax_tasks.report.svg import Drawing, Scale, polyline, round_values, spread
from sigmax_tasks.report.timeline_chart import timeline, timeline_chart
from sigmax_tasks.report.waterfall_chart import (
    meter,
    score_scale,
    waterfall_chart,
    waterfall_steps,
)
from tests.unit.report.page_builders import make_candles, make_full_dossier, technical_finding

PLACES = st.lists(st.floats(0, 400), min_size=0, max_size=14)


def test_averages_agree_with_the_metrics_of_the_technical_research() -> None:
    finding = technical_finding()
    closes = [row[4] for row in make_candles().rows]
    upper, lower = bollinger_bands(closes, 20, 2.0)
    for name, line in (
        ("ema_20", exponential_average(closes, 20)),
        ("ema_50", exponential_average(closes, 50)),
        ("ema_200", exponential_average(closes, 200)),
        ("sma_50", simple_average(closes, 50)),
        ("sma_200", simple_average(closes, 200)),
        ("bollinger_upper", upper),
        ("bollinger_lower", lower),
    ):
        assert line[-1] == pytest.approx(finding.metric(name), rel=1e-8), name


def test_an_average_does_not_exist_before_its_period() -> None:
    values = [float(i) for i in range(10)]
    assert simple_average(values, 4)[:4] == (None, None, None, 1.5)
    assert exponential_average(values, 4)[:4] == (None, None, None, 1.5)
    assert exponential_average(values, 11) == (None,) * 10


@given(PLACES)
def test_labels_keep_apart_and_inside(places: list[float]) -> None:
    moved = spread(places, 20.0, 0.0, 400.0)
    assert len(moved) == len(places)
    ordered = sorted(moved)
    assert all(0 - 1e-6 <= place <= 400 + 1e-6 for place in ordered)
    assert all(b - a >= 20 - 1e-6 for a, b in pairwise(ordered))
    by_place = sorted(range(len(places)), key=lambda i: (places[i], i))
    assert [moved[i] for i in by_place] == ordered


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread([10.0, 100.0, 60.0], 20.0, 0.0, 400.0) == (10.0, 100.0, 60.0)


def test_more_labels_than_room_share_it_evenly() -> None:
    moved = spread([5.0] * 11, 20.0, 0.0, 100.0)
    assert moved == pytest.approx([10.0 * i for i in range(11)])


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(1, 12))
def test_axis_values_are_inside_and_even(low: float, span: float, about: int) -> None:
    high = low + span
    if not high > low:
        return
    values = round_values(low, high, about)
    assert len(values) <= 2 * about + 1
    slack = 1e-6 * max(abs(low), abs(high), span)
    assert all(low - slack <= value <= high + slack for value in values)


def test_axis_values_are_round() -> None:
    assert round_values(0.0, 2.1, 8) == pytest.approx((0.0, 0.5, 1.0, 1.5, 2.0))
    assert round_values(93.0, 240.0, 5) == (100.0, 150.0, 200.0)


def test_a_scale_without_a_span_stays_in_the_middle() -> None:
    assert Scale(3.0, 3.0, 0.0, 100.0)(3.0) == 50.0
    assert Scale(0.0, 1.0, 0.0, 100.0).clamp(7.0) == 100.0


def test_a_line_breaks_where_a_value_is_missing() -> None:
    assert polyline([None, (0, 1), (1, 2), None, (3, 4.256)]) == "M0 1L1 2M3 4.26"


def test_texts_and_attributes_of_a_picture_are_escaped() -> None:
    picture = Drawing(10, 10, '"><script>x</script>\x00')
    picture.text(1, 1, "<b>&\x1b[31mred", class_='a"b')
    root = fromstring(picture.markup())
    assert "\x00" not in root.attrib["aria-label"]
    assert [child.tag for child in root] == ["text"]
    assert root[0].text == "<b>&red"
    assert root[0].attrib["class"] == 'a"b'


@pytest.mark.parametrize("frame", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_price_chart_has_all_its_parts(frame: object) -> None:
    panel = price_charts(make_full_dossier()).panels[0]
    assert frame in (WIDE, NARROW)
    svg = price_chart(panel, WIDE if frame is WIDE else NARROW, "k")
    root = fromstring(svg)
    classes = {element.attrib.get("class", "") for element in root.iter()}
    assert {
        "candle up", "candle down", "volume up", "volume down", "band", "average line-ema_20",
        "average line-sma_200", "mark entry", "mark stop", "mark target", "zone stop",
        "zone target", "level support", "as-of", "touch", "cross",
    } <= classes  # fmt: skip
    words = [element.text or "" for element in root.iter("text")]
    for start in ("entry 97,123", "stop 94,010", "target 103,350", "S1 "):
        assert any(text.startswith(start) for text in words), start
    assert "nan" not in svg
    assert "inf" not in svg.replace("info", "")


def test_no_candle_or_label_leaves_the_picture() -> None:
    for panel in price_charts(make_full_dossier()).panels:
        for frame in (WIDE, NARROW):
            root = fromstring(price_chart(panel, frame, "k"))
            for element in root.iter("path"):
                if element.attrib["class"].startswith(("candle", "volume")):
                    for x, y in re.findall(r"M([-\d.]+) ([-\d.]+)", element.attrib["d"]):
                        assert frame.left - 0.01 <= float(x) <= frame.plot_right
                        assert frame.top - 0.01 <= float(y) <= frame.volume_bottom + 0.01
            for element in root.iter("rect"):
                width = float(element.attrib["x"]) + float(element.attrib["width"])
                assert width <= frame.width + 0.01


def test_a_market_that_does_not_move_can_be_drawn() -> None:
    panel = price_charts(make_full_dossier()).panels[0]
    flat = tuple((row[0], 5.0, 5.0, 5.0, 5.0, 0.0) for row in panel.rows)
    still = [
        type(panel)(**{**vars(panel), "rows": flat, "entry": 5.0, "stop": None, "target": None}),
        type(panel)(**{**vars(panel), "rows": flat[:2], "entry": None, "stop": None,
                       "target": None, "averages": (), "upper": (None, None),
                       "lower": (None, None)}),
    ]  # fmt: skip
    for one in still:
        svg = price_chart(one, NARROW, "k")
        assert "nan" not in svg
        fromstring(svg)


def test_the_charts_of_the_first_time_frame_come_first() -> None:
    charts = price_charts(make_full_dossier())
    assert [panel.timeframe for panel in charts.panels] == ["4h", "1h", "1d"]
    assert charts.levels


def test_candle_data_cannot_end_its_element() -> None:
    for tab in build_page(make_full_dossier()).price_tabs:
        rows = json.loads(tab.data)
        assert len(rows) == 160
        assert len(rows[0]) == 6
        assert not set("<>&") & set(tab.data)


def _analysis(**changes: object) -> Analysis:
    return Analysis.model_validate(
        {
            "score": 0.1,
            "confidence": 0.5,
            "confidence_cap": 0.7,
            "regime": "ranging",
            "raw_score": 0.14,
            "contributions": [
                Contribution(
                    task_id="macro", score=-0.4, strength=1, weight=0.2, contribution=-0.02
                ),
                Contribution(
                    task_id="technical", score=0.8, strength=1, weight=0.3, contribution=0.16,
                    unknown=0.03,
                ),
            ],
            **changes,
        }
    )  # fmt: skip


def test_the_waterfall_goes_from_zero_to_the_score_without_a_gap() -> None:
    steps = waterfall_steps(_analysis())
    assert [step.label for step in steps] == [
        "technical", "macro", "all findings", "missing or stale", "debate", "score",
    ]  # fmt: skip
    assert steps[0].start == 0.0
    assert steps[1].end == pytest.approx(0.14)
    for before, after in pairwise(steps):
        if after.kind != "total":
            assert after.start == pytest.approx(before.end)
        else:
            assert after.end == pytest.approx(before.end)
    assert steps[3].change == pytest.approx(-0.03)
    assert steps[-1].end == 0.1


def test_what_is_missing_works_against_a_falling_view_too() -> None:
    steps = waterfall_steps(_analysis(score=-0.1, raw_score=-0.14))
    assert next(s for s in steps if s.label == "missing or stale").change == pytest.approx(0.03)


def test_a_view_that_takes_no_side_ends_at_zero() -> None:
    steps = waterfall_steps(_analysis(score=0.0, raw_score=0.02))
    assert steps[-1].end == 0.0
    assert steps[-2].end == 0.0


@pytest.mark.parametrize("threshold", [None, 0.09])
@pytest.mark.parametrize("width", [1120.0, 360.0])
def test_the_waterfall_can_be_drawn(threshold: float | None, width: float) -> None:
    svg = waterfall_chart(waterfall_steps(_analysis()), threshold, width)
    fromstring(svg)
    assert ("BUY" in svg) is (threshold is not None)
    nothing = _analysis(score=0.0, raw_score=0.0, contributions=[])
    fromstring(waterfall_chart(waterfall_steps(nothing), None, width))


@pytest.mark.parametrize("score", [-1.0, 0.0, 0.03, 1.0])
def test_the_score_stays_on_its_scale(score: float) -> None:
    root = fromstring(score_scale(score, 0.09))
    line = next(e for e in root.iter("line") if e.attrib["class"] == "pointer-line")
    assert 0 <= float(line.attrib["x1"]) <= 360


def test_meters_and_gauges_take_every_share() -> None:
    for share in (0.0, 0.004, 0.5, 1.0, 3.0):
        root = fromstring(meter(share, mark=0.5, base=share, side="up"))
        for element in root.iter("rect"):
            assert float(element.attrib["width"]) <= 100
        fromstring(gauge(min(1.0, share), "quality", threshold=0.7, good=True))


def test_the_timeline_marks_the_measured_critical_path() -> None:
    dossier = make_full_dossier()
    model = timeline(dossier.record, dossier.outcomes)
    assert model.measured == ("technical", "patterns")
    assert model.measured_seconds == pytest.approx(0.6 + 0.8)
    assert model.planned == tuple(dossier.record.plan.critical_path)
    assert {bar.task_id for bar in model.bars if bar.critical} == {"technical", "patterns"}
    assert [bar.batch for bar in model.bars] == [1, 1, 1, 2, 2, 2]
    for width in (1120.0, 360.0):
        root = fromstring(timeline_chart(model, width))
        bars = [e for e in root.iter("rect") if e.attrib["class"].startswith("task-bar")]
        assert len(bars) == 6
        assert sum("critical" in bar.attrib["class"] for bar in bars) == 2
        for bar in bars:
            assert float(bar.attrib["x"]) >= 0
            assert float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width


def test_by_critical_path_the_timeline_goes_by_starts_and_has_no_bands() -> None:
    dossier = make_full_dossier()
    plan = dossier.record.plan.model_copy(update={"batching": Batching.CRITICAL_PATH})
    model = timeline(dossier.record.model_copy(update={"plan": plan}), dossier.outcomes)
    assert [bar.start for bar in model.bars] == sorted(bar.start for bar in model.bars)
    root = fromstring(timeline_chart(model, 1120.0))
    kinds = [e.attrib["class"] for e in root.iter("rect")]
    assert sum(kind.startswith("task-bar") for kind in kinds) == 6
    assert not any(kind in {"batch", "stripe"} for kind in kinds)
    assert "wave 1" in timeline_chart(model, 1120.0)


def test_clocks_of_workers_that_differ_do_not_leave_the_picture() -> None:
    dossier = make_full_dossier()
    record = dossier.record.model_copy(update={"created_at": dossier.outcomes[3].finished_at})
    model = timeline(record, dossier.outcomes)
    assert all(0 <= bar.start <= bar.end <= model.end for bar in model.bars)


def test_large_numbers_are_short() -> None:
    assert [compact(v) for v in (0.0, 12.345, 95_334.0, 1.2e6, 3.4e9)] == [
        "0", "12.3", "95.3 k", "1.2 M", "3.4 G",
    ]  # fmt: skip
