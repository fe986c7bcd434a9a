"""A debate by a model on real processes, with a model on loopback; and killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sigmax_tasks.simulator.server import SimulatorServer
from tests.chat_server import ChatServer, chat_server, is_rebuttal, sensible

from .conftest import Pool
from .test_main_job import SIGMAX, run_cli

pytestmark = pytest.mark.integration


@pytest.fixture
def model() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


def with_model(server: ChatServer, *more: str) -> list[str]:
    values = ("method=llm", f"llm.base_url={server.url}", "llm.model=test-model", *more)
    return [part for value in values for part in ("--set", f"decision.debate.{value}")]


def test_a_debate_by_a_model_and_its_replay_without_it(tmp_path: Path, model: ChatServer) -> None:
    file = tmp_path / "run.json"
    prices = ("llm.input_usd_per_million_tokens=2", "llm.api_key_env=KEY_OF_THE_TEST")
    done = run_cli(
        *("BTC/USDT", "--data", "simulated", "--json", "--export", str(file)),
        *with_model(model, *prices),
        home=tmp_path,
        KEY_OF_THE_TEST="sk-secret-of-the-test-0123456789",
    )
    assert done.returncode in {0, 3}, done.stderr
    line = json.loads(done.stdout)
    assert line["debate"]["method"] == "llm", line["debate"]["llm"]
    assert len(line["debate"]["llm"]["claims"]) == 6
    assert line["cost"]["actual_usd"] == line["cost"]["llm_usd"] == 0.01
    assert model.headers[0]["Authorization"].endswith("sk-secret-of-the-test-0123456789")
    assert "sk-secret" not in file.read_text() + done.stdout + done.stderr
    model.stop()
    again = run_cli("replay", str(file), "--json", home=tmp_path, program=SIGMAX)
    assert again.returncode == done.returncode, again.stderr
    assert json.loads(again.stdout)["decision_hash"] == line["decision_hash"]


def test_a_missing_key_is_an_error_before_anything_runs(tmp_path: Path, model: ChatServer) -> None:
    done = run_cli(
        *("BTC/USDT", "--data", "simulated", *with_model(model, "llm.api_key_env=NO_SUCH_KEY")),
        home=tmp_path,
    )
    assert done.returncode == 2
    assert "NO_SUCH_KEY is not set" in done.stderr
    assert model.requests == []


def test_a_model_that_dies_in_the_middle_leaves_the_debate_to_the_rules(
    shared_pool: Pool, simulator: SimulatorServer, tmp_path: Path, model: ChatServer
) -> None:
    def say(body):
        if is_rebuttal(body):
            threading.Thread(target=model.stop).start()
            raise ConnectionAbortedError  # the connection ends without an answer
        return sensible(body)

    model.say = say
    done = run_cli(
        *("BTC/USDT", "--data", "simulated", "--json", "--deadline", "30", *with_model(model)),
        *("--broker", shared_pool.url),
        home=tmp_path,
        SIGMAX_SIMULATOR_URL=simulator.url,
    )
    line = json.loads(done.stdout)
    assert done.returncode in {0, 3}, done.stderr
    assert line["debate"]["method"] == "rules"
    assert "connection" in line["debate"]["llm"]["fallback"]
    assert any("debate held by rules in place of test-model" in r for r in line["reasons"])
    assert line["research"]["duration_seconds"] < 30


def test_a_worker_killed_in_the_middle_of_a_debate_is_replaced_and_no_answer_paid_twice(
    make_pool: Callable[[], Pool], simulator: SimulatorServer, tmp_path: Path, model: ChatServer
) -> None:
    pool = make_pool()
    quick = {"SIGMAX_ENGINE__LEASE_SECONDS": "1", "SIGMAX_ENGINE__SWEEP_INTERVAL_SECONDS": "0.3"}
    first = pool.start_worker("one", **quick)
    pool.wait_for_workers(1)
    at_the_judge, killed = threading.Event(), threading.Event()

    def say(body):
        if "You are the judge" in body["messages"][0]["content"] and not killed.is_set():
            at_the_judge.set()
            killed.wait(60)
        return sensible(body)

    model.say = say
    ends: list[object] = []

    def submit() -> None:
        ends.append(
            run_cli(
                *("BTC/USDT", "--broker", pool.url, "--data", "simulated", "--json"),
                *("--deadline", "40", *with_model(model)),
                *("--set", "engine.lease_seconds=1", "--set", "engine.sweep_interval_seconds=0.3"),
                home=tmp_path,
                SIGMAX_SIMULATOR_URL=simulator.url,
            )
        )

    command = threading.Thread(target=submit)
    command.start()
    assert at_the_judge.wait(60)
    os.killpg(first.pid, signal.SIGKILL)
    killed.set()
    pool.start_worker("two", **quick)
    command.join(90)
    (done,) = ends
    line = json.loads(done.stdout)
    assert line["debate"]["method"] == "llm", line["debate"]["llm"]
    # Two openings, two rebuttals, and the question to the judge that was cut off, once more.
    assert len(model.requests) == 6
    assert line["research"]["duration_seconds"] < 40
