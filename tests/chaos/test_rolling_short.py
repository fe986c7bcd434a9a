"""A small form of ``python -m tests.chaos.rolling``."""

from __future__ import annotations

import pytest

from tests.chaos.rolling import rolling

pytestmark = pytest.mark.integration


def test_workers_of_the_version_before_are_replaced_under_load() -> None:
    tally, good = rolling(6, workers=2)
    assert good, tally
