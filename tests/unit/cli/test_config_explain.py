"""``sigmax config explain`` and the documentation of every key."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from sigmax_tasks.cli.main import sigmax
from sigmax_tasks.settings.documentation import KeyNote, key_notes

NAMED = (
    "chains.",
    "coin_ids.",
    "priorities.rules.",
    "protocols.",
    "providers.",
    "quote_alternatives.",
    "series.",
    "data_sources.",
    "decision.",
)
"""Below these stand entries of one kind under names of their own, documented once."""


@pytest.fixture(scope="module")
def notes() -> dict[str, KeyNote]:
    return {note.key: note for note in key_notes()}


def test_every_key_of_every_file_is_documented_in_place(notes: dict[str, KeyNote]) -> None:
    sections = {key.rpartition(".")[0] for key in notes}
    leaves = [note for key, note in notes.items() if key not in sections]
    assert len(leaves) > 500
    assert [note.key for note in leaves if not note.comment] == []
    vague = [n.key for n in leaves if not n.own and not n.key.startswith(NAMED)]
    assert vague == [], "only the section around them is documented"


def explain(*arguments: str, **environ: str):
    return CliRunner().invoke(sigmax, ["config", "explain", *arguments], env=environ)


def test_a_key_is_explained_with_its_value_and_how_to_set_it() -> None:
    result = explain("engine.lease_seconds", "--json", SIGMAX_ENGINE__LEASE_SECONDS="9")
    found = json.loads(result.stdout)
    assert found["documentation"].startswith("Seconds a claim on a running task lasts")
    assert found["type"] == "number, above 0.5"
    assert found["default"] == {"engine.lease_seconds": 6}
    origin = "environment SIGMAX_ENGINE__LEASE_SECONDS"
    assert found["values"] == {"engine.lease_seconds": {"value": 9, "origin": origin}}
    assert found["environment"] == "SIGMAX_ENGINE__LEASE_SECONDS"
    assert found["place"].startswith("runtime.yaml, line ")
    lines = explain("engine.lease_seconds").stdout.splitlines()
    assert lines[0] == "engine.lease_seconds"
    assert "  default     6" in lines


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("planning.enable_parallel_tasks", "true or false"),
        ("worker.pool", "one of threads, prefork, solo, gevent"),
        ("retention.run_hours", "number"),
        ("decision", "section"),
    ],
)
def test_types_are_told_in_words(key: str, kind: str) -> None:
    assert json.loads(explain(key, "--json").stdout)["type"].startswith(kind)


def test_a_secret_is_not_shown_and_an_unknown_key_names_the_nearest() -> None:
    shown = explain("broker.url", SIGMAX_BROKER_URL="redis://:hunter2@host/0")
    assert shown.exit_code == 0
    assert "hunter2" not in shown.output
    assert "SIGMAX_BROKER_URL" in shown.stdout
    unknown = explain("engin.lease_seconds")
    assert unknown.exit_code == 2
    assert "did you mean 'engine.lease_seconds'" in unknown.stderr
