"""Faults at exact places, loaded into a worker with ``celery worker -I tests.chaos.inject``.

``CHAOS_MOMENT`` names the place, ``CHAOS_FAULT`` what happens there, once per run: a key in Redis
remembers that it has. Every execution of a research task is counted, so that the tests can tell
work that was done twice.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import redis

from sigmax_tasks import tasks
from sigmax_tasks.runner import TaskRunner
from sigmax_tasks.store import RunStore

MOMENT = os.environ.get("CHAOS_MOMENT", "")
FAULT = os.environ.get("CHAOS_FAULT", "")
_client = redis.Redis.from_url(os.environ["SIGMAX_BROKER_URL"], decode_responses=True)


def _first(run_id: str) -> bool:
    return bool(_client.set(f"chaos:fired:{run_id}", MOMENT, nx=True, ex=600))


def strike(run_id: str) -> None:
    """Let the fault happen, once per run."""
    with contextlib.suppress(redis.RedisError):
        if not _first(run_id):
            return
    if FAULT == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif FAULT == "terminate":
        os.kill(os.getpid(), signal.SIGTERM)
    elif FAULT == "quit":
        os.kill(os.getpid(), signal.SIGQUIT)
    elif FAULT == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif FAULT == "cut":
        with contextlib.suppress(redis.RedisError):
            _client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    elif FAULT == "restart":
        with contextlib.suppress(redis.RedisError):
            _client.set("chaos:restart", run_id, ex=600)
        time.sleep(1.0)


def _at(moment: str, run_id: str) -> None:
    if moment == MOMENT:
        strike(run_id)


def _wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    setattr(owner, name, wrapped)


def _work(original: Any, self: TaskRunner, run: Any, task: Any, *rest: Any) -> None:
    _at("during_task", run.run_id)
    with contextlib.suppress(redis.RedisError):
        if self._store.has_outcome(run.run_id, task.task_id):
            _client.hincrby(f"chaos:late:{run.run_id}", task.task_id, 1)
        _client.hincrby(f"chaos:work:{run.run_id}", task.task_id, 1)
    original(self, run, task, *rest)


def _run(original: Any, self: TaskRunner, run: Any, *rest: Any) -> None:
    _at("before_task", run.run_id)
    original(self, run, *rest)


def _outcome(original: Any, self: RunStore, run: Any, *rest: Any) -> bool:
    kept = bool(original(self, run, *rest))
    _at("after_task", run.run_id)
    return kept


def _claim(original: Any, self: RunStore, run_id: str, step: int) -> bool:
    won = bool(original(self, run_id, step))
    if won and step > 0:
        _at("in_barrier", run_id)
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


def _send(original: Any, self: RunStore, event: Any, letters: Any, **step: Any) -> bool:
    won = bool(original(self, event, letters, **step))
    if won and step["claim"] and step["step"] > 0:
        _at("in_barrier", event.run_id)
    return won


def _finalize(original: Any, *args: Any, **limits: Any) -> Any:
    _at("in_finaliser", args[2].run_id)
    return original(*args, **limits)


_wrap(TaskRunner, "run", _run)
_wrap(TaskRunner, "_work", _work)
_wrap(RunStore, "record_outcome", _outcome)
_wrap(RunStore, "claim_step", _claim)
_wrap(RunStore, "claim_tasks", _release)
_wrap(RunStore, "send_batch", _send)
_wrap(RunStore, "commit", _commit)
_wrap(tasks, "conclude", _finalize)
