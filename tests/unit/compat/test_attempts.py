"""When there is another attempt, and how long before it: decided without a clock."""

from __future__ import annotations

import pytest

from sigmax_tasks.compat.attempts import Retry
from sigmax_tasks.errors import (
    ConfigurationError,
    NotOfferedError,
    PermanentSourceError,
    RateLimitedError,
    TransientSourceError,
)

FULL = Retry(2, 1.0, jitter=lambda: 1.0)
PLENTY = 1000.0


def test_waits_double_and_end_with_the_retries() -> None:
    waits = [FULL.wait_seconds(n, ValueError(), PLENTY) for n in (1, 2, 3)]
    assert waits == [1.0, 2.0, None]


def test_jitter_shortens_a_wait() -> None:
    assert Retry(2, 1.0, jitter=lambda: 0.25).wait_seconds(2, ValueError(), PLENTY) == 0.5


def test_a_wait_leaves_half_of_the_time_for_the_next_attempt() -> None:
    assert FULL.wait_seconds(2, ValueError(), 1.0) == 0.5


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("wrong"),
        PermanentSourceError("kraken", "400"),
        NotOfferedError("kraken", "no such candles"),
    ],
)
def test_what_another_attempt_would_only_repeat_is_not_tried_again(error: Exception) -> None:
    assert FULL.wait_seconds(1, error, PLENTY) is None


def test_a_stated_wait_is_kept_or_given_up_but_not_shortened() -> None:
    stated = RateLimitedError("kraken", "429", retry_after_seconds=7)
    assert FULL.wait_seconds(1, stated, 10) == 7
    assert FULL.wait_seconds(1, stated, 7) is None
    assert FULL.wait_seconds(1, TransientSourceError("kraken", "503"), 10) == 1.0
