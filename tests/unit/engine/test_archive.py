"""Finished runs of the embedded cluster: whole or not at all, bounded in number."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigmax_tasks.archive import RunArchive
from sigmax_tasks.errors import ConfigurationError, RunNotFoundError
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.places import data_folder
from tests.unit.report.builders import make_dossier, make_record


def numbered(number: int) -> Dossier:
    run_id = f"20250314-12000{number}-0000000{number}"
    return make_dossier(make_record().model_copy(update={"run_id": run_id}))


def test_a_dossier_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    archive = RunArchive(tmp_path / "runs")
    saved = numbered(1)
    archive.save(saved)
    assert archive.dossier(saved.record.run_id) == saved
    assert archive.load(saved.record.run_id) == saved.record
    assert (tmp_path / "runs").stat().st_mode & 0o077 == 0, "private to its user"
    kept = list((tmp_path / "runs").iterdir())
    assert [file.stat().st_mode & 0o777 for file in kept] == [0o600, 0o600]


def test_the_oldest_runs_go_first(tmp_path: Path) -> None:
    archive = RunArchive(tmp_path, keep=2)
    for number in (1, 2, 3):
        archive.save(numbered(number))
    assert archive.ids() == ("20250314-120003-00000003", "20250314-120002-00000002")
    assert len(list(tmp_path.iterdir())) == 4, "no file of an old run, no temporary file"
    with pytest.raises(RunNotFoundError):
        archive.load("20250314-120001-00000001")


@pytest.mark.parametrize("content", [b"", b"{", b"\x1f\x8b broken", b"[1, 2]"])
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    archive = RunArchive(tmp_path)
    archive.save(numbered(1))
    for path in tmp_path.iterdir():
        path.write_bytes(content)
    for read in (archive.load, archive.dossier):
        with pytest.raises(ConfigurationError, match="damaged"):
            read("20250314-120001-00000001")


def test_an_id_that_is_none_never_becomes_a_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="invalid run id"):
        RunArchive(tmp_path).load("../../etc/passwd")


def test_the_data_folder_follows_the_xdg_rules(tmp_path: Path) -> None:
    assert data_folder({"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "sigmax"
    assert data_folder({}) == Path.home() / ".local" / "share" / "sigmax"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        RunArchive(tmp_path / "file" / "runs").prepare()


def test_the_data_folder_is_its_users_alone_from_the_top(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "sigmax" / "runs"
    RunArchive(folder).prepare()
    made = (folder, folder.parent, folder.parent.parent)
    assert [place.stat().st_mode & 0o777 for place in made] == [0o700] * 3
