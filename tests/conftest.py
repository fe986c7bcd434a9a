"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as property_tests

from tests.switches import switch_environ

REPO = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """What tests start with our environment runs with the turned switch, too; no timed examples."""
    os.environ.update(switch_environ())
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As a shell's background jobs have it; what tests start would ignore Ctrl-C, too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(name) is signal.SIG_IGN:
            # As under nohup. Ignored here still, and not by what tests start.
            signal.signal(name, lambda *_: None)
    # On a busy machine an example may take any time; a test that hangs has a limit of its own.
    slow = [HealthCheck.too_slow]
    property_tests.register_profile("untimed", deadline=None, suppress_health_check=slow)
    property_tests.load_profile("untimed")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings; the test skips where it is absent, and fails in CI."""
    folder = Path(os.environ.get("SIGMAX_SHARED_DATA", REPO.parent / "shared" / "data"))
    if not folder.is_dir():
        message = f"real recordings are not at {folder} (set SIGMAX_SHARED_DATA)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
