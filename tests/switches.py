"""The switches of the engine, and which position of one the tests run in.

``SIGMAX_TEST_SWITCH="engine.lean_chords=false" pytest tests/integration tests/chaos`` runs
everything these tests start or submit with that switch turned; ``make switches`` does so for each.
What a test or its processes set on their own goes first, so a test about one position pins it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sigmax_tasks.settings import LoadedSettings
from sigmax_tasks.settings import load_settings as load_plain

VARIABLE = "SIGMAX_TEST_SWITCH"
POSITIONS = {
    "engine.lean_chords": ("true", "false"),
    "planning.batching": ("levels", "critical_path"),
}
"""Key of each switch and its positions, the shipped one first."""


def switch_overrides() -> tuple[str, ...]:
    """The turned switch as an override, if one is turned. Raises ValueError for an unknown one."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return ()
    key, _, position = text.partition("=")
    if position not in POSITIONS.get(key, ()):
        allowed = ", ".join(f"{k}={p}" for k, each in POSITIONS.items() for p in each)
        raise ValueError(f"{VARIABLE}={text!r}: allowed are {allowed}")
    return (text,)


def switch_environ() -> dict[str, str]:
    """The turned switch for the environment of a process."""
    pairs = (text.partition("=") for text in switch_overrides())
    return {f"SIGMAX_{key.upper().replace('.', '__')}": value for key, _, value in pairs}


def clean_environ() -> dict[str, str]:
    """Our environment without settings of whoever runs the tests, with the turned switch."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SIGMAX_", "CELERY_"))}
    return {**kept, **switch_environ()}


def load_settings(
    config_dir: Path | None = None,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> LoadedSettings:
    """As the product's, with the turned switch; ``overrides`` go first."""
    return load_plain(config_dir, (*switch_overrides(), *overrides), environ)
