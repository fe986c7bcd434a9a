"""Malformed messages by the thousand into each queue of live workers: none dies, all are counted.

``python -m tests.chaos.fuzz_messages 10000 [SEED]`` from the root of the repository.
"""

from __future__ import annotations

import base64
import contextlib
import json
import pickle
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from sigmax_planner.canvas import (
    CLOSE_BATCH,
    CONTROL_QUEUE,
    FINALIZE_RUN,
    KICK_RUN,
    PRIORITY_STEPS,
    PROTOCOL_HEADER,
    PROTOCOL_VERSION,
    RESEARCH_QUEUE,
    RUN_RESEARCH,
)
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.refusals import PARKED_KEY, REFUSED_KEY
from tests.processes import await_workers, free_port, processes, redis_url, wait_until
from tests.switches import load_settings

QUEUES = tuple(
    tuple(f"{queue}:{priority}" if priority else queue for priority in PRIORITY_STEPS)
    for queue in (CONTROL_QUEUE, RESEARCH_QUEUE)
)
RUN = "20250314-120000-0000000a"
JUNK: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, 10**40, "", "x" * 300, "\u0000", [], [[]], {}, {"a": {}}),
    *({"__type__": "datetime", "__value__": "never"}, [None] * 20, "../../etc", "%s%n"),
)
Make = Callable[[random.Random], bytes]


def message(task: str = CLOSE_BATCH, args: Any = (RUN, 0), **headers: Any) -> dict[str, Any]:
    """A sound message in the form that kombu puts into a list."""
    body = base64.b64encode(json.dumps([args, {}, {}]).encode()).decode()
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


def _dump(content: Any) -> bytes:
    return json.dumps(content).encode()


def _noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(400))


def _cut(rng: random.Random) -> bytes:
    whole = _dump(message())
    return whole[: rng.randrange(len(whole))]


def _flipped(rng: random.Random) -> bytes:
    """Bytes of the structure are damaged; damage inside an id could leave a sound message."""
    whole = bytearray(_dump(message()))
    for _ in range(3):
        at = rng.choice([i for i, byte in enumerate(whole) if byte in b'{}[]":,'])
        whole[at] = rng.choice(b"\x00\xff@")
    return bytes(whole)


def _deep(rng: random.Random) -> bytes:
    return rng.choice((b"[", b'{"a":')) * rng.randrange(1_000, 20_000)


def _missing_part(rng: random.Random) -> bytes:
    content = message()
    del content[rng.choice(("body", "headers", "properties", "content-type", "content-encoding"))]
    return _dump(content)


def _missing_field(rng: random.Random) -> bytes:
    content = message()
    part, key = rng.choice(
        (
            *(("headers", "task"), ("headers", "id"), ("properties", "delivery_tag")),
            *(("properties", "delivery_info"), ("properties", "body_encoding")),
        )
    )
    del content[part][key]
    return _dump(content)


def _wrong_field(rng: random.Random) -> bytes:
    wrong: dict[str, Any] = {
        "task": rng.choice((None, 7, [], {})),
        "id": rng.choice((None, 7, [], {}, "")),
        "timelimit": rng.choice(("soon", [1], [1, 2, 3], {"a": 1})),
        "eta": rng.choice(("2999-01-01T00:00:00Z", 5, [], "never")),
        "expires": rng.choice((7, [], {})),
        "retries": rng.choice(("many", [], {})),
        "group_index": rng.choice(("x", [])),
        "compression": rng.choice(("zlib", "bzip2", "none")),
        "stamped_headers": rng.choice(("x", 1)),
        PROTOCOL_HEADER: rng.choice((None, "2", -1, 0, [], 1.5)),
    }
    key = rng.choice(tuple(wrong))
    return _dump(message(**{key: wrong[key]}))


def _wrong_part(rng: random.Random) -> bytes:
    content = message()
    content[rng.choice(("headers", "properties"))] = rng.choice(JUNK[:8])
    return _dump(content)


def _wrong_body(rng: random.Random) -> bytes:
    content = message()
    bodies = (b"", b"[", b"[[],{}]", b"[1,2,3]", b"{}", b"\xff", b"[" * 5_000, b"null")
    content["body"] = rng.choice(("%%%", 5, base64.b64encode(rng.choice(bodies)).decode()))
    return _dump(content)


def _wrong_arguments(rng: random.Random) -> bytes:
    task = rng.choice((RUN_RESEARCH, CLOSE_BATCH, KICK_RUN, FINALIZE_RUN))
    args = rng.choice(([], [rng.choice(JUNK)], [RUN, rng.choice(JUNK[6:])], [RUN, 0, 0, 0]))
    if task == FINALIZE_RUN and args and args[0] == RUN:
        args = [RUN, {}]
    return _dump(message(task, args))


def _unknown_task(rng: random.Random) -> bytes:
    return _dump(message(rng.choice(("os.system", "sigmax.no_such", "", "a.b" * 30, "celery"))))


def _pickled(rng: random.Random) -> bytes:
    content = message()
    # Opening it would end the worker.
    content["body"] = base64.b64encode(pickle.dumps(_Bomb())).decode()
    content["content-type"] = "application/x-python-serialize"
    content["content-encoding"] = "binary"
    return _dump(content)


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (__import__("os")._exit, (66,))


def _other_serializer(rng: random.Random) -> bytes:
    content = message()
    content["content-type"] = rng.choice(("application/x-yaml", "text/plain", "", None, 5, []))
    return _dump(content)


def _oversized(rng: random.Random) -> bytes:
    return b'{"body": "' + b"x" * (140_000 + rng.randrange(100_000)) + b'"}'


def _newer(rng: random.Random) -> bytes:
    version = PROTOCOL_VERSION + rng.randrange(1, 9)
    # Old enough to be given up, so that it is counted once.
    return _dump(message(**{PROTOCOL_HEADER: version, "sigmax_parked_at": 1.0}))


MAKERS: tuple[Make, ...] = (
    *(_noise, _cut, _flipped, _deep, _missing_part, _missing_field, _wrong_field, _wrong_part),
    *(_wrong_body, _wrong_arguments, _unknown_task, _pickled, _other_serializer),
    *(_oversized, _newer),
)


def fuzz(count: int, seed: int = 7, workers: int = 2, say: Callable[[str], None] = print) -> bool:
    """Push ``count`` messages into each queue, over its lists; whether all is as it should be."""
    rng = random.Random(seed)
    names: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="sigmax-fuzz-") as name, processes() as started:
        folder, port = Path(name), free_port()
        url = redis_url(port)
        started.start_redis(port, folder)
        pool = [
            started.start_worker(url, f"fuzz{number}@here", folder, "-c", "4", environ={})
            for number in range(workers)
        ]
        await_workers(url, workers)
        began = time.monotonic()
        with contextlib.closing(redis.Redis.from_url(url, decode_responses=True)) as client:
            for lists in QUEUES:
                for first in range(0, count, 500):
                    with client.pipeline(transaction=False) as pipe:
                        for make in rng.choices(MAKERS, k=min(500, count - first)):
                            names[make.__name__.strip("_")] += 1
                            pipe.lpush(rng.choice(lists), make(rng))
                        pipe.execute()
            wait_until(
                lambda: not any(client.llen(name) for lists in QUEUES for name in lists),
                600,
                "an empty queue",
            )
            # And into the channel of remote control, which each worker hears.
            wait_until(client.pubsub_numpat, 60, "remote control")
            heard = [
                *(_noise, _cut, _flipped, _deep, _missing_part, _wrong_part, _pickled),
                *(_other_serializer, _oversized),
            ]
            for make in rng.choices(heard, k=min(count, 200)):
                names["control"] += client.publish("/0.celery.pidbox", make(rng))
            sent = sum(names.values())

            def counted() -> int:
                return sum(int(value) for value in client.hvals(REFUSED_KEY))

            with contextlib.suppress(AssertionError):
                wait_until(lambda: counted() >= sent, 30, "all counted")
            by_reason = client.hgetall(REFUSED_KEY)
            seconds = time.monotonic() - began
            dead = [process.pid for process in pool if process.poll() is not None]

            def standing() -> set[str]:
                return {
                    key
                    for key in client.keys("*")
                    if not key.startswith((REFUSED_KEY, "sigmax:worker", "sigmax:watch"))
                    and not key.startswith("_kombu.binding")
                }

            with contextlib.suppress(AssertionError):  # a message is counted before it is let go
                wait_until(lambda: not standing() - {PARKED_KEY}, 10, "nothing left")
            left = standing()
            works = _one_run_works(url)
    say(f"{sent} messages into {len(QUEUES)} queues in {seconds:.0f} s, seed {seed}")
    say("sent    " + ", ".join(f"{many} {kind}" for kind, many in sorted(names.items())))
    say("counted " + ", ".join(f"{many} {reason}" for reason, many in sorted(by_reason.items())))
    total = sum(int(value) for value in by_reason.values())
    say(f"refused {total} of {sent}, workers dead {len(dead)} of {workers}, keys left {len(left)}")
    say("keys left: " + ", ".join(sorted(left)[:20]))
    say(f"a run afterwards: {'one decision' if works else 'NO DECISION'}")
    return total == sent and not dead and not left - {PARKED_KEY} and works


def _one_run_works(url: str) -> bool:
    from sigmax_planner.models import AnalysisRequest, DataMode
    from sigmax_tasks.client import Client

    overrides = ("debug.simulate_execution=true", "engine.simulated_time_scale=0.001")
    settings = load_settings(shipped_folder(), overrides, {}).settings
    request = AnalysisRequest(
        symbol="BTC/USDT",
        risk_profile="balanced",
        data_mode=DataMode.SIMULATED,
        as_of=settings.runtime.simulator.as_of,
        seed=1,
        source_root="http://127.0.0.1:9",
        deadline_seconds=30,
    )
    with contextlib.closing(Client(settings, url)) as client:
        run = client.submit(request)
        for _ in client.follow([run.run_id]):
            pass
        research = client.record(run.run_id).research
        return research.completed == research.total_tasks


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(0 if fuzz(*(numbers or [10_000])) else 1)
