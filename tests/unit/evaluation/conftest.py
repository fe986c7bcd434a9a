"""One folder of made recordings for all tests of the evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigmax_tasks.settings import Settings, load_settings

from .builders import write_recordings


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load_settings(None, environ={}).settings


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recordings(tmp_path_factory.mktemp("recordings"))
