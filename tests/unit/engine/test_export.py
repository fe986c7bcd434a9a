"""The file of a run: whole, checked, bounded, and enough to decide again."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sigmax_tasks import run_file
from sigmax_tasks.errors import (
    ConfigurationError,
    ReplayMismatchError,
    RunFileError,
    UnknownKeyError,
)
from sigmax_tasks.models.decision import Action
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.replay import RerunState, other_versions, replay
from sigmax_tasks.run_file import dump_run_file, file_name, load_run_file, read_run_file
from tests.unit.engine.run_files import RUN_ID, make_run
from tests.unit.stages.builders import evidence, finding, outcome

REPO = Path(__file__).resolve().parents[3]
BUY_HIGHER = "decision.profiles.balanced.buy_threshold=0.9"


def rewritten(content: bytes, change: Any) -> bytes:
    """The file with something changed by somebody who makes the checksum fit."""
    tree = json.loads(content)
    change(tree["run"])
    payload = json.dumps(tree["run"], sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(payload).hexdigest()
    head = f'{{"format":"sigmax-run","schema_version":1,"sha256":"{digest}","run":'
    return head.encode() + payload + b"}\n"


def test_a_run_comes_back_as_it_was_written() -> None:
    run = make_run()
    content = dump_run_file(run)
    assert load_run_file(content, "x") == run
    assert dump_run_file(load_run_file(content, "x")) == content
    assert content.isascii() and content.count(b"\n") == 1


def test_the_checksum_can_be_checked_by_others() -> None:
    tree = json.loads(dump_run_file(make_run()))
    assert list(tree) == ["format", "schema_version", "sha256", "run"]
    assert (tree["format"], tree["schema_version"]) == ("sigmax-run", 1)
    payload = json.dumps(tree["run"], sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(payload.encode()).hexdigest() == tree["sha256"]
    assert {"python", "sigmax-tasks", "numpy"} <= tree["run"]["record"]["versions"].keys()


def test_a_changed_byte_anywhere_is_one_clear_error() -> None:
    content = dump_run_file(make_run())
    chance = random.Random(7)
    places = {0, 1, 20, 44, 60, 113, 120, len(content) - 2, len(content) - 1}
    places |= {chance.randrange(len(content)) for _ in range(300)}
    for place in places:
        for byte in {content[place] ^ 1, content[place] ^ 32, 0}:
            changed = content[:place] + bytes([byte]) + content[place + 1 :]
            if changed == content:
                continue
            with pytest.raises(RunFileError, match=r"^run\.json: \S") as caught:
                load_run_file(changed, "run.json")
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 50, 113, 5000])
def test_a_file_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(RunFileError):
        load_run_file(dump_run_file(make_run())[:length], "x")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a run"),
        (b"[]", "not a run"),
        (b"\x1f\x8b\x08", "not a run"),
        (b"[" * 100_000, "not a run"),
        (b'{"format":"other","schema_version":1}', "not a run"),
        (b'{"format": "sigmax-run", "schema_version": 2, "new": 1}', "version 2.*newer"),
        (b'{"format":"sigmax-run","schema_version":0,', "version 0.*that wrote it"),
        (b'{"format":"sigmax-run","schema_version":1,"sha256":"', "checksum"),
        (b'{\n "format": "sigmax-run",\n "schema_version": 1\n}', "checksum"),
    ],
)
def test_what_is_no_run_of_this_version_says_so(content: bytes, words: str) -> None:
    with pytest.raises(RunFileError, match=words):
        load_run_file(content, "x")


def nest(tree: dict[str, Any]) -> None:
    tree["settings"] = '{"a":' * 200 + "1" + "}" * 200


def nest_deep(tree: dict[str, Any]) -> None:
    tree["settings"] = "[" * 50_000


def wrong_type(tree: dict[str, Any]) -> None:
    tree["outcomes"] = 1


def unknown_key(tree: dict[str, Any]) -> None:
    tree["more"] = 1


def other_version(tree: dict[str, Any]) -> None:
    tree["schema_version"] = 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (nest, "settings"),
        (nest_deep, "settings"),
        (wrong_type, "outcomes"),
        (unknown_key, "more"),
        (other_version, "version 7"),
    ],
)
def test_a_file_made_by_hand_is_checked_too(change: Any, words: str) -> None:
    with pytest.raises(RunFileError, match=words):
        load_run_file(rewritten(dump_run_file(make_run()), change), "x")


def test_deep_nesting_with_a_fitting_checksum_is_refused() -> None:
    payload = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    digest = hashlib.sha256(payload).hexdigest().encode()
    content = b'{"format":"sigmax-run","schema_version":1,"sha256":"' + digest + b'","run":'
    with pytest.raises(RunFileError):
        load_run_file(content + payload + b"}\n", "x")


def test_size_is_bounded_on_the_way_in_and_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    path = tmp_path / "run.json"
    path.write_bytes(dump_run_file(run))
    monkeypatch.setattr(run_file, "MAX_FILE_BYTES", 1000)
    with pytest.raises(RunFileError, match="larger than 1,000 bytes"):
        read_run_file(str(path))
    with pytest.raises(RunFileError, match="more than 1,000"):
        dump_run_file(run)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"x" * 2000)))
    with pytest.raises(RunFileError, match="standard input: larger"):
        read_run_file("-")


def test_what_is_not_a_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer for ever
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(RunFileError, match="no such file"):
            read_run_file(str(path))


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    run = make_run()
    path = tmp_path / file_name(run)
    assert path.name == f"{RUN_ID}-BTC-USDT.json"
    run_file.write_run_file(run, path)
    run_file.write_run_file(run, path)
    assert read_run_file(str(path)) == run
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "none" / "x.json", tmp_path / "folder"):
        with pytest.raises(RunFileError, match="cannot be written"):
            run_file.write_run_file(run, place)
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, "folder"]


def test_no_password_or_key_leaves_with_the_file() -> None:
    run = make_run(source_root="http://user:hunter2@127.0.0.1:9/x")
    tree = json.loads(run.settings)
    provider = next(iter(tree["providers"].values()))
    provider["options"] = {"api_key": "plainvalue", "note": "sk-abcdef1234567890ABCDEF"}
    run = run.model_copy(update={"settings": json.dumps(tree)})
    content = dump_run_file(run)
    for secret in (b"hunter2", b"plainvalue", b"sk-abcdef"):
        assert secret not in content
    again = load_run_file(content, "x")
    assert again.request.source_root == "http://***@127.0.0.1:9/x"
    assert replay(again).identical


def test_a_run_without_secrets_is_written_as_it_is() -> None:
    run = make_run()
    written = load_run_file(dump_run_file(run), "x")
    assert written.settings == run.settings
    assert hashlib.sha256(written.settings.encode()).hexdigest() == run.record.settings_hash


def test_the_same_decision_comes_out_again() -> None:
    run = make_run()
    done = replay(load_run_file(dump_run_file(run), "x"))
    assert done.identical and done.changes == () and done.reruns == ()
    assert done.record == run.record
    done.check()


@pytest.mark.parametrize(
    "override",
    [
        BUY_HIGHER,
        "decision.debate.rounds=0",
        "profiles.balanced.min_data_sources=20",
        "decision.analysis.full_score=0.5",
    ],
)
def test_the_settings_are_those_of_the_run_and_not_of_this_machine(override: str) -> None:
    run = make_run(override)
    assert run.record.decision.decision_hash != make_run().record.decision.decision_hash
    assert replay(run).identical


def test_what_if_shows_the_difference() -> None:
    run = make_run()
    assert run.record.decision.action is Action.BUY
    done = replay(run, [BUY_HIGHER])
    assert not done.identical
    assert done.record.decision == make_run(BUY_HIGHER).record.decision
    action = next(change for change in done.changes if change.name == "action")
    assert (action.recorded, action.now) == ("BUY", "HOLD")
    done.check()
    with pytest.raises(UnknownKeyError, match="buy_treshold"):
        replay(run, ["decision.profiles.balanced.buy_treshold=1"])
    with pytest.raises(ConfigurationError, match="KEY=VALUE"):
        replay(run, ["decision"])


@pytest.mark.parametrize("key", ["providers", "retry_policy", "engine"])
def test_settings_that_no_decision_rests_on_may_be_of_any_version(key: str) -> None:
    run = make_run()
    tree = {**json.loads(run.settings), key: {"of": "another version"}}
    older = run.model_copy(update={"settings": json.dumps(tree)})
    assert replay(older).identical
    with pytest.raises(ConfigurationError, match="no decision rests on"):
        replay(older, [f"{key}.of=1"])


def test_settings_of_an_older_version_have_the_defaults_of_what_is_new() -> None:
    run = make_run()
    tree = json.loads(run.settings)
    del tree["decision"]["privacy"]
    assert replay(run.model_copy(update={"settings": json.dumps(tree)})).identical


@pytest.mark.parametrize("settings_text", ["{}", '{"decision": {"new": 1}}', '{"profiles": 1}'])
def test_settings_that_do_not_fit_are_one_clear_error(settings_text: str) -> None:
    with pytest.raises(ConfigurationError, match="settings of the run"):
        replay(make_run().model_copy(update={"settings": settings_text}))


def test_another_decision_than_recorded_is_an_error_that_says_what_and_why() -> None:
    run = make_run()
    decision = run.record.decision.model_copy(update={"score": 0.5, "decision_hash": "ab" * 32})
    versions = {**run.record.versions, "numpy": "1.0.0", "gone": "2.0"}
    record = run.record.model_copy(update={"decision": decision, "versions": versions})
    done = replay(run.model_copy(update={"record": record}))
    with pytest.raises(ReplayMismatchError) as caught:
        done.check()
    said = str(caught.value)
    assert "score 0.5, now" in said
    assert "hash abababababab..., now " in said
    assert re.search(r"numpy 1\.0\.0 \(now \d", said)
    assert "gone 2.0 (now not installed)" in said


def test_the_versions_of_here_and_now_are_no_difference() -> None:
    assert other_versions(make_run().record.versions) == ()


def test_a_debate_that_was_not_held_by_rules_is_taken_as_recorded() -> None:
    run = make_run()
    debate = run.record.decision.debate.model_copy(update={"method": "model x", "net": -0.9})
    decision = run.record.decision.model_copy(update={"debate": debate})
    record = run.record.model_copy(update={"decision": decision})
    done = replay(run.model_copy(update={"record": record}))
    assert done.record.decision.debate == debate


def states(run: Dossier, **options: Any) -> dict[str, tuple[RerunState, str]]:
    done = replay(run, from_observations=True, **options)
    assert [rerun.task_id for rerun in done.reruns] == [t.task_id for t in run.record.plan.tasks]
    return {rerun.task_id: (rerun.state, rerun.detail) for rerun in done.reruns}


def test_research_is_run_again_on_what_it_was_given() -> None:
    run = make_run()
    assert any("guaranteed return" in warning for warning in run.record.decision.risk.warnings)
    done = replay(run, from_observations=True)
    assert done.identical
    found = states(run)
    assert found["sentiment"] == found["keywords"] == (RerunState.IDENTICAL, "")
    assert found["patterns"] == (RerunState.NOT_RUN, "failed in the run: provider down")
    assert found["technical"][0] is RerunState.NOT_RUN
    assert "no observations" in found["technical"][1]


def test_research_that_comes_out_otherwise_says_how() -> None:
    run = make_run()
    sentiment = next(o for o in run.outcomes if o.task_id == "sentiment")
    assert sentiment.finding is not None
    metric = sentiment.finding.metrics[0]
    other = sentiment.finding.model_copy(
        update={
            "score": 0.99,
            "metrics": (
                metric.model_copy(update={"value": metric.value + 1}),
                *sentiment.finding.metrics[1:],
            ),
            "labels": {},
        }
    )
    run = make_run(outcomes=(sentiment.model_copy(update={"finding": other}),))
    state, detail = states(run)["sentiment"]
    assert state is RerunState.DIFFERS
    assert detail.startswith("score 0.99, now ")
    assert "1 metrics, by up to" in detail and "labels" in detail
    done = replay(run, from_observations=True)
    with pytest.raises(ReplayMismatchError, match="research of sentiment differs"):
        done.check()


def test_research_that_fails_now_says_why() -> None:
    run = make_run()
    text = run.observations["sentiment"][0]
    late = text.model_copy(
        update={"lineage": text.lineage.model_copy(update={"kind": "candles", "source": "x"})}
    )
    run = run.model_copy(update={"observations": {"sentiment": (late,)}})
    state, detail = states(run)["sentiment"]
    assert state in {RerunState.FAILED, RerunState.DIFFERS}
    assert detail


def test_a_file_cannot_choose_code_to_run() -> None:
    run = make_run()
    tasks = tuple(
        task.model_copy(update={"handler": "tests.unit.engine.run_files:news"})
        for task in run.record.plan.tasks
    )
    plan = run.record.plan.model_copy(update={"tasks": tasks})
    run = run.model_copy(update={"record": run.record.model_copy(update={"plan": plan})})
    for state, _ in states(run).values():
        assert state is RerunState.NOT_RUN
    assert "not in the configuration here" in states(run)["sentiment"][1]
    trusted = states(run, trusted_handlers={"tests.unit.engine.run_files:news"})
    assert trusted["sentiment"][0] is RerunState.FAILED


def test_secrets_of_an_older_file_do_not_come_out_of_research_that_is_run_again() -> None:
    run = make_run()
    (seen,) = run.observations["sentiment"]
    items = tuple(
        item.model_copy(update={"title": f"{item.title}: sk-abcdef1234567890ABCDEF"})
        for item in seen.data.items  # type: ignore[union-attr]
    )
    dirty = seen.model_copy(update={"data": seen.data.model_copy(update={"items": items})})
    run = run.model_copy(update={"observations": {"sentiment": (dirty,)}})
    done = replay(run, from_observations=True)
    assert "sk-abcdef" not in done.record.decision.model_dump_json()


def test_a_run_cut_short_is_decided_again_on_what_there_was() -> None:
    skipped = outcome(finding("patterns")).model_copy(
        update={"status": TaskStatus.SKIPPED, "finding": None, "reason": "over_budget"}
    )
    claim = evidence("technical", "one", "price_data")
    run = make_run(outcomes=(skipped, outcome(finding("technical", evidence_items=[claim]))))
    assert replay(run).identical


SCRIPT = """
import socket, sys
def refuse(*_):
    raise SystemExit("a socket was opened")
socket.socket.connect = socket.socket.connect_ex = refuse
from sigmax_tasks.cli.main import main
sys.argv = ["sigmax", "replay", sys.argv[1], "--json"]
try:
    main()
finally:
    heavy = ("celery", "kombu", "redis", "ccxt", "numpy", "talib", "requests", "vaderSentiment")
    print([name for name in heavy if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_the_hash_does_not_depend_on_the_process(tmp_path: Path, seed: str) -> None:
    """No order of hashing, no cluster, no network, none of the heavy libraries."""
    run = make_run()
    path = tmp_path / "run.json"
    run_file.write_run_file(run, path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": str(REPO),
            "PATH": os.environ["PATH"],
            "SIGMAX_BROKER_URL": "redis://127.0.0.1:1/0",
            "SIGMAX_DECISION__DEBATE__ROUNDS": "0",
            "HOME": str(tmp_path),
        },
    )
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert line["decision_hash"] == run.record.decision.decision_hash
    assert line["run_id"] == RUN_ID
    assert done.stderr.splitlines()[-1] == "[]"
