"""Faults at exact places, loaded into a worker with ``celery worker -I tests.chaos.inject``.

The key ``chaos:cell`` in Redis holds ``fault moment``: what happens where, once per run. What a
worker cannot do to itself (restart Redis, slow the network) it asks the harness for with a key.
Every execution of a research task is counted, so that work that is done twice is seen.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from kombu.transport import redis as kombu_redis

from sigmax_planner import canvas
from sigmax_tasks import channel, clock, envelope, store, tasks
from sigmax_tasks.runner import TaskRunner
from sigmax_tasks.store import RunStore

BY_HARNESS = ("restart", "full", "slow", "cut")
JUMP_SECONDS = 3600.0
JUMP_LASTS_SECONDS = 4.0
LOOK_SECONDS = 1.0
"""Freezing lasts longer; looking, at Redis itself and by no slow way, does not."""
_client = redis.Redis.from_url(os.environ["CHAOS_REDIS_URL"], decode_responses=True)
_worker_pid = os.getpid()
_jumped = threading.Event()


class JumpingClock(clock.SystemClock):
    """The machine's clock, an hour ahead while it has jumped."""

    def now(self) -> datetime:
        ahead = timedelta(seconds=JUMP_SECONDS if _jumped.is_set() else 0)
        return datetime.now(UTC) + ahead


def _jump() -> None:
    _jumped.set()
    threading.Timer(JUMP_LASTS_SECONDS, _jumped.clear).start()


def strike(fault: str, run_id: str) -> None:
    """Let the fault happen."""
    pid = os.getpid()
    if fault == "kill":  # with a pool of processes only the child
        os.kill(pid, signal.SIGKILL)
    elif fault == "kill_all":
        os.killpg(os.getpgid(_worker_pid), signal.SIGKILL)
    elif fault == "terminate":
        os.kill(_worker_pid, signal.SIGTERM)
    elif fault == "quit":
        os.kill(_worker_pid, signal.SIGQUIT)
    elif fault == "freeze":
        os.kill(pid, signal.SIGSTOP)
    elif fault == "clock":
        _jump()
    elif fault in BY_HARNESS:
        with contextlib.suppress(redis.RedisError):
            _client.set(f"chaos:{fault}", run_id, ex=600)
        time.sleep(0.5)  # until the harness has seen it


def _at(moment: str, run_id: str) -> None:
    with contextlib.suppress(redis.RedisError):
        fault, _, where = str(_client.get("chaos:cell") or "").partition(" ")
        if where == moment and _client.set(f"chaos:fired:{run_id}", moment, nx=True, ex=600):
            strike(fault, run_id)


def _wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    setattr(owner, name, wrapped)


def _work(original: Any, self: TaskRunner, run: Any, task: Any, *rest: Any) -> None:
    if task.task_id == os.environ.get("CHAOS_POISON"):
        os.kill(os.getpid(), signal.SIGKILL)
    with contextlib.suppress(redis.RedisError):
        began = time.monotonic()
        direct = RunStore(_client, self._settings.runtime)
        late = task.task_id in direct.outcome_ids(run.run_id)
        # A process that was frozen while we looked would have begun before, but for our looking.
        if late and time.monotonic() - began < LOOK_SECONDS:
            _client.hincrby(f"chaos:late:{run.run_id}", task.task_id, 1)
        _client.hincrby(f"chaos:work:{run.run_id}", task.task_id, 1)
    _at("during_task", run.run_id)
    original(self, run, task, *rest)
    with contextlib.suppress(redis.RedisError):
        _client.hincrby(f"chaos:done:{run.run_id}", task.task_id, 1)


def _run(original: Any, self: TaskRunner, run: Any, *rest: Any) -> None:
    _at("before_task", run.run_id)
    original(self, run, *rest)


def _outcome(original: Any, self: RunStore, run: Any, *rest: Any, **named: Any) -> bool:
    kept = bool(original(self, run, *rest, **named))
    _at("after_task", run.run_id)
    return kept


def _claim(original: Any, self: RunStore, run_id: str, step: int) -> bool:
    won = bool(original(self, run_id, step))
    if won and step > 0:
        _at("in_barrier", run_id)
    return won


def _send(original: Any, self: RunStore, event: Any, *rest: Any, **named: Any) -> bool:
    won = bool(original(self, event, *rest, **named))
    if won and named["claim"] and named["step"] > 0:
        _at("in_barrier", event.run_id)
    return won


def _release(original: Any, self: RunStore, run: Any, *rest: Any) -> tuple[str, ...]:
    before = self.outcome_ids(run.run_id)
    claimed = tuple(original(self, run, *rest))
    if claimed and before:
        _at("in_barrier", run.run_id)
    return claimed


def _commit(original: Any, self: RunStore, run: Any, *rest: Any) -> bool:
    _at("before_commit", run.run_id)
    won = bool(original(self, run, *rest))
    _at("after_commit", run.run_id)
    return won


def _finalize(original: Any, *args: Any, **named: Any) -> Any:
    _at("in_finaliser", args[2].run_id)
    return original(*args, **named)


def _ack(original: Any, self: Any, delivery_tag: str) -> Any:
    message = self._delivered.get(delivery_tag)
    if message is not None and message.headers.get("task") == canvas.RUN_RESEARCH:
        args, _, _ = json.loads(base64.b64decode(message._raw["body"]))
        _at("before_ack", args[0])
    return original(self, delivery_tag)


def _deliver_twice(original: Any, self: Any, key: Any, raw: Any) -> Any:
    """Every message that is taken is put back once more, as a broker may do."""
    name, content = original(self, key, raw)
    if content is not None and _client.get("chaos:cell") == "duplicate always":
        with contextlib.suppress(redis.RedisError):
            mark = json.loads(raw)["properties"]["delivery_tag"]
            if _client.set(f"chaos:twice:{mark}", 1, nx=True, ex=600):
                _client.rpush(key, raw)
    return name, content


_wrap(TaskRunner, "run", _run)
_wrap(TaskRunner, "_work", _work)
_wrap(RunStore, "record_outcome", _outcome)
_wrap(RunStore, "claim_step", _claim)
_wrap(RunStore, "claim_tasks", _release)
_wrap(RunStore, "send_batch", _send)
_wrap(RunStore, "commit", _commit)
_wrap(tasks, "conclude", _finalize)
_wrap(channel.QoS, "ack", _ack)
_wrap(channel.Channel, "_admitted", _deliver_twice)
clock._clock = JumpingClock()
_wrap(kombu_redis, "time", lambda original: original() + _jumped.is_set() * JUMP_SECONDS)
if "CHAOS_PROTOCOL" in os.environ:
    # A worker as it would be of an older version.
    for module in (canvas, envelope, store):
        module.PROTOCOL_VERSION = int(os.environ["CHAOS_PROTOCOL"])
