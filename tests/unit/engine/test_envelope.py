"""Messages a worker may read, and those it must refuse."""

from __future__ import annotations

import base64
import json
import pickle
from typing import Any

import fakeredis
import pytest
import redis
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st

from sigmax_planner.canvas import (
    CLOSE_BATCH,
    EVALUATE_CHUNK,
    FINALIZE_RUN,
    PROTOCOL_HEADER,
    PROTOCOL_VERSION,
    RUN_RESEARCH,
    batch_chord,
    chunk_signature,
    control_signature,
)
from sigmax_tasks import clock
from sigmax_tasks.envelope import Refusal, examine, protocol_of
from sigmax_tasks.intake import PARK_LIFE_SECONDS, PARK_SECONDS, Intake
from sigmax_tasks.refusals import count_refused, refused, unpark

from .builders import open_run

MOST = 131_072
RUN = "20250314-120000-0000000a"
KNOWN = frozenset(
    {RUN_RESEARCH, CLOSE_BATCH, FINALIZE_RUN, EVALUATE_CHUNK, "celery.backend_cleanup"}
)


def message(
    task: str = CLOSE_BATCH, args: Any = (RUN, 0), kwargs: Any = None, **headers: Any
) -> dict[str, Any]:
    """A message as kombu writes it into a list."""
    body = base64.b64encode(json.dumps([args, kwargs or {}, {}]).encode()).decode()
    return {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": task, "id": "an-id", PROTOCOL_HEADER: PROTOCOL_VERSION, **headers},
        "properties": {
            "delivery_tag": "a-tag",
            "delivery_info": {"exchange": "", "routing_key": "sigmax.control"},
            "body_encoding": "base64",
        },
    }


def verdict(content: Any) -> str | None:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    refusal = examine(raw, max_bytes=MOST, known_tasks=KNOWN)
    return refusal.reason if isinstance(refusal, Refusal) else None


def without(key: str, inner: str | None = None) -> dict[str, Any]:
    content = message()
    del (content if inner is None else content[inner])[key]
    return content


def test_our_own_messages_are_read() -> None:
    """Those that Celery makes of our signatures, not a copy of their form."""
    app = Celery("test", broker="memory://", backend="cache+memory://")
    run = open_run()
    with app.connection() as connection:
        seen: list[bytes] = []
        channel = connection.default_channel
        channel._put = lambda queue, raw, **_: seen.append(json.dumps(raw).encode())
        control_signature(app, CLOSE_BATCH, run.run_id, 0).apply_async(connection=connection)
        control_signature(app, FINALIZE_RUN, run.run_id, "why").apply_async(connection=connection)
        chunk = chunk_signature(app, "0123456789abcdef", 17)
        chunk.apply_async(connection=connection, ignore_result=True)
        chord = batch_chord(app, run.run_id, 0, run.plan.tasks[:1])
        for header in chord.tasks:
            header.apply_async(connection=connection, chord=chord.body)
    assert len(seen) == 4
    for raw in seen:
        assert examine(raw, max_bytes=MOST, known_tasks=KNOWN) == json.loads(raw)
        assert protocol_of(json.loads(raw)["headers"]) == PROTOCOL_VERSION
    assert max(map(len, seen)) < 4_000


def test_a_message_without_a_version_is_of_the_version_before() -> None:
    assert protocol_of({}) == PROTOCOL_VERSION - 1
    assert verdict(without(PROTOCOL_HEADER, "headers")) is None
    assert verdict(message(**{PROTOCOL_HEADER: PROTOCOL_VERSION - 1})) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "malformed"),
        (b"not json", "malformed"),
        (b"\xff\xfe\x00", "malformed"),
        (b"[" * 60_000, "malformed"),
        (b'{"a":' * 20_000, "malformed"),
        (b"null", "malformed"),
        ([1, 2], "malformed"),
        (b'{"__type__": "datetime", "__value__": "never"}', "malformed"),
        (b'{"body": NaN}', "malformed"),
        (b"1" * 5_000, "malformed"),
        (without("properties"), "malformed"),
        (without("headers"), "malformed"),
        (without("delivery_tag", "properties"), "malformed"),
        (without("delivery_info", "properties"), "malformed"),
        (without("task", "headers"), "malformed"),
        (without("id", "headers"), "malformed"),
        (message(id=None), "malformed"),
        (message(timelimit=[1, 2, 3]), "malformed"),
        (message(timelimit="soon"), "malformed"),
        (message(eta="2999-01-01T00:00:00+00:00"), "malformed"),
        (message(retries="many"), "malformed"),
        (message(compression="zlib"), "malformed"),
        (message(**{PROTOCOL_HEADER: "2"}), "malformed"),
        ({**message(), "body": "%%%"}, "malformed"),
        ({**message(), "body": base64.b64encode(b"[1]").decode()}, "malformed"),
        ({**message(), "body": base64.b64encode(b"[" * 50_000).decode()}, "malformed"),
        ({**message(), "content-type": "application/x-python-serialize"}, "wrong_serializer"),
        ({**message(), "content-type": "application/x-yaml"}, "wrong_serializer"),
        (without("content-type"), "wrong_serializer"),
        (message(task="os.system"), "unknown_task"),
        (message(args=[RUN]), "bad_arguments"),
        (message(args=[RUN, -1]), "bad_arguments"),
        (message(args=[RUN, True]), "bad_arguments"),
        (message(args=["../../x", 0]), "bad_arguments"),
        (message(args=[{}, 0]), "bad_arguments"),
        (message(kwargs={"x": 1}), "bad_arguments"),
        (message(RUN_RESEARCH, [RUN, "no:such*"]), "bad_arguments"),
        (message(FINALIZE_RUN, [RUN, "x" * 501]), "bad_arguments"),
        (message(EVALUATE_CHUNK, ["0123456789abcdef", -1]), "bad_arguments"),
        (message(EVALUATE_CHUNK, ["sigmax:*", 1]), "bad_arguments"),
        (message(EVALUATE_CHUNK, [RUN, 1]), "bad_arguments"),
        (message(**{PROTOCOL_HEADER: PROTOCOL_VERSION + 1}), "newer"),
        (message(task="sigmax.of_tomorrow", **{PROTOCOL_HEADER: PROTOCOL_VERSION + 1}), "newer"),
        (b'"' + b"x" * MOST + b'"', "oversized"),
    ],
)
def test_what_cannot_or_must_not_be_read_is_refused(content: Any, reason: str) -> None:
    assert verdict(content) == reason


def test_a_pickle_is_not_opened() -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("it was opened",))

    content = message()
    content["body"] = base64.b64encode(pickle.dumps(Trap())).decode()
    content["content-type"] = "application/x-python-serialize"
    content["content-encoding"] = "binary"
    assert verdict(content) == "wrong_serializer"
    content["content-type"], content["content-encoding"] = "application/json", "utf-8"
    assert verdict(content) == "malformed"


@given(st.binary(max_size=300))
def test_no_bytes_raise(raw: bytes) -> None:
    assert isinstance(examine(raw, max_bytes=MOST, known_tasks=KNOWN), Refusal)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    st.sampled_from(["body", "headers", "properties", "content-type"]),
    st.sampled_from(["task", "id", "timelimit", "delivery_tag", "delivery_info", "expires", ""]),
    JSON,
)
def test_no_damage_raises(part: str, key: str, value: Any) -> None:
    content = message()
    if key and isinstance(content[part], dict):
        content[part][key] = value
    else:
        content[part] = value
    verdict(content)


@pytest.fixture
def client() -> redis.Redis:
    return fakeredis.FakeRedis(decode_responses=True)


class Connection:
    """What the intake gets a client from."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client

    def __call__(self) -> Connection:
        return self

    def __enter__(self) -> redis.Redis:
        return self.client

    def __exit__(self, *_: object) -> None:
        return None


def test_refused_messages_are_counted_by_reason_and_not_kept(client: redis.Redis) -> None:
    intake = Intake(KNOWN, MOST)
    door = Connection(client)
    good = json.dumps(message()).encode()
    assert intake.admit("sigmax.control", good, door)
    for raw in (b"x", b"y", b"z" * (MOST + 1)):
        assert not intake.admit("sigmax.control", raw, door)
    assert refused(client) == {"malformed": 2, "oversized": 1}
    assert client.keys("*") == ["sigmax:refused"]
    assert client.ttl("sigmax:refused") > 0


def test_what_could_not_be_counted_is_counted_later(client: redis.Redis) -> None:
    class Full(Connection):
        def __enter__(self) -> redis.Redis:
            raise redis.ResponseError("OOM command not allowed")

    intake = Intake(KNOWN, MOST)
    assert not intake.admit("sigmax.control", b"x", Full(client))
    assert not intake.admit("sigmax.control", b"y", Full(client))
    assert not intake.admit("sigmax.control", b"z" * (MOST + 1), Connection(client))
    assert refused(client) == {"malformed": 2, "oversized": 1}


def test_a_message_of_a_newer_version_is_offered_again_until_it_is_too_old(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake, door = Intake(KNOWN, MOST), Connection(client)
    newer = json.dumps(message(**{PROTOCOL_HEADER: PROTOCOL_VERSION + 1})).encode()
    now = clock.now().timestamp()
    assert not intake.admit("sigmax.control:3", newer, door)
    assert unpark(client, now) == 0, "not at once: it would go round in circles"
    assert unpark(client, now + PARK_SECONDS + 1) == 1
    raw = client.rpop("sigmax.control:3")
    content = json.loads(raw)
    del content["headers"]["sigmax_parked_at"]
    assert content == json.loads(newer)

    old = json.loads(raw)
    old["headers"]["sigmax_parked_at"] = now - PARK_LIFE_SECONDS - 1
    assert not intake.admit("sigmax.control:3", json.dumps(old).encode(), door)
    assert unpark(client, now + 100) == 0
    assert refused(client) == {"newer": 2}


def test_counts_can_be_added_at_once(client: redis.Redis) -> None:
    assert count_refused(client, "malformed", 5) == 5
    assert count_refused(client, "malformed") == 6


def test_remote_control_and_its_answers_are_read_and_junk_is_not(client: redis.Redis) -> None:
    order = message()
    order["headers"] = {"clock": 1}
    body = {"method": "ping", "arguments": {}, "destination": None}
    order["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    raw = json.dumps(order).encode()
    intake, door = Intake(KNOWN, MOST), Connection(client)
    assert intake.admit("/0.celery.pidbox", raw, door)
    assert not intake.admit("sigmax.control", raw, door), "it names no task"
    list_body = base64.b64encode(b"[[], {}, {}]").decode()
    answer = json.dumps({**order, "body": list_body}).encode()
    assert intake.admit("an-oid.reply.celery.pidbox", answer, door)
    assert not intake.admit("/0.celery.pidbox", answer, door), "an order is an object"
    assert intake.admit("/0.celeryev/worker.online", answer, door), "an event, as gossip hears"
    for damage in ({"body": 5}, {"properties": {}}, {"headers": []}, {"content-type": "x"}):
        damaged = json.dumps({**order, **damage}).encode()
        assert not intake.admit("/0.celery.pidbox", damaged, door), damage
