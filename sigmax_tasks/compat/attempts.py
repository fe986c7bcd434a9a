"""Runs one registered handler: attempts, waits and the time limit. Failure is a value."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from sigmax_planner.models import ResearchTask
from sigmax_tasks.errors import (
    ConfigurationError,
    PermanentSourceError,
    SigmaxError,
    TaskTimeoutError,
)

logger = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[ResearchTask, dict[str, Any]], Any]
"""``handler(task, context)``, plain or async; what it returns is the result of the task."""

PERMANENT = (ConfigurationError, PermanentSourceError)
"""Errors that another attempt would only repeat."""


@dataclass(frozen=True)
class Retry:
    """When to try again: ``retries`` times, after ``first_delay_seconds``, doubled each time.

    ``jitter`` gives a number from 0 to 1 that each wait is multiplied by.
    """

    retries: int
    first_delay_seconds: float
    jitter: Callable[[], float]

    def wait_seconds(self, attempt: int, error: Exception, left: float) -> float | None:
        """How long to wait after that attempt; None when there shall be no other.

        ``left`` are the seconds until the time limit. A wait takes at most half of them, unless
        the error itself states how long to wait (``retry_after_seconds``): then that long, or
        None when it does not fit.
        """
        if attempt > self.retries or isinstance(error, PERMANENT):
            return None
        backoff = min(self.jitter() * self.first_delay_seconds * 2.0 ** (attempt - 1), left / 2)
        stated = getattr(error, "retry_after_seconds", None)
        if not isinstance(stated, int | float):
            return backoff
        return max(backoff, float(stated)) if stated < left else None


@dataclass(frozen=True)
class Effort:
    """How it went: ``problem`` is the reason of failure, "" when ``value`` is the result."""

    attempts: int
    value: Any = None
    problem: str = ""


async def attempt_task(
    handler: Handler, task: ResearchTask, context: dict[str, Any], retry: Retry
) -> Effort:
    """Call the handler until it returns, may not be tried again, or the time limit is reached.

    The limit is ``task.timeout_seconds`` over all attempts. An async handler is then cancelled; a
    plain one cannot be stopped: its thread is left to itself and what it returns is dropped. Each
    attempt gets a ``context`` of its own.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + task.timeout_seconds
    too_late = str(TaskTimeoutError(task.timeout_seconds))
    attempts = 0
    try:
        async with asyncio.timeout_at(end) as limit:
            while True:
                attempts += 1
                value, error = await _outcome(handler, task, dict(context))
                if limit.expired():  # the handler went on in spite of its cancellation
                    return Effort(attempts, problem=too_late)
                if error is None:
                    return Effort(attempts, value)
                logger.info("attempt %d of %s failed", attempts, task.task_id, exc_info=error)
                wait = retry.wait_seconds(attempts, error, end - loop.time())
                if wait is None:
                    return Effort(attempts, problem=reason_of(error))
                await asyncio.sleep(wait)
    except TimeoutError:
        return Effort(attempts, problem=too_late)


def reason_of(error: BaseException) -> str:
    """One line for the outcome of a task."""
    if isinstance(error, SigmaxError) and str(error):
        return str(error)
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


async def _outcome(
    handler: Handler, task: ResearchTask, context: dict[str, Any]
) -> tuple[Any, Exception | None]:
    try:
        return await _call(handler, task, context), None
    except Exception as error:  # noqa: BLE001  # failure is a value, whatever the handler raises
        return None, error


async def _call(handler: Handler, task: ResearchTask, context: dict[str, Any]) -> Any:
    if _is_async(handler):
        result = handler(task, context)
    else:
        result = await _in_daemon(functools.partial(handler, task, context), task.task_id)
    if not inspect.isawaitable(result):
        return result
    return await _not_cancelled(result)


def _is_async(handler: Handler) -> bool:
    function: Any = handler
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  # the method of a callable object
    )


async def _not_cancelled(awaitable: Awaitable[Any]) -> Any:
    """Await it; a cancellation that nobody asked this task for is a failure of the handler."""
    try:
        return await awaitable
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        raise SigmaxError("the handler was cancelled from inside") from None


async def _in_daemon(function: Callable[[], Any], name: str) -> Any:
    """Call in a thread of its own, which holds up neither the event loop nor the exit."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def deliver(value: Any, error: BaseException | None) -> None:
        if not answer.done():
            answer.set_result((value, error))

    def work() -> None:
        value, problem = None, None
        try:
            value = function()
        except BaseException as error:  # noqa: BLE001  # it is raised where the answer is awaited
            problem = error
        try:
            loop.call_soon_threadsafe(deliver, value, problem)
        except RuntimeError:
            # The loop is closed: the task has timed out or was cancelled long ago.
            logger.info("task %s ended after its event loop", name)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name=f"sigmax-{name}", daemon=True).start()
    value, error = await answer
    if error is None:
        return value
    if isinstance(error, Exception):
        raise error
    raise SigmaxError(reason_of(error)) from error
