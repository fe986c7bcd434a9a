"""A Redis client whose Lua steps take a short way.

What redis-py does around each command (a connection out of its pool and back, its state probed, its
time measured) costs as much as to send a step and to read the answer, and workers run little else.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

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
        connection = self._free_connection()
        sound = False
        try:
            answer = self._ask(connection, command)
            sound = True
        except redis.ResponseError:
            sound = True
            raise
        finally:
            if not sound:
                # Its answer may still come, for the next command.
                connection.disconnect()
            self._idle.append(connection)
        return answer

    def close(self) -> None:
        while self._idle:
            self._idle.pop().disconnect()
        super().close()

    @staticmethod
    def _ask(connection: Any, command: Sequence[Any]) -> Any:
        try:
            connection.send_command(*command)
            return connection.read_response()
        except (redis.ConnectionError, redis.TimeoutError):
            connection.disconnect()
        time.sleep(RETRY_SECONDS)
        connection.send_command(*command)
        return connection.read_response()

    def _free_connection(self) -> Any:
        if self._pid != os.getpid():
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            pool = self.connection_pool
            return pool.connection_class(**pool.connection_kwargs)


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
        command = ("EVALSHA", self.sha, len(keys), *keys, *args)
        if client is not None and client is not self._client:
            answer: Any = client.execute_command(*command)  # type: ignore[no-untyped-call]
            return answer
        try:
            return self._client.run_step(command)
        except redis.exceptions.NoScriptError:
            self._client.script_load(self._text)
            return self._client.run_step(command)
