"""``sigmax export``, ``sigmax replay`` and ``sigmax-submit --export``."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from sigmax_tasks.archive import RunArchive, default_folder
from sigmax_tasks.cli.replay_flow import replay_file
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.report.json_line import decision_line
from sigmax_tasks.run_file import dump_run_file, load_run_file, read_run_file, write_run_file
from tests.unit.cli.conftest import FakeClient, Run, Script, error_line
from tests.unit.engine.run_files import RUN_ID, make_run
from tests.unit.report.builders import make_dossier
from tests.unit.stages.builders import failed

BUY_HIGHER = "decision.profiles.balanced.buy_threshold=0.9"


@pytest.fixture
def kept() -> Dossier:
    """A run in the data folder."""
    run = make_run()
    RunArchive(default_folder()).save(run)
    return run


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "run.json"
    write_run_file(make_run(), path)
    return str(path)


def test_a_run_is_exported_to_stdout(kept: Dossier, run_sigmax: Run) -> None:
    for reference in (RUN_ID, "last", "4f9c2a7b"):
        result = run_sigmax("export", reference)
        assert result.exit_code == 0
        assert result.stdout_bytes == dump_run_file(kept)


def test_a_run_is_exported_to_a_file_or_into_a_folder(
    kept: Dossier, run_sigmax: Run, tmp_path: Path
) -> None:
    name = f"{RUN_ID}-BTC-USDT.json"
    for output, path in (
        ("run.json", tmp_path / "run.json"),
        (str(tmp_path), tmp_path / name),
        ("new/", tmp_path / "new" / name),
    ):
        result = run_sigmax("export", "last", "--output", output)
        assert result.exit_code == 0, result.stderr
        assert result.stdout == ""
        assert f"exported {RUN_ID} to " in result.stderr
        assert read_run_file(str(path)) == kept


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("20200101-000000-00000000",), "is not known in"),
        (("last", "--output", "none/run.json"), "there is no folder 'none'"),
        (("last", "--output", ""), "is not the path of a file"),
        (("../x",), "invalid run"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    kept: Dossier, run_sigmax: Run, arguments: tuple[str, ...], words: str
) -> None:
    result = run_sigmax("export", *arguments)
    assert result.exit_code == 2
    assert words in error_line(result)


def test_a_folder_that_cannot_be_written_to_is_told(kept: Dossier, run_sigmax: Run) -> None:
    Path("taken").write_text("")
    result = run_sigmax("export", "last", "--output", "taken/deeper/")
    assert result.exit_code == 2
    assert "cannot be used" in error_line(result)


def test_a_replay_prints_the_line_of_the_run(file: str, run_sigmax: Run) -> None:
    result = run_sigmax("replay", file, "--json")
    assert result.exit_code == 0, result.stderr
    run = read_run_file(file)
    assert json.loads(result.stdout) == json.loads(json.dumps(decision_line(run.record)))
    assert result.stdout.count("\n") == 1
    assert f"the same decision as recorded, hash {run.record.decision.decision_hash}" in (
        result.stderr
    )


def test_a_replay_shows_the_decision(file: str, run_sigmax: Run) -> None:
    result = run_sigmax("replay", file)
    assert result.exit_code == 0, result.stderr
    assert "BUY" in result.stdout
    assert "the same decision as recorded" in result.stdout


def test_a_replay_reads_standard_input(run_sigmax: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BytesIO(dump_run_file(make_run()))

    monkeypatch.setattr("sigmax_tasks.run_file.sys.stdin", Input())
    options: dict[str, Any] = {"as_json": True, "overrides": (), "config_dir": None}
    assert replay_file("-", from_observations=False, **options) == 0


def test_a_hold_on_unvalidated_research_ends_with_3(tmp_path: Path, run_sigmax: Run) -> None:
    path = tmp_path / "hold.json"
    write_run_file(make_run(outcomes=(failed("onchain"),)), path)
    result = run_sigmax("replay", str(path), "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["action"] == "HOLD"


def test_what_if_says_so_and_shows_the_difference(file: str, run_sigmax: Run) -> None:
    shown = run_sigmax("replay", file, "--set", BUY_HIGHER)
    assert shown.exit_code == 0, shown.stderr
    assert f"what if: {BUY_HIGHER}" in shown.stdout
    assert "action: BUY recorded, HOLD now" in shown.stdout
    assert "another decision than recorded" in shown.stdout
    line = json.loads(run_sigmax("replay", file, "--set", BUY_HIGHER, "--json").stdout)
    assert line["action"] == "HOLD"
    facts = line["replay"]
    assert facts["settings_changed"] == [BUY_HIGHER]
    assert facts["identical"] is False
    assert facts["recorded_hash"] == make_run().record.decision.decision_hash
    assert {"name": "action", "recorded": "BUY", "now": "HOLD"} in facts["changes"]


def test_what_if_that_changes_nothing_says_so(file: str, run_sigmax: Run) -> None:
    result = run_sigmax("replay", file, "--set", "task_execution.max_retries=5")
    assert result.exit_code == 0
    assert "the same decision as recorded" in result.stdout


def test_research_is_run_again_and_compared(file: str, run_sigmax: Run) -> None:
    line = json.loads(run_sigmax("replay", file, "--from-observations", "--json").stdout)
    states = {entry["task_id"]: entry["state"] for entry in line["replay"]["research"]}
    assert states["sentiment"] == states["keywords"] == "identical"
    assert states["technical"] == "not run"
    assert line["replay"]["identical"] is True
    shown = run_sigmax("replay", file, "--from-observations")
    assert "research of sentiment identical" in shown.stdout


def test_another_decision_is_an_error_and_prints_none(tmp_path: Path, run_sigmax: Run) -> None:
    path = tmp_path / "other.json"
    run = make_run()
    decision = run.record.decision.model_copy(update={"decision_hash": "ab" * 32})
    record = run.record.model_copy(update={"decision": decision})
    write_run_file(run.model_copy(update={"record": record}), path)
    for arguments in ((), ("--json",)):
        result = run_sigmax("replay", str(path), *arguments)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert "does not come out again" in error_line(result)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.json",), "none.json: no such file"),
        (("run.json", "--set", "decision.x=1"), "unknown configuration key 'decision.x'"),
        (("run.json", "--set", "decision"), "is not KEY=VALUE"),
        ((), "missing argument"),
    ],
)
def test_bad_usage_is_one_line(
    file: str, run_sigmax: Run, arguments: tuple[str, ...], words: str
) -> None:
    result = run_sigmax("replay", *arguments)
    assert result.exit_code == 2
    assert words in error_line(result)


def test_a_changed_file_is_one_line(file: str, run_sigmax: Run) -> None:
    content = Path(file).read_bytes()
    Path(file).write_bytes(content.replace(b"BTC/USDT", b"BTC/USDC", 1))
    result = run_sigmax("replay", file, "--json")
    assert result.exit_code == 2
    assert "checksum does not fit" in error_line(result)


def test_the_configuration_here_is_not_asked(
    file: str, run_sigmax: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMAX_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("SIGMAX_DECISION__DEBATE__ROUNDS", "0")
    monkeypatch.setenv("SIGMAX_CONFIG_DIR", "/none")
    Path("config").mkdir()
    Path("config/planning.yaml").write_text("not: ours")
    assert run_sigmax("replay", file, "--json").exit_code == 0


@pytest.fixture
def exporting(script: Script, monkeypatch: pytest.MonkeyPatch) -> Script:
    """The fake cluster gives dossiers of its records."""

    def dossier(self: FakeClient, run_id: str) -> Dossier:
        return make_dossier(self.record(run_id))

    monkeypatch.setattr(FakeClient, "dossier", dossier, raising=False)
    return script


def test_submit_exports_each_run(exporting: Script, run_submit: Run, tmp_path: Path) -> None:
    one = run_submit("BTC/USDT", "--data", "simulated", "--json", "--export", "one.json")
    assert one.exit_code == 0, one.stderr
    run_id = json.loads(one.stdout)["run_id"]
    assert load_run_file(Path("one.json").read_bytes(), "x").record.run_id == run_id
    two = run_submit("BTC/USDT", "ETH/USDT", "--data", "simulated", "--export", "runs")
    assert two.exit_code == 0, two.stderr
    names = sorted(path.name for path in Path("runs").iterdir())
    assert [name.partition("-0000")[2][-13:] for name in names] == [
        "BTC-USDT.json",
        "ETH-USDT.json",
    ]
    assert two.stderr.count("exported ") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("BTC/USDT", "--export", "none/x.json"), "there is no folder 'none'"),
        (("BTC/USDT", "--export", "-"), "is not the path of a file or folder"),
        (("BTC/USDT", "ETH/USDT", "--export", "taken"), "2 runs need a folder"),
        (("BTC/USDT", "--export", "x", "--no-wait", "--broker", "redis://h"), "--no-wait does not"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_told_before_anything_starts(
    exporting: Script, run_submit: Run, monkeypatch: Any, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.setenv("SIGMAX_SIMULATOR_URL", "http://127.0.0.1:1")
    Path("taken").write_text("")
    result = run_submit(*arguments, "--data", "simulated")
    assert result.exit_code == 2
    assert words in error_line(result)
    assert exporting.opened == []
