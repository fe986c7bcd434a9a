"""Connecting to the Redis of a cluster, with errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from sigmax_tasks.broker_url import checked_broker_url
from sigmax_tasks.errors import (
    ClusterUnreachableError,
)
from sigmax_tasks.lua_steps import StepClient
from sigmax_tasks.redact import redact_url

MOST_CONNECTIONS = 4_000


def connect(
    url: str, *, connect_timeout_seconds: float, answer_timeout_seconds: float = 10
) -> redis.Redis:
    """A thread-safe client; what fails is tried again once.

    A Redis that takes a connection and does not greet counts as one that cannot be connected to.
    Raises :class:`ConfigurationError` for an address that is not one of Redis.
    """

    def greet(connection: Any) -> None:
        connection._sock.settimeout(connect_timeout_seconds)
        try:
            # Greeting tells whether it is well; redis-py would ask for that in a retry of its own.
            connection.on_connect_check_health(check_health=False)
        finally:
            if connection._sock is not None:
                connection._sock.settimeout(answer_timeout_seconds)

    return StepClient.from_url(
        checked_broker_url(url),
        decode_responses=True,
        socket_connect_timeout=connect_timeout_seconds,
        socket_timeout=answer_timeout_seconds,
        socket_keepalive=not url.startswith("unix"),
        health_check_interval=25,
        redis_connect_func=greet,
        # One for each thread that waits for an answer; redis-py allows 100.
        max_connections=MOST_CONNECTIONS,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 1),
    )


@contextmanager
def reachable(url: str) -> Iterator[None]:
    """Connection errors of the block become :class:`ClusterUnreachableError`."""
    try:
        yield
    except redis.AuthenticationError as error:  # a ConnectionError, too
        raise ClusterUnreachableError(
            f"broker {redact_url(url)} refuses the password",
            advice="set it in SIGMAX_BROKER_URL as redis://user:password@host:port/0, without "
            "user where Redis has none",
        ) from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        if "certificate" in str(error).lower():
            raise ClusterUnreachableError(
                f"the TLS certificate of broker {redact_url(url)} is not trusted",
                advice="name its authority with ?ssl_ca_certs=FILE, and use a host name that the "
                "certificate holds",
            ) from error
        raise ClusterUnreachableError(
            f"broker {redact_url(url)} does not answer ({type(error).__name__})",
            advice="start it, or leave the broker unset to run on a private one",
        ) from error
    except redis.exceptions.NoPermissionError as error:
        raise ClusterUnreachableError(
            f"the user of broker {redact_url(url)} may not do this ({_forbidden(str(error))})",
            advice="use an address with another user; docs/OPERATIONS.md lists what each may do",
        ) from error
    except redis.InvalidResponse as error:
        raise ClusterUnreachableError(
            f"what answers at {redact_url(url)} is not a Redis", advice="check host and port"
        ) from error
    except redis.ResponseError as error:
        said = refused_writes(error)
        if said is None:
            raise
        problem, advice = said
        raise ClusterUnreachableError(
            f"broker {redact_url(url)} takes no writes: {problem}", advice=advice
        ) from error


@contextmanager
def as_redis_says() -> Iterator[None]:
    """What Celery says of a broker that fails becomes the error of Redis that it comes from."""
    from kombu.exceptions import OperationalError  # slow, and Celery sends little for clients

    try:
        yield
    except OperationalError as error:
        if isinstance(error.__cause__, redis.RedisError):
            raise error.__cause__ from None
        raise


def refused_writes(error: redis.RedisError) -> tuple[str, str] | None:
    """Why Redis takes no writes, and what to do; None where the error is about something else.

    Such a Redis answers, and takes writes again once its trouble is over.
    """
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return "its memory is full", "raise its maxmemory, or shorten retention.run_hours"
    if isinstance(error, redis.exceptions.ReadOnlyError):
        return "it is a replica", "name its primary"
    if isinstance(error, redis.ResponseError) and "MISCONF" in str(error):
        advice = "make room on the disk of its data; it goes on by itself then"
        return "it cannot write to its disk", advice
    return None


def _forbidden(message: str) -> str:
    """Redis's sentence without what was sent, which may hold settings."""
    found = re.search(r"no permissions to .*", message)
    sentence = found[0] if found else "no permissions"
    return sentence.partition(" of pipeline")[0][:120]
