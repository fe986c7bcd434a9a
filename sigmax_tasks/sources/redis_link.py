"""The desk's way to Redis, which may be away: it then says so at once and not after time-outs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import redis

from sigmax_tasks import clock

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_PAUSE_SECONDS: Final = 1.0
"""After an error Redis is not asked for so long: each attempt may last until its time-out."""


class LinkDownError(Exception):
    """Redis does not answer. Caught where the desk decides how to go on without it."""


class RedisLink:
    """Thread-safe. ``client`` decodes its answers to text."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self._lock = threading.Lock()
        self._away_until = 0.0

    def script(self, text: str) -> Callable[..., Any]:
        """A script, to be called with ``keys`` and ``args`` inside of :meth:`ask`."""
        return cast("Callable[..., Any]", self.client.register_script(text))

    def ask(self, what: Callable[[redis.Redis], _T]) -> _T:
        """The answer; :class:`LinkDownError` when there is none, or was none just now."""
        if clock.monotonic() < self._away_until:
            raise LinkDownError("Redis did not answer a moment ago")
        try:
            return what(self.client)
        except redis.RedisError as error:
            with self._lock:
                quiet = clock.monotonic() < self._away_until
                self._away_until = clock.monotonic() + _PAUSE_SECONDS
            if not quiet:
                logger.warning("the shared desk has no Redis: %s", error)
            raise LinkDownError(str(error)) from error
