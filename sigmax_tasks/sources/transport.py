"""Sockets under a leash: name resolution, connecting and reading all end by one deadline.

The time limits of requests bound single socket operations, so a server that sends a byte now and
then is never cut off, and name resolution is not bounded at all. Here a watchdog shuts the socket
at the deadline, and names are resolved in a thread that is given up on after a stated time.

Being offline: a name that does not resolve, or a network without a route, raises
:class:`OfflineError`. See standing.py for how that ends a run without network quickly.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from sigmax_tasks.clock import Deadline, monotonic
from sigmax_tasks.errors import TransientSourceError

AddressInfo = tuple[Any, Any, int, str, Any]
LOOK_SECONDS: Final = 0.25
_NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})


class OfflineError(TransientSourceError):
    """The host cannot be found or reached from here: no name resolution, or no route."""

    def __init__(self, provider: str, problem: str, host: str) -> None:
        super().__init__(provider, problem)
        self.host = host


class Leash:
    """Holds the socket of the request that this thread makes, and shuts it at the deadline.

    It also shuts it, within ``LOOK_SECONDS``, once ``stopped`` says that nobody wants the answer.
    """

    def __init__(
        self,
        provider: str,
        deadline: Deadline,
        resolver: Resolver,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.provider = provider
        self.deadline = deadline
        self.resolver = resolver
        self.stopped = stopped
        self.cut = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def hold(self, sock: socket.socket) -> None:
        with self._lock:
            self._socket = sock
            late = self.cut
        if late:
            _shut(sock)

    def pull(self) -> None:
        """Shut the socket; a read that waits on it returns at once."""
        with self._lock:
            self.cut = True
            sock = self._socket
        if sock is not None:
            _shut(sock)

    def release(self) -> None:
        with self._lock:
            self._socket = None

    def watch(self, done: threading.Event) -> None:
        """Pull at the deadline or when stopped, whichever is first; return when ``done``."""
        while not done.wait(min(LOOK_SECONDS, max(0.001, self.deadline.remaining))):
            if self.deadline.passed or self.stopped():
                self.pull()
                return


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):  # already closed by its reader
        sock.shutdown(socket.SHUT_RDWR)


class _Current(threading.local):
    leash: Leash | None = None


_current = _Current()


@contextmanager
def on_leash(leash: Leash) -> Iterator[Leash]:
    """Every connection this thread opens or uses inside is under ``leash``."""
    done = threading.Event()
    watchdog = threading.Thread(target=leash.watch, args=(done,), name="leash", daemon=True)
    before, _current.leash = _current.leash, leash
    watchdog.start()
    try:
        yield leash
    finally:
        done.set()
        leash.release()
        _current.leash = before


class _LookUp:
    """One look-up of a name, shared by all who want it."""

    def __init__(self) -> None:
        self.started = monotonic()
        self.done = threading.Event()
        self.found: Sequence[AddressInfo] = ()

    def run(self, host: str, port: int) -> None:
        with suppress(OSError, UnicodeError):  # nothing found: the waiters see the empty answer
            self.found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.done.set()


class Resolver:
    """Name resolution that gives up after ``timeout_seconds`` and remembers good answers.

    Look-ups of one name are shared, and one that is given up on goes on in its thread: an answer
    that comes late is there for the next attempt.
    """

    MEMORY_SECONDS: Final = 60.0

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout = timeout_seconds
        self._lock = threading.Lock()
        self._look_ups: dict[tuple[str, int], _LookUp] = {}

    def addresses(self, provider: str, host: str, port: int, limit: float) -> Sequence[AddressInfo]:
        """Socket addresses of ``host``; :class:`OfflineError` when there are none in time.

        ``limit`` is what is left of the caller's time, in seconds.
        """
        look_up = self._begin(host, port)
        patience = look_up.started + self._timeout - monotonic()
        if not look_up.done.wait(max(0.0, min(patience, limit))):
            if limit < patience:
                raise TransientSourceError(provider, f"no time left to look up {host}")
            raise OfflineError(provider, f"no network: looking up {host} takes too long", host)
        if not look_up.found:
            raise OfflineError(provider, f"no network: cannot resolve {host}", host)
        return look_up.found

    def _begin(self, host: str, port: int) -> _LookUp:
        with self._lock:
            known = self._look_ups.get((host, port))
            if known is not None and self._usable(known):
                return known
            if len(self._look_ups) > 500:
                self._look_ups.clear()
            look_up = self._look_ups[(host, port)] = _LookUp()
        threading.Thread(
            target=look_up.run, args=(host, port), name=f"resolve-{host}", daemon=True
        ).start()
        return look_up

    def _usable(self, look_up: _LookUp) -> bool:
        """Still running, or answered not long ago."""
        young = monotonic() - look_up.started < self.MEMORY_SECONDS
        return young and (not look_up.done.is_set() or bool(look_up.found))


class _Leashed:
    """Mixed into urllib3's connections: connects under the leash and hands it the socket."""

    host: str
    port: int
    sock: socket.socket | None
    socket_options: Any

    def _new_conn(self) -> socket.socket:
        leash = _current.leash
        if leash is None:
            raise RuntimeError("this connection is only used by sources.http")
        host = self.host.strip("[]")
        found = leash.resolver.addresses(leash.provider, host, self.port, leash.deadline.remaining)
        problem = "connection failed"
        for position, (family, kind, protocol, _, address) in enumerate(found):
            share = leash.deadline.remaining / (len(found) - position)
            if share <= 0:
                raise TransientSourceError(leash.provider, "timed out while connecting")
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(share)
                leash.hold(sock)
                sock.connect(address)
            except TimeoutError:
                sock.close()
                problem = "timed out while connecting"
            except OSError as error:
                sock.close()
                if error.errno in _NO_ROUTE:
                    raise OfflineError(
                        leash.provider, f"no network: no route to {host}", host
                    ) from error
                problem = f"connection failed ({error.strerror or error})"
            else:
                sock.settimeout(max(0.001, leash.deadline.remaining))
                return sock
        raise TransientSourceError(leash.provider, problem)

    def getresponse(self) -> Any:
        leash = _current.leash
        if leash is not None and self.sock is not None:
            leash.hold(self.sock)
        return super().getresponse()  # type: ignore[misc]  # the mixed-in connection has it


class _PlainConnection(_Leashed, HTTPConnection):
    pass


class _TlsConnection(_Leashed, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class LeashedAdapter(HTTPAdapter):
    """The adapter of requests, on leashed connections and without retries of its own."""

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        self.poolmanager = PoolManager(
            num_pools=connections, maxsize=maxsize, block=block, **pool_kwargs
        )
        self._leash_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        self._leash_pools(manager)
        return manager

    @staticmethod
    def _leash_pools(manager: Any) -> None:
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
