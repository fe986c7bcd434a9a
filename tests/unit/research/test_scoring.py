import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from price_inputs import AS_OF, candles, inputs_of, rows_of

from sigmax_planner.errors import SigmaxError
from sigmax_tasks.models.observations import Missing
from sigmax_tasks.models.research import Evidence
from sigmax_tasks.research.scoring import (
    InsufficientDataError,
    Notebook,
    clip,
    finding_from,
    rounded,
    sample_reliability,
    squash,
    strength_of,
    weighted_score,
)

PRICES = candles(rows_of([100.0, 101.0]))
VOLUMES = candles(rows_of([100.0, 101.0]), source="volume_data")


def argument(polarity: float, reliability: float, name: str = "a") -> Evidence:
    return Evidence(
        evidence_id=f"t.{name}",
        task_id="t",
        claim="c",
        polarity=polarity,
        reliability=reliability,
        observation_ids=("x",),
        observed_at=AS_OF,
    )


arguments = st.lists(st.builds(argument, st.floats(-1, 1), st.floats(0, 1)), max_size=12)


@given(arguments)
def test_score_and_strength_stay_in_their_ranges(evidence):
    score, strength = weighted_score(evidence), strength_of(evidence)
    assert -1 <= score <= 1
    assert 0 <= strength <= 1
    if evidence and any(item.reliability > 0 for item in evidence):
        weighing = [item.polarity for item in evidence if item.reliability > 0]
        assert min(weighing) - 1e-12 <= score <= max(weighing) + 1e-12


@given(arguments, st.floats(-1, 1), st.floats(0, 1))
def test_more_evidence_never_weakens_the_strength(evidence, polarity, reliability):
    more = [*evidence, argument(polarity, reliability)]
    assert strength_of(more) >= strength_of(evidence)


def test_the_reliable_argument_weighs_more():
    assert weighted_score([argument(1.0, 0.6), argument(-1.0, 0.2)]) == pytest.approx(0.5)


def test_no_evidence_says_nothing():
    assert weighted_score([]) == 0.0
    assert strength_of([]) == 0.0
    assert weighted_score([argument(1.0, 0.0)]) == 0.0


def test_squash_is_odd_and_bounded():
    assert squash(0.0, 3.0) == 0.0
    assert squash(3.0, 3.0) == pytest.approx(math.tanh(1))
    assert squash(-2.0, 1.0) == -squash(2.0, 1.0)
    assert squash(math.inf, 1.0) == 1.0
    assert squash(math.nan, 1.0) == 0.0


def test_small_numbers():
    assert clip(2.0, 0.0, 1.0) == 1.0
    assert math.isnan(clip(math.nan, 0.0, 1.0))
    assert rounded(123456.123456789) == 123456.1235
    assert math.copysign(1.0, rounded(-0.0)) == 1.0
    assert sample_reliability(0, 10) == 0.0
    assert sample_reliability(10, 10) == 0.5


def test_a_finding_lists_what_it_cites_and_what_was_missing():
    gap = Missing(source="volume_data", need="candles 1d", reason="no provider")
    inputs = inputs_of("technical", PRICES, VOLUMES).model_copy(update={"missing": (gap,)})
    notes = Notebook(inputs)
    assert notes.measure("price", 101.0, "quote currency", PRICES)
    assert notes.argue(
        "up",
        "price rose",
        PRICES,
        polarity=0.5,
        reliability=0.4,
        metric_names=("price", "unknown"),
    )
    finding = notes.finding("up", strength_factor=0.5)
    assert [item.source for item in finding.lineage] == ["price_data"]
    assert finding.missing == (gap,)
    assert finding.evidence[0].evidence_id == "technical.up"
    assert finding.evidence[0].metric_names == ("price",)
    assert finding.evidence[0].observed_at == PRICES.lineage.observed_at
    assert finding.score == 0.5
    assert finding.strength == pytest.approx(0.5 * (1 - math.exp(-0.2)))


def test_nan_and_infinity_never_get_into_a_finding():
    notes = Notebook(inputs_of("technical", PRICES))
    assert not notes.measure("a", math.nan, "u", PRICES)
    assert not notes.measure("b", math.inf, "u", PRICES)
    assert not notes.measure("c", None, "u", PRICES)
    assert not notes.argue("d", "x", PRICES, polarity=math.nan, reliability=0.5)
    assert not notes.argue("e", "x", PRICES, polarity=0.5, reliability=math.inf)
    finding = notes.finding("nothing")
    assert finding.metrics == ()
    assert finding.evidence == ()
    assert finding.score == finding.strength == 0.0


def test_polarity_and_reliability_are_held_in_range_and_long_claims_cut():
    notes = Notebook(inputs_of("technical", PRICES))
    notes.argue("a", "word " * 200, PRICES, polarity=-7.0, reliability=3.0)
    (evidence,) = notes.finding("s " * 400).evidence
    assert (evidence.polarity, evidence.reliability) == (-1.0, 1.0)
    assert len(evidence.claim) <= 300
    assert evidence.claim.endswith("...")


def test_upstream_observations_can_be_cited():
    upstream = Notebook(inputs_of("technical", PRICES))
    upstream.measure("price", 1.0, "u", PRICES)
    inputs = inputs_of("momentum", VOLUMES, upstream={"technical": upstream.finding("s")})
    notes = Notebook(inputs)
    notes.measure("price", 1.0, "u", PRICES)
    assert [item.source for item in notes.finding("s").lineage] == ["price_data"]


def test_an_observation_that_was_not_given_cannot_be_cited():
    notes = Notebook(inputs_of("technical", PRICES))
    notes.measure("volume", 1.0, "u", VOLUMES)
    with pytest.raises(ValueError, match="was not given"):
        notes.finding("s")


def test_names_are_unique_and_rest_on_something():
    notes = Notebook(inputs_of("technical", PRICES))
    notes.measure("price", 1.0, "u", PRICES)
    notes.measure("price", 2.0, "u", PRICES)
    with pytest.raises(ValueError, match="metric named twice: price"):
        notes.finding("s")
    twins = [argument(0.1, 0.1), argument(0.2, 0.1)]
    with pytest.raises(ValueError, match=r"evidence named twice: t\.a"):
        finding_from(notes.inputs, evidence=twins, metrics=(), summary="s")
    with pytest.raises(ValueError, match="observation to rest on"):
        notes.measure("other", 1.0, "u")


def test_insufficient_data_is_of_the_one_error_tree_and_travels():
    error = pickle.loads(pickle.dumps(InsufficientDataError("too few candles")))  # noqa: S301
    assert isinstance(error, SigmaxError)
    assert str(error) == "too few candles"
