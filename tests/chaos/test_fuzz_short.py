"""A small form of ``python -m tests.chaos.fuzz_messages``."""

from __future__ import annotations

import pytest

from tests.chaos.fuzz_messages import fuzz

pytestmark = pytest.mark.integration


def test_malformed_messages_stop_no_worker_and_are_counted() -> None:
    said: list[str] = []
    assert fuzz(150, workers=1, say=said.append), said
