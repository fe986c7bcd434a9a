"""Shares of risk, against the equations they answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmax_tasks.errors import AllocationError
from sigmax_tasks.stages.risk_budget import Matrix, share_risk


def alike(count: int, likeness: float) -> Matrix:
    matrix = np.full((count, count), likeness)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def test_what_is_not_alike_keeps_its_risk() -> None:
    risks = np.array([0.5, 0.01, 0.2])
    assert share_risk(risks, np.eye(3)) == pytest.approx(risks)
    assert share_risk(risks[:1], np.eye(1)) == pytest.approx(risks[:1])


@pytest.mark.parametrize("count", [2, 3, 10])
@pytest.mark.parametrize("likeness", [0.2, 0.8, 1.0])
def test_equal_ones_get_the_kelly_size_of_all_together(count: int, likeness: float) -> None:
    """The inverse of the matrix times the risks, which for equal ones is known in closed form."""
    risks = np.full(count, 0.3)
    expected = 0.3 / (1 + (count - 1) * likeness)
    assert share_risk(risks, alike(count, likeness)) == pytest.approx(expected)
    if likeness < 1:
        kelly = np.linalg.solve(alike(count, likeness), risks)
        assert share_risk(risks, alike(count, likeness)) == pytest.approx(kelly)


def test_a_slightly_better_one_does_not_take_all() -> None:
    """Where the best growth alone would sell the third short."""
    risks, matrix = np.array([0.10, 0.09, 0.08]), alike(3, 0.95)
    assert np.linalg.solve(matrix, risks)[2] < 0
    shares = share_risk(risks, matrix)
    assert shares[0] > shares[1] > shares[2] > 0.02


@settings(max_examples=150, deadline=None)
@given(data=st.data(), count=st.integers(1, 12))
def test_budgets_are_met_and_no_risk_grows(data: st.DataObject, count: int) -> None:
    """Whatever is alike, also where the matrix is none of correlations."""
    exponents = data.draw(st.lists(st.floats(-4, 0), min_size=count, max_size=count))
    entries = iter(
        data.draw(st.lists(st.floats(0, 1), min_size=count * count, max_size=count * count))
    )
    half = np.array([[next(entries) for _ in range(count)] for _ in range(count)])
    matrix = (half + half.T) / 2
    np.fill_diagonal(matrix, 1.0)
    risks = np.array([10.0**e for e in exponents])
    shares = share_risk(risks, matrix)
    assert ((shares > 0) & (shares <= risks)).all()
    # k x_i (C k x)_i = k^2 r_i^2, and k is the Kelly amount, so that 1/2 k^2 x'Cx - k r'x is least.
    parts = shares * (matrix @ shares) / risks**2
    assert parts == pytest.approx(parts[0], rel=1e-8)
    assert risks @ shares == pytest.approx(shares @ matrix @ shares, rel=1e-8)
    assert math.sqrt(shares @ matrix @ shares) <= math.sqrt(risks @ risks) * (1 + 1e-9)


def test_what_cannot_be_solved_says_so() -> None:
    with pytest.raises(AllocationError, match="2 positions cannot be shared out"):
        share_risk(np.array([0.1, math.nan]), np.eye(2))
