"""``sigmax report`` and ``sigmax-submit --report``."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

from sigmax_tasks.archive import RunArchive, default_folder
from sigmax_tasks.models.dossier import Dossier
from tests.unit.cli.conftest import Run, Script, error_line
from tests.unit.report.builders import RUN_ID
from tests.unit.report.page_builders import make_full_dossier

NAME = f"{RUN_ID}-BTC-USDT.html"


@pytest.fixture
def kept() -> Dossier:
    """A finished run in the data folder."""
    dossier = make_full_dossier()
    RunArchive(default_folder()).save(dossier)
    return dossier


@pytest.mark.usefixtures("kept")
def test_the_page_goes_to_the_current_folder_and_its_path_to_stdout(run_sigmax: Run) -> None:
    result = run_sigmax("report", "last")
    assert result.exit_code == 0
    assert result.stdout == f"{NAME}\n"
    assert "<title>BUY BTC/USDT 2025-03-14 12:00 UTC</title>" in Path(NAME).read_text("utf-8")
    assert sorted(path.name for path in Path().iterdir()) == [NAME, "data"]


@pytest.mark.usefixtures("kept")
def test_the_page_goes_where_it_is_told_to(run_sigmax: Run, tmp_path: Path) -> None:
    assert run_sigmax("report", RUN_ID[:12], "--output", "a.html").exit_code == 0
    assert run_sigmax("report", RUN_ID, "-o", "pages/").exit_code == 0
    to_stdout = run_sigmax("report", "last", "--output", "-").stdout
    assert (tmp_path / "a.html").read_text("utf-8") == to_stdout
    assert (tmp_path / "pages" / NAME).read_text("utf-8") == to_stdout
    assert to_stdout.startswith("<!DOCTYPE html>")


@pytest.mark.usefixtures("kept")
def test_an_existing_page_is_replaced(run_sigmax: Run) -> None:
    Path("a.html").write_text("old", "utf-8")
    assert run_sigmax("report", "last", "-o", "a.html").exit_code == 0
    assert Path("a.html").read_text("utf-8").endswith("</html>\n")
    assert list(Path().glob(".a.html.*")) == []


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("starts", [True, False])
def test_the_page_is_opened_where_there_is_a_browser(
    run_sigmax: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, starts: bool
) -> None:
    opened: list[str] = []

    def start(url: str) -> bool:
        opened.append(url)
        return starts

    monkeypatch.setattr(webbrowser, "open", start)
    result = run_sigmax("report", "last", "--open")
    assert result.exit_code == 0
    assert opened == [(tmp_path / NAME).as_uri()]
    assert ("no browser could be started" in result.stderr) is not starts


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nope-nope"], "is not known"),
        (["!!"], "invalid run"),
        (["last", "-o", "missing/a.html"], "there is no folder 'missing'"),
        (["last", "-o", "-", "--open"], "--open needs a file"),
        (["last", "-o", "x" * 250], "cannot be written: File name too long"),
    ],
)
def test_what_cannot_be_reported_is_one_line(
    run_sigmax: Run, arguments: list[str], words: str
) -> None:
    result = run_sigmax("report", *arguments)
    assert result.exit_code == 2
    assert words in error_line(result)
    assert list(Path().glob("*.html")) == []


def test_without_any_run_there_is_nothing_to_report(run_sigmax: Run) -> None:
    result = run_sigmax("report", "last")
    assert result.exit_code == 2
    assert "is not known" in error_line(result)


def test_a_submission_writes_the_page_of_its_run(
    script: Script, run_submit: Run, tmp_path: Path
) -> None:
    result = run_submit("btc/usdt", "--data", "simulated", "--report", "one.html")
    assert result.exit_code == 0
    assert "one.html" in result.stderr
    assert "BTC/USDT" in (tmp_path / "one.html").read_text("utf-8")
    assert script.requests


@pytest.mark.usefixtures("script")
def test_a_submission_of_several_symbols_writes_a_folder(run_submit: Run, tmp_path: Path) -> None:
    result = run_submit("btc/usdt", "eth/usdt", "--data", "simulated", "--report", "pages")
    assert result.exit_code == 0
    names = sorted(path.name for path in (tmp_path / "pages").iterdir())
    assert len(names) == 2
    assert names[0].endswith("-BTC-USDT.html")
    assert names[1].endswith("-ETH-USDT.html")


def test_a_place_that_cannot_be_written_to_is_told_before_the_work(
    script: Script, run_submit: Run
) -> None:
    for arguments in (["--report", "missing/one.html"], ["--report", ""]):
        result = run_submit("btc/usdt", "--data", "simulated", *arguments)
        assert result.exit_code == 2
        assert "--report" in error_line(result)
    assert script.requests == []


def test_a_report_waits_for_the_decision(script: Script, run_submit: Run) -> None:
    result = run_submit("btc/usdt", "--no-wait", "--broker", "redis://h/0", "--report", "one.html")
    assert result.exit_code == 2
    assert "--report waits for the decision" in error_line(result)
    assert script.requests == []
