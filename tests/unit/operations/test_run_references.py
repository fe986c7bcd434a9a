"""What people type as a run never becomes a part of a key or a path unless it is a run id."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from sigmax_tasks.archive import RunArchive
from sigmax_tasks.cli.main import sigmax
from sigmax_tasks.cli.records import find_run
from sigmax_tasks.client import Client
from sigmax_tasks.errors import ClusterUnreachableError, ConfigurationError, RunNotFoundError
from sigmax_tasks.ids import RUN_ID_PATTERN, check_run_id
from sigmax_tasks.settings import load_settings

ODD = (
    "../../etc/passwd",
    "*",
    "20250314-120000-*",
    "a b c d e",
    "20250314-120000-aaaaaaaa\n",
    "20250314-120000-aaaaaaaa:lease",
    "x" * 41,
    "٢٠٢٥٠٣١٤-١٢٠٠٠٠",
    "20250314-120000-aaaaaaaa\x00",
    "",
)
COMMANDS = ("show", "export", "report", "watch", "cancel")
CALLS: tuple[Callable[[Client, str], object], ...] = (
    Client.record,
    Client.dossier,
    Client.cancel,
    lambda client, text: next(client.follow([text])),
)


# Whatever it sends to a broker ends with another error than a refusal.
CLIENT = Client(load_settings(environ={}).settings, "redis://127.0.0.1:1/0")


@given(st.text(max_size=60).filter(lambda text: not RUN_ID_PATTERN.fullmatch(text)))
@example("20250314-120000-aaaaaaaa\n")
def test_the_client_sends_nothing_for_what_is_no_run_id(text: str) -> None:
    for call in CALLS:
        with pytest.raises(ConfigurationError, match="invalid run id"):
            call(CLIENT, text)


@pytest.mark.parametrize("call", CALLS)
def test_a_run_id_is_asked_for(call: Callable[[Client, str], object]) -> None:
    with pytest.raises(ClusterUnreachableError):
        call(CLIENT, "20250314-120000-aaaaaaaa")


@given(st.text(max_size=60))
def test_a_reference_stands_for_a_known_run_or_for_none(text: str) -> None:
    known = ("20250314-120000-aaaaaaaa", "20250314-120000-bbbbbbbb")
    try:
        assert find_run(text, known, "here") in known
    except (ConfigurationError, RunNotFoundError) as error:
        assert len(str(error)) < 300


@pytest.mark.parametrize("odd", ODD)
def test_files_of_runs_stay_in_their_folder(tmp_path: Path, odd: str) -> None:
    archive = RunArchive(tmp_path)
    for call in (archive.load, archive.dossier, check_run_id):
        with pytest.raises(ConfigurationError):
            call(odd)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("odd", ODD[:5])
def test_every_command_that_takes_a_run_refuses_it_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, odd: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Client, "check", lambda _: None)
    monkeypatch.setattr(Client, "live_runs", lambda _: ())
    monkeypatch.setattr(Client, "finished_ids", lambda _, limit: ())
    result = CliRunner().invoke(sigmax, [command, odd, "--broker", "redis://127.0.0.1:1/0"])
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert "invalid run" in line
