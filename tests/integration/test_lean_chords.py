"""Chords that the run store sends and joins, beside those of Celery, on a real Redis and worker."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import redis

from sigmax_planner.canvas import batch_chord
from sigmax_tasks.application import make_app
from sigmax_tasks.client import Client
from sigmax_tasks.errors import ClusterUnreachableError
from sigmax_tasks.lean_chords import lean_chord
from sigmax_tasks.store import RunStore
from tests.bench import shape
from tests.processes import wait_until
from tests.switches import load_settings
from tests.unit.engine.builders import runtime, task

from .conftest import Pool

MADE_ANEW = {"id", "root_id", "group", "correlation_id", "delivery_tag", "reply_to", "task_id"}


def _parts(text: str) -> tuple[dict[str, Any], dict[str, Any], list[Any], dict[str, Any]]:
    """Headers, properties, body and the rest of a message, without what differs each time."""
    content = json.loads(text)
    body = json.loads(base64.b64decode(content.pop("body")))
    headers, properties = content.pop("headers"), content.pop("properties")
    for facts in (headers, properties, body[2]["chord"]["options"]):
        for name in MADE_ANEW & set(facts):
            assert isinstance(facts.pop(name), str)
    return headers, properties, body, content


@pytest.mark.parametrize(
    ("trouble", "said"),
    [("maxmemory", "takes no writes: its memory is full"), ("away", "does not answer")],
)
def test_a_redis_that_fails_while_celery_sends_is_one_clear_error(
    make_pool: Callable[[], Pool], monkeypatch: pytest.MonkeyPatch, trouble: str, said: str
) -> None:
    pool = make_pool()
    own = redis.Redis.from_url(pool.url)
    settings = load_settings(overrides=("engine.lean_chords=false",), environ={}).settings
    create = RunStore.create

    def create_then_fail(*args: Any) -> bool:
        done = create(*args)
        if trouble == "away":
            own.shutdown(nosave=True)
        else:
            own.config_set("maxmemory", 1)
        return done

    monkeypatch.setattr(RunStore, "create", create_then_fail)
    with (
        closing(Client(settings, pool.url)) as client,
        pytest.raises(ClusterUnreachableError, match=said),
    ):
        client.submit_plan(shape.request(), shape.plan())


def test_a_message_says_what_one_of_celery_says(make_pool: Callable[[], Pool]) -> None:
    pool = make_pool()
    client = redis.Redis.from_url(pool.url, decode_responses=True)
    app = make_app(runtime(), pool.url)
    tasks = [task("technical")]
    batch_chord(app, "r1", 0, tasks).apply_async()
    (stock,) = client.lrange("sigmax.research:1", 0, -1)
    (ours,) = lean_chord("r1", 0, tasks, last=False)
    headers, properties, body, rest = _parts(ours.text)
    stock_headers, stock_properties, stock_body, stock_rest = _parts(stock)
    assert headers.pop("sigmax_joined") == 1
    assert not headers.pop("ignore_result")
    assert not stock_headers.pop("ignore_result"), "None where the task is not registered"
    # What is left out stands for None, empty or zero in a message of Celery.
    assert {name: value for name, value in stock_headers.items() if name in headers} == headers
    assert not any(value for name, value in stock_headers.items() if name not in headers)
    assert (properties, rest) == (stock_properties, stock_rest)
    assert body[:2] == stock_body[:2]
    chord, stock_chord = body[2].pop("chord"), stock_body[2].pop("chord")
    assert body[2] == stock_body[2]
    for name in ("task", "args", "kwargs", "immutable"):
        assert chord[name] == stock_chord[name]
    for name in ("queue", "priority"):
        assert chord["options"][name] == stock_chord["options"][name]
    app.close()
    client.close()


def test_runs_of_both_kinds_end_alike_on_one_worker(make_pool: Callable[[], Pool]) -> None:
    pool = make_pool()
    pool.start_worker("one", XDG_DATA_HOME=str(pool.folder))
    pool.wait_for_workers(1)
    told = {}
    for lean in ("true", "false"):
        settings = load_settings(
            overrides=(
                "debug.simulate_execution=true",
                "engine.simulated_time_scale=0.1",
                f"engine.lean_chords={lean}",
            ),
            environ={},
        ).settings
        client = Client(settings, pool.url)
        run_id = client.submit_plan(shape.request(), shape.plan()).run_id
        events = [event for event in client.follow([run_id]) if event is not None]
        record = client.record(run_id)
        assert record.research.completed == 6
        assert not record.partial
        told[lean] = sorted((event.kind, event.batch_index, event.task_id) for event in events)
        client.close()
    assert told["true"] == told["false"]
    left = redis.Redis.from_url(pool.url, decode_responses=True)
    # The last message is acknowledged behind the event that ends its run.
    rest = ("unacked", "unacked_index", "sigmax.control", "sigmax.research:1")
    wait_until(lambda: not left.exists(*rest), 30, "all is acknowledged")
    assert sum(int(each["sub"]) for each in left.client_list()) <= 2, "the worker's own mailbox"
    left.close()
