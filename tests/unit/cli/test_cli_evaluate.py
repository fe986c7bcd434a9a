"""``sigmax evaluate``: what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Run

GOOD = {"--from": "2022-06-01", "--to": "2022-06-10"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--step": "1m"}, "--step '1m' is none of 1h, 2h"),
        ({"--from": "2022-13-01"}, "--from '2022-13-01' is not a time"),
        ({"--to": "2999-01-01"}, "--to 2999-01-01 00:00 UTC lies in the future"),
        ({"--to": "2022-05-01"}, "--from '2022-06-01' is after --to '2022-05-01'"),
        ({"--workers": "many"}, "--workers 'many' is not a whole number from 1 to 64"),
        ({"--trials": "0"}, "--trials '0' is not a whole number"),
        ({"--profile": "bold"}, "bold"),
        ({"--replay-dir": "nowhere"}, "--replay-dir 'nowhere' is not a folder"),
        ({}, "no candles of BTC/USDT are recorded"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(
    run_sigmax: Run, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    options = {"--replay-dir": str(tmp_path), **GOOD, **changes}
    arguments = [part for pair in options.items() for part in pair]
    result = run_sigmax("evaluate", "BTC/USDT", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
