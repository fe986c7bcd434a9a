"""A Redis client whose Lua steps take a short way.

What redis-py does around each command (a connection out of its pool and back, its state probed, its
time measured) costs as much as to send a step and to read the answer, and workers run little else.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import redis

RETRY_SECONDS = 0.05


class StepClient(redis.Redis):
    """As its parent, but for :meth:`register_script`. Thread-safe; a fork makes its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle: deque[Any] = deque()
        self._pid = os.getpid()

    def register_script(self, script: Any) -> Any:
        return Step(self, script) if isinstance(script, str) else super().register_script(script)

    def run_step(self, command: Sequence[Any]) -> Any:
        """The answer to a command; tried again once where the connection fails."""
        return _the_answer(self.run_steps([command]))

    def begin_step(self, command: Sequence[Any]) -> Callable[[], Any]:
        """Send a command; what is given waits for its answer, as :meth:`run_step` does.

        One that is not called leaves its connection to be closed.
        """
        connection = self._free_connection()
        try:
            connection.send_command(*command)
            sent = True
        except (redis.ConnectionError, redis.TimeoutError):
            connection.disconnect()
            sent = False
        return lambda: _the_answer(self._answers(connection, [command], sent=sent))

    def run_steps(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """The answers to commands that are sent together, errors of Redis among them.

        All are tried again once where the connection fails.
        """
        return self._answers(self._free_connection(), commands, sent=False)

    def _answers(
        self, connection: Any, commands: Sequence[Sequence[Any]], *, sent: bool
    ) -> list[Any]:
        sound = False
        try:
            answers = self._ask(connection, commands, sent=sent)
            sound = True
        finally:
            if not sound:
                # Its answer may still come, for the next command.
                connection.disconnect()
            self._idle.append(connection)
        return answers

    def close(self) -> None:
        while self._idle:
            self._idle.pop().disconnect()
        super().close()

    @staticmethod
    def _ask(connection: Any, commands: Sequence[Sequence[Any]], *, sent: bool) -> list[Any]:
        try:
            return _exchange(connection, commands, sent=sent)
        except (redis.ConnectionError, redis.TimeoutError):
            connection.disconnect()
        time.sleep(RETRY_SECONDS)
        return _exchange(connection, commands, sent=False)

    def _free_connection(self) -> Any:
        if self._pid != os.getpid():
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            pool = self.connection_pool
            return pool.connection_class(**pool.connection_kwargs)


def _exchange(connection: Any, commands: Sequence[Sequence[Any]], *, sent: bool) -> list[Any]:
    if sent:
        pass
    elif len(commands) == 1:
        connection.send_command(*commands[0])
    else:
        connection.send_packed_command(connection.pack_commands(commands))
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(connection.read_response())
        except redis.ResponseError as error:
            answers.append(error)
    return answers


def _the_answer(answers: list[Any]) -> Any:
    (answer,) = answers
    if isinstance(answer, redis.ResponseError):
        raise answer
    return answer


class Step:
    """A Lua step, named by its hash; loaded where Redis does not know it (any more)."""

    def __init__(self, client: StepClient, text: str) -> None:
        self._client = client
        self._text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(
        self,
        keys: Sequence[Any] = (),
        args: Sequence[Any] = (),
        client: redis.Redis | None = None,
    ) -> Any:
        command = self.command(keys, args)
        if client is not None and client is not self._client:
            answer: Any = client.execute_command(*command)  # type: ignore[no-untyped-call]
            return answer
        return self._loaded(partial(self._client.run_step, command), command)

    def begin(self, keys: Sequence[Any], args: Sequence[Any]) -> Callable[[], Any]:
        """Send the step; what is given waits for its answer, and is to be called."""
        command = self.command(keys, args)
        return partial(self._loaded, self._client.begin_step(command), command)

    def _loaded(self, answer: Callable[[], Any], command: Sequence[Any]) -> Any:
        try:
            return answer()
        except redis.exceptions.NoScriptError:
            self._client.script_load(self._text)
            return self._client.run_step(command)

    def command(self, keys: Sequence[Any], args: Sequence[Any]) -> tuple[Any, ...]:
        """What is sent to run it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *args)


@dataclass(frozen=True)
class StepCall:
    """A Lua step, made by ``register_script``, with what it is called with."""

    step: Any
    keys: Sequence[Any]
    args: Sequence[Any]


def in_one_go(calls: Sequence[StepCall]) -> list[Any]:
    """The answers to steps that can all be run twice, errors of Redis among them.

    Sent together where they are of one :class:`StepClient`, else one after the other.
    """
    clients = {call.step._client if isinstance(call.step, Step) else None for call in calls}
    client = clients.pop()
    if client is None or clients:
        return [_answer(call) for call in calls]
    commands = [call.step.command(call.keys, call.args) for call in calls]
    answers = client.run_steps(commands)
    if any(isinstance(answer, redis.exceptions.NoScriptError) for answer in answers):
        for call in calls:
            client.script_load(call.step._text)
        answers = client.run_steps(commands)
    return answers


def _answer(call: StepCall) -> Any:
    try:
        return call.step(keys=call.keys, args=call.args)
    except redis.ResponseError as error:
        return error


def hash_fields(client: redis.Redis, key: str, fields: Sequence[str]) -> list[str | None]:
    """HMGET, by the short way where the client has one."""
    if isinstance(client, StepClient):
        return cast("list[str | None]", client.run_step(("HMGET", key, *fields)))
    return cast("list[str | None]", client.hmget(key, fields))
