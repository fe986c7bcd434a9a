"""The validation score by hand, its gates, and the gaps it names."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks.models.observations import Missing
from sigmax_tasks.models.research import Finding, Metric, TaskStatus
from sigmax_tasks.stages.validate import validate
from tests.unit.stages.builders import (
    AS_OF,
    BALANCED,
    bundle,
    evidence,
    failed,
    finding,
    lineage,
    outcome,
    policy,
    profile,
    shipped_policy,
)

# Balanced plan: sentiment, onchain, technical CRITICAL (4 each), macro HIGH (3), patterns MEDIUM
# (2), keywords LOW (1): weights add up to 18. Nine planned data sources: news, social, fear_greed,
# onchain, coingecko, price_data, volume_data, macro_data, historical_data.


def test_everything_complete_and_fresh_gives_exactly_one_and_passes() -> None:
    report = validate(bundle(), profile(), shipped_policy())
    assert (report.completeness, report.quality) == (1.0, 1.0)
    assert (report.freshness, report.coverage) == (1.0, 1.0)
    assert report.score == 1.0
    assert report.passed
    assert report.gaps == ()
    assert report.failures == ()


@pytest.mark.parametrize("name", ["conservative", "balanced", "aggressive"])
def test_the_threshold_is_that_of_the_profile(name: str) -> None:
    report = validate(bundle(), profile(name), shipped_policy())
    assert report.threshold == {"conservative": 0.8, "balanced": 0.7, "aggressive": 0.6}[name]


@pytest.mark.parametrize(
    ("case", "changed", "completeness", "quality", "freshness", "coverage"),
    [
        # macro fails: (18 - 3) / 18 twice; its own source macro_data is unseen: 8 of 9 twice
        ("a high task fails", failed("macro"), 15 / 18, 15 / 18, 8 / 9, 8 / 9),
        # keywords fails: 17 / 18 twice; news is still seen by sentiment
        ("a low task fails", failed("keywords"), 17 / 18, 17 / 18, 1.0, 1.0),
        # one of three needs of sentiment is a gap: (14 + 4 x 2/3) / 18; social unseen: 8 of 9
        (
            "a need of a task is missing",
            outcome(
                finding(
                    "sentiment",
                    without=["social"],
                    missing=(Missing(source="social", need="texts", reason="HTTP 403"),),
                )
            ),
            (14 + 4 * 2 / 3) / 18,
            1.0,
            8 / 9,
            8 / 9,
        ),
        # an argument of reliability 0.05 against the 0.2 of full quality: (14 + 4 x 0.25) / 18
        (
            "thin evidence",
            outcome(
                finding(
                    "onchain",
                    evidence_items=[evidence("onchain", "thin", "onchain", reliability=0.05)],
                )
            ),
            1.0,
            (14 + 4 * 0.25) / 18,
            1.0,
            1.0,
        ),
        # historical data 1.5 times their limit of 2880 min: freshness 0.5, (8 + 0.5) / 9
        (
            "stale data",
            outcome(finding("patterns", ages={"historical_data": 4320})),
            1.0,
            1.0,
            8.5 / 9,
            1.0,
        ),
    ],
)
def test_worked_examples(
    case: str,
    changed: object,
    completeness: float,
    quality: float,
    freshness: float,
    coverage: float,
) -> None:
    report = validate(bundle(changed), profile(), shipped_policy())
    assert report.completeness == pytest.approx(completeness), case
    assert report.quality == pytest.approx(quality), case
    assert report.freshness == pytest.approx(freshness), case
    assert report.coverage == pytest.approx(coverage), case
    score = 0.35 * completeness + 0.25 * quality + 0.20 * freshness + 0.20 * coverage
    assert report.score == pytest.approx(score), case
    assert report.gaps or case == "thin evidence"


def test_research_of_ten_minutes_against_a_limit_of_five_loses_the_freshness_share() -> None:
    rules = policy(validation__age_limits_minutes={}, validation__default_age_limit_minutes=5)
    found = [
        outcome(finding(task_id, ages=dict.fromkeys(lineage_sources(task_id), 10)))
        for task_id in BALANCED
    ]
    report = validate(bundle(*found), profile(), rules)
    assert report.freshness == 0.0
    assert report.score == pytest.approx(0.80)
    half = validate(bundle(as_of=AS_OF + timedelta(minutes=6.5)), profile(), rules)
    assert half.freshness == pytest.approx(0.5)  # 7.5 min old: 2 - 7.5 / 5
    assert half.score == pytest.approx(0.90)


def lineage_sources(task_id: str) -> list[str]:
    return [item.source for item in finding(task_id).lineage]


def test_age_is_measured_against_the_time_of_the_run_not_of_the_fetch() -> None:
    later = bundle(as_of=AS_OF + timedelta(days=30))
    assert validate(later, profile(), shipped_policy()).freshness < 0.5


def test_the_most_specific_age_limit_counts() -> None:
    rules = policy(
        validation__default_age_limit_minutes=1,
        validation__age_limits_minutes={
            "price_data": 2,
            "price_data/candles": 3,
            "price_data/candles/4h": 4,
        },
    ).validation
    assert rules.age_limit_minutes("price_data", "candles", "4h") == 4
    assert rules.age_limit_minutes("price_data", "candles", "1d") == 3
    assert rules.age_limit_minutes("price_data", "ticker") == 2
    assert rules.age_limit_minutes("news", "texts") == 1


def test_all_critical_tasks_failed_holds_with_the_tasks_and_reasons_named() -> None:
    lost = [failed(t, f"{t} timed out after 30 s") for t in ("sentiment", "onchain", "technical")]
    report = validate(bundle(*lost), profile(), shipped_policy())
    assert not report.passed
    for task_id in ("sentiment", "onchain", "technical"):
        assert any(task_id in failure for failure in report.failures)
        assert any(
            gap.task_id == task_id and f"{task_id} timed out" in gap.reason and gap.source
            for gap in report.gaps
        )


def test_a_missing_critical_task_fails_the_gate_only_where_the_profile_asks_for_it() -> None:
    cut = bundle(failed("onchain"))
    assert not validate(cut, profile(), shipped_policy()).passed
    relaxed = validate(cut, profile(require_all_critical=False), shipped_policy())
    assert relaxed.failures == ()
    assert relaxed.passed


def test_too_few_data_sources_fail_the_gate() -> None:
    report = validate(bundle(), profile(min_data_sources=10), shipped_policy())
    assert report.failures == ("9 data sources answered, profile balanced needs 10",)
    assert not report.passed
    assert validate(bundle(), profile(min_data_sources=9), shipped_policy()).passed


def test_an_outcome_that_never_came_is_a_gap() -> None:
    whole = bundle()
    cut = whole.model_copy(update={"outcomes": whole.outcomes[:-1]})
    report = validate(cut, profile(), shipped_policy())
    assert ("keywords", "no outcome before the run ended") in [
        (gap.task_id, gap.reason) for gap in report.gaps
    ]


def test_completed_without_a_finding_is_not_complete() -> None:
    empty = failed("macro").model_copy(update={"status": TaskStatus.COMPLETED, "reason": ""})
    report = validate(bundle(empty), profile(), shipped_policy())
    assert report.completeness == pytest.approx(15 / 18)
    assert "completed without a finding" in [gap.reason for gap in report.gaps]


def test_observations_from_the_future_are_not_used() -> None:
    found = finding("macro")
    future = tuple(
        item.model_copy(update={"observed_at": AS_OF + timedelta(hours=2)})
        if item.source == "macro_data"
        else item
        for item in found.lineage
    )
    peeking = outcome(found.model_copy(update={"lineage": future}))
    report = validate(bundle(peeking), profile(), shipped_policy())
    assert "macro_data" not in report.sources_seen
    assert report.coverage == pytest.approx(8 / 9)
    assert any("120 min after the time of the run" in gap.reason for gap in report.gaps)


def test_simulated_data_are_not_used_in_a_live_run() -> None:
    found = finding("patterns")
    fake = lineage("historical_data", simulated=True, data_mode=DataMode.SIMULATED)
    mixed = outcome(found.model_copy(update={"lineage": (fake,)}))
    live = validate(bundle(mixed), profile(), shipped_policy())
    assert any("simulated data in a live run" in gap.reason for gap in live.gaps)
    assert "historical_data" not in live.sources_seen
    simulated = bundle(mixed, data_mode=DataMode.SIMULATED)
    assert "historical_data" in validate(simulated, profile(), shipped_policy()).sources_seen


def test_arguments_that_cite_what_was_not_observed_do_not_count() -> None:
    invented = finding("onchain").model_copy(
        update={"evidence": (evidence("onchain", "invented", "orderbook", reliability=1.0),)}
    )
    report = validate(bundle(outcome(invented)), profile(), shipped_policy())
    assert report.quality == pytest.approx(14 / 18)
    assert any("no argument that rests on usable" in gap.reason for gap in report.gaps)


@pytest.mark.parametrize(
    ("mid", "gaps", "failures"),
    [(50_500.0, 0, 0), (51_500.0, 1, 0), (56_000.0, 1, 1)],  # 1 %, 3 %, 12 % apart
)
def test_venues_that_disagree(mid: float, gaps: int, failures: int) -> None:
    tasks = ("technical", "liquidity")
    made = bundle(outcome(finding("liquidity", metrics={"mid_price": mid})), task_ids=tasks)
    report = validate(made, profile(min_data_sources=0), shipped_policy())
    assert len([gap for gap in report.gaps if "venues disagree" in gap.reason]) == gaps
    assert len([text for text in report.failures if "venues disagree" in text]) == failures
    assert report.passed is not bool(failures)


def with_venues(
    prices: dict[str, float], missing: tuple[Missing, ...] = (), *, candle_age: float = 1.0
) -> Finding:
    """A technical finding with a cross-checked price of each provider."""
    made = finding("technical", ages={"price_data": candle_age}, missing=missing)
    checks = {
        provider: lineage(
            "price_data",
            observation_id=f"ticker:{provider}",
            kind="ticker",
            name="",
            provider=provider,
            cross_check=True,
        )
        for provider in prices
    }
    metrics = tuple(
        Metric(
            name=f"venue_price_{provider}",
            value=price,
            unit="quote currency",
            observation_ids=(f"ticker:{provider}",),
        )
        for provider, price in prices.items()
    )
    return made.model_copy(
        update={
            "metrics": made.metrics + metrics,
            "lineage": made.lineage + tuple(checks.values()),
        }
    )


def test_of_three_venues_the_one_off_the_median_is_named() -> None:
    made = with_venues({"kraken": 50_000.0, "coinbase": 50_100.0, "binance": 58_000.0})
    report = validate(
        bundle(outcome(made), task_ids=("technical",)),
        profile(min_data_sources=0),
        shipped_policy(),
    )
    (gap,) = [gap for gap in report.gaps if "venues disagree" in gap.reason]
    assert gap.source == "venue_price_binance"
    assert "against the median 50050 of 4 prices" in gap.reason
    assert [text for text in report.failures if "venue_price_binance" in text]
    assert not report.passed


def test_venues_that_agree_change_nothing() -> None:
    plain = validate(bundle(task_ids=("technical",)), profile(), shipped_policy())
    made = with_venues({"kraken": 50_000.0, "coinbase": 50_010.0})
    checked = validate(bundle(outcome(made), task_ids=("technical",)), profile(), shipped_policy())
    assert checked == plain


def test_a_cross_check_that_is_missing_is_stated_once_and_costs_nothing() -> None:
    gap = Missing(
        source="price_data", need="ticker of BTC/USDT", reason="not recorded", cross_check=True
    )
    plain = validate(bundle(task_ids=("technical",)), profile(), shipped_policy())
    report = validate(
        bundle(outcome(with_venues({}, (gap,))), task_ids=("technical",)),
        profile(),
        shipped_policy(),
    )
    assert [g.reason for g in report.gaps] == ["ticker of BTC/USDT: not recorded"]
    assert report.score == plain.score
    counted = gap.model_copy(update={"cross_check": False})
    report = validate(
        bundle(outcome(with_venues({}, (counted,))), task_ids=("technical",)),
        profile(),
        shipped_policy(),
    )
    assert report.completeness < plain.completeness


def test_a_fresh_cross_check_does_not_make_stale_candles_fresh_or_seen() -> None:
    prices = {"kraken": 50_000.0, "coinbase": 50_010.0}
    stale = validate(
        bundle(outcome(with_venues({}, candle_age=500)), task_ids=("technical",)),
        profile(),
        shipped_policy(),
    )
    checked = validate(
        bundle(outcome(with_venues(prices, candle_age=500)), task_ids=("technical",)),
        profile(),
        shipped_policy(),
    )
    assert checked.freshness == stale.freshness < 1.0
    only = with_venues(prices)
    only = only.model_copy(
        update={"lineage": tuple(i for i in only.lineage if i.kind != "candles")}
    )
    unseen = validate(bundle(outcome(only), task_ids=("technical",)), profile(), shipped_policy())
    assert unseen.sources_seen == ()
    assert unseen.completeness == 0.0


def test_prices_of_different_times_are_not_compared() -> None:
    late = outcome(finding("technical", ages={"price_data": 600}))
    apart = outcome(finding("liquidity", metrics={"mid_price": 60_000.0}))
    made = bundle(late, apart, task_ids=("technical", "liquidity"))
    report = validate(made, profile(min_data_sources=0), shipped_policy())
    assert not [gap for gap in report.gaps if "venues disagree" in gap.reason]


def test_an_empty_plan_is_not_validated() -> None:
    report = validate(bundle(task_ids=()), profile(min_data_sources=0), shipped_policy())
    assert report.score == 0.0
    assert report.failures == ("the plan holds no task",)


def test_stale_observations_are_named_with_age_and_limit() -> None:
    old = outcome(finding("technical", ages={"price_data": 400}))
    report = validate(bundle(old), profile(), shipped_policy())
    assert [(gap.task_id, gap.source, gap.reason) for gap in report.gaps] == [
        ("technical", "price_data", "candles 4h is 6.67 h old, limit 5 h: counts 0.67")
    ]
