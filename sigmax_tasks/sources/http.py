"""The one HTTP client: bounded in time and size, honest about who asks, and the same for ccxt.

One exchange is bounded by a deadline from the first name look-up to the last byte, and by a number
of bytes before and after decompression. Proxies, netrc and cookies of the machine are ignored;
a proxy or a CA bundle is set in sources.yaml. Redirects are followed by hand, to the same
registrable host only and never from https to http. Each request passes the gate first, where all
workers together keep to the provider's limits (gate.py).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final, Protocol
from urllib.parse import urljoin, urlsplit

import requests
import urllib3.exceptions

from sigmax_tasks import clock
from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import (
    PermanentSourceError,
    SourceError,
    SpendRefusedError,
    StoppedError,
    TransientSourceError,
    UnpaidRequestError,
)
from sigmax_tasks.sources.answers import Answer, refusal
from sigmax_tasks.sources.bodies import read_body, too_slow
from sigmax_tasks.sources.gate import Visit
from sigmax_tasks.sources.standing import pause
from sigmax_tasks.sources.transport import Leash, LeashedAdapter, Resolver, on_leash

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class Purse(Protocol):
    """Who pays. ``spend`` raises a :class:`SpendRefusedError` for what may not be spent."""

    def spend(self, usd: Decimal) -> None: ...

    def give_back(self, usd: Decimal) -> None: ...


class Meter:
    """Counts the requests of one gather over its threads and pays for them, each before it is made.

    ``prices`` are USD per request, by provider; without a ``purse`` they are only counted.
    """

    def __init__(self, prices: Mapping[str, Decimal], purse: Purse | None = None) -> None:
        self._prices = prices
        self._purse = purse
        self._lock = threading.Lock()
        self._requests = 0
        self._cost_usd = Decimal(0)

    def pay(self, provider: str) -> None:
        """For one request; :class:`UnpaidRequestError` where it may not be paid."""
        price = self._prices.get(provider, Decimal(0))
        if not price:
            return
        if self._purse is not None:
            try:
                self._purse.spend(price)
            except SpendRefusedError as error:
                raise UnpaidRequestError(provider, f"not asked: {error}") from error
        with self._lock:
            self._cost_usd += price

    def take_back(self, provider: str) -> None:
        """The request that was paid for is not made."""
        price = self._prices.get(provider, Decimal(0))
        if not price:
            return
        with self._lock:
            self._cost_usd -= price
        if self._purse is not None:
            with suppress(SpendRefusedError):  # it stays spent: never too little is counted
                self._purse.give_back(price)

    def count(self) -> None:
        """One request is made."""
        with self._lock:
            self._requests += 1

    @property
    def requests(self) -> int:
        with self._lock:
            return self._requests

    @property
    def cost_usd(self) -> Decimal:
        with self._lock:
            return self._cost_usd


@dataclass(frozen=True)
class Budget:
    """What one attempt may use. ``stopped`` is polled while waiting for a turn.

    With a gate (``visit`` makes the way through it for a path and query) waiting for a turn does
    not count against ``deadline``: ``extend`` is told how long it took and gives the new one.
    It ends at ``latest``, and for limits after ``patience_seconds``.
    """

    provider: str
    deadline: Deadline
    max_bytes: int
    meter: Meter
    stopped: Callable[[], bool] = lambda: False
    visit: Callable[[str], Visit | None] = lambda _: None
    latest: Deadline | None = None
    patience_seconds: float = math.inf
    extend: Callable[[float], Deadline] | None = None


class Exchange(Protocol):
    """Whoever answers requests: the client below, or a replay without a socket."""

    def exchange(
        self,
        budget: Budget,
        method: str,
        url: str,
        *,
        endpoint: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | str | None = None,
    ) -> Answer:
        """One answer with a status of 2xx; everything else is a :class:`SourceError`.

        ``endpoint`` is what the lineage will show; it must hold neither address nor key.
        """
        ...


class HttpClient:
    """Thread-safe; one `requests` session per thread."""

    def __init__(
        self,
        *,
        user_agent: str,
        max_concurrent_calls: int,
        resolve_timeout_seconds: float,
        max_redirects: int,
        proxy_url: str | None = None,
        ca_bundle: str | None = None,
    ) -> None:
        self._user_agent = user_agent
        self._max_redirects = max_redirects
        self._proxies = {"http": proxy_url, "https": proxy_url} if proxy_url else {}
        self._verify: bool | str = ca_bundle or True
        self._turns = threading.BoundedSemaphore(max_concurrent_calls)
        self._resolver = Resolver(resolve_timeout_seconds)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._sessions: list[requests.Session] = []

    def exchange(
        self,
        budget: Budget,
        method: str,
        url: str,
        *,
        endpoint: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | str | None = None,
    ) -> Answer:
        """See :class:`Exchange`."""
        session = self._session()
        sent = {
            **(headers or {}),
            "User-Agent": self._user_agent,
            "Accept-Encoding": "gzip, deflate",
        }
        request = requests.Request(method, url, params=dict(params or {}), headers=sent, data=data)
        prepared = session.prepare_request(request)
        for _ in range(self._max_redirects + 1):
            answer = self._hop(session, prepared, budget, endpoint)
            if answer.status not in _REDIRECTS:
                return answer
            target = urljoin(str(prepared.url), answer.headers.get("Location", ""))
            if not redirect_allowed(str(prepared.url), target):
                host = urlsplit(target).hostname or "nowhere"
                raise PermanentSourceError(budget.provider, f"redirects to another place ({host})")
            prepared = prepared.copy()
            prepared.prepare_url(target, None)
        raise PermanentSourceError(
            budget.provider, f"redirects more than {self._max_redirects} times"
        )

    def close(self) -> None:
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()
        self._local = threading.local()

    def _hop(
        self,
        session: requests.Session,
        prepared: requests.PreparedRequest,
        budget: Budget,
        endpoint: str,
    ) -> Answer:
        """One request and its answer, a redirect as well."""
        visit = budget.visit(endpoint)
        budget.meter.pay(budget.provider)
        try:
            deadline = self._enter(budget, visit)
        except BaseException:
            budget.meter.take_back(budget.provider)
            raise
        try:
            status, headers, body = self._leashed(session, prepared, budget, deadline)
            error = (
                None
                if status in _REDIRECTS
                else refusal(budget.provider, status, headers, body, clock.now())
            )
        except StoppedError:
            if visit is not None:
                visit.dropped()
            raise
        except SourceError as failure:
            if visit is not None:
                visit.failed(failure, timed_out=deadline.passed)
            raise
        except BaseException:
            if visit is not None:
                visit.dropped()
            raise
        finally:
            self._turns.release()
        if visit is not None:
            visit.answered(headers, error)
        if error is not None:
            raise error
        return Answer(budget.provider, endpoint, status, headers, body)

    def _enter(self, budget: Budget, visit: Visit | None) -> Deadline:
        """Wait for a free connection and a turn at the provider; the deadline of the request."""
        began = clock.monotonic()
        if visit is None:
            self._take_connection(budget, budget.deadline)
            return budget.deadline
        latest = budget.latest or budget.deadline
        patience = Deadline(min(latest.at, began + budget.patience_seconds))
        lasting = budget.deadline.remaining
        try:
            while True:
                self._take_connection(budget, latest)
                try:
                    step = visit.try_enter(min(lasting, latest.remaining), patience)
                except BaseException:
                    self._turns.release()
                    raise
                if step <= 0:
                    waited = clock.monotonic() - began
                    return budget.extend(waited) if budget.extend else budget.deadline
                # The connection is free for others while this request waits for its turn.
                self._turns.release()
                _wait_for_turn(step, latest, budget)
        except BaseException:
            visit.dropped()
            raise

    def _take_connection(self, budget: Budget, latest: Deadline) -> None:
        while not self._turns.acquire(timeout=min(0.2, max(0.001, latest.remaining))):
            if latest.passed:
                raise TransientSourceError(
                    budget.provider, "no free connection before the deadline"
                )
            if budget.stopped():
                raise _stopped(budget)

    def _leashed(
        self,
        session: requests.Session,
        prepared: requests.PreparedRequest,
        budget: Budget,
        deadline: Deadline,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body; what goes wrong on the way is a :class:`SourceError`."""
        provider = budget.provider
        with on_leash(Leash(provider, deadline, self._resolver, budget.stopped)) as leash:
            try:
                return self._send(session, prepared, budget, deadline)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                if leash.stopped():
                    raise StoppedError(provider, "stopped while it was asked") from error
                if leash.cut or deadline.passed:
                    raise too_slow(provider) from error
                raise TransientSourceError(provider, _connection_problem(error)) from error

    def _send(
        self,
        session: requests.Session,
        prepared: requests.PreparedRequest,
        budget: Budget,
        deadline: Deadline,
    ) -> tuple[int, Mapping[str, str], bytes]:
        if deadline.passed:
            budget.meter.take_back(budget.provider)
            raise too_slow(budget.provider)
        budget.meter.count()
        response = session.send(
            prepared,
            stream=True,
            timeout=max(0.001, deadline.remaining),
            verify=self._verify,
            proxies=self._proxies,
            allow_redirects=False,
        )
        complete = False
        try:
            body = read_body(budget.provider, response, budget.max_bytes, deadline)
            complete = True
        finally:
            # A connection with unread bytes must not serve the next request.
            if complete:
                response.raw.release_conn()
            else:
                response.raw.close()
            response.close()
        return response.status_code, response.headers, body

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False
            session.headers.clear()
            session.headers["Accept"] = "*/*"
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            adapter = LeashedAdapter(pool_connections=20, pool_maxsize=2, max_retries=0)
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return session


def _wait_for_turn(seconds: float, latest: Deadline, budget: Budget) -> None:
    if not pause(seconds, latest, budget.stopped):
        if budget.stopped():
            raise _stopped(budget)
        raise TransientSourceError(budget.provider, "no turn before the deadline")


def _stopped(budget: Budget) -> StoppedError:
    return StoppedError(budget.provider, "stopped while waiting for its turn")


def redirect_allowed(origin: str, target: str) -> bool:
    """Whether a redirect stays where it was sent from.

    The same registrable host on a usual port, and not from https to http. Addresses, localhost and
    unusual ports must match exactly. Without a list of public suffixes the registrable host is the
    last two labels, or three below a short second level (``co.uk``).
    """
    try:
        old, new = urlsplit(origin), urlsplit(target)
        old_port, new_port = old.port, new.port
    except ValueError:
        return False
    if new.scheme not in {"http", "https"} or not new.hostname or new.username:
        return False
    if old.scheme == "https" and new.scheme == "http":
        return False
    if (old.scheme, old.hostname, old_port) == (new.scheme, new.hostname, new_port):
        return True
    if old_port is not None or new_port not in {None, 443, 80}:
        return False
    mine, theirs = _registrable(old.hostname or ""), _registrable(new.hostname)
    return mine is not None and mine == theirs


def _registrable(host: str) -> str | None:
    labels = host.lower().rstrip(".").split(".")
    if len(labels) < 2 or labels[-1].isdigit() or ":" in host:
        return None
    short = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3 if short else -2 :])


def _connection_problem(error: Exception) -> str:
    text = f"{type(error).__name__} {error}"
    if "CERTIFICATE" in text.upper() or "SSL" in text:
        return "secure connection failed"
    if "timed out" in text.lower():
        return "no answer in time"
    return "connection lost before the answer was complete"
