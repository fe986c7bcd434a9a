"""Risks that leave each position the part of the whole that it would have if none were alike.

With r the risk a position has alone (size x volatility) and c how much two positions are alike (1
with itself, never below 0), the mix x is that of risk budgets r^2 (Spinu, 2013, An algorithm for
computing risk parity weights): the minimum of

    1/2 x' C x - sum of r_i^2 ln x_i,   that is   x_i (C x)_i = r_i^2 for each position.

In ln x it is convex, for no c is negative, so that there is one answer, also where C is no matrix
of correlations (returns that are not known count as c = 1 with all). How much of the mix is taken
is the Kelly amount (Merton, 1969) for the expected returns that r stands for: k = r' x / x' C x.

So k x <= r always; positions that are not alike keep r; n of equal risk and likeness c get
r / (1 + (n - 1) c). The best growth by itself, C^-1 r, would put all into a few of many positions
that are alike, for differences far smaller than what is known about them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root

from sigmax_tasks.errors import AllocationError

Matrix = NDArray[np.float64]

MOST_OFF = 1e-9
"""How far the budgets may be missed, as a part of each; the solver ends near 1e-14."""


def share_risk(risks: Matrix, likeness: Matrix) -> Matrix:
    """k x for ``risks`` above 0 and a symmetric ``likeness`` without negative entries.

    Raises :class:`AllocationError` where the numbers are too far apart to be solved for.
    """
    wanted = 2.0 * np.log(risks)
    rows = likeness.sum(axis=1)

    def missed(logs: Matrix) -> Matrix:
        return logs + np.log(likeness @ np.exp(logs)) - wanted

    def slopes(logs: Matrix) -> Matrix:
        mix = np.exp(logs)
        return np.eye(len(logs)) + likeness * mix / (likeness @ mix)[:, None]

    found = root(
        missed, np.log(risks) - np.log(rows) / 2, jac=slopes, method="hybr", options={"xtol": 1e-12}
    )
    mix: Matrix = np.exp(found.x)
    if not bool((np.abs(missed(found.x)) <= MOST_OFF).all()):
        raise AllocationError(
            f"the risks of {len(risks)} positions cannot be shared out: {found.message}"
        )
    amount = float(risks @ mix) / float((risks**2).sum())
    return np.minimum(risks, amount * mix)
