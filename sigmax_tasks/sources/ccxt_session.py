"""ccxt on our HTTP client: the session it asks, its markets, and the meaning of its errors."""

from __future__ import annotations

import copy
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

import requests

from sigmax_planner.models import DataMode
from sigmax_tasks import clock
from sigmax_tasks.errors import (
    BadPayloadError,
    PermanentSourceError,
    RateLimitedError,
    SourceError,
    TransientSourceError,
    UnpaidRequestError,
    WrongQuestionError,
)
from sigmax_tasks.sources.answers import Answer, parse_json
from sigmax_tasks.sources.call import Call
from sigmax_tasks.sources.ccxt_loading import ccxt_errors, exchange_class
from sigmax_tasks.sources.pages import SharedPages
from sigmax_tasks.sources.venues import Venue


class CallSession(requests.Session):
    """What ccxt takes for its session. It knows one call, its deadline and its limits.

    What is in ``pages``, by path and query, is not asked for again.
    Errors are ours, not of the kind ccxt catches, so they reach the caller as they are.
    """

    def __init__(self, call: Call, pages: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.headers.clear()
        self.trust_env = False
        self._call = call
        self._pages = pages or {}

    def request(self, method: str | bytes, url: str | bytes, **given: Any) -> requests.Response:  # type: ignore[override]  # ccxt passes these and no more
        call = self._call
        address = str(url)
        endpoint = unquote_plus(address.removeprefix(call.base_url))
        if endpoint in self._pages:
            return _response(address, 200, {}, self._pages[endpoint].encode())
        # ccxt's own time limit, proxies and redirects are not used: the client has one policy.
        answer = call.http.exchange(
            call.budget,
            str(method),
            address,
            endpoint=endpoint,
            headers=given.get("headers"),
            data=given.get("data"),
        )
        parse_json(call.provider_id, answer.body)  # ccxt takes a page of HTML for an empty market
        call.answers.append(answer)
        return _response(address, answer.status, answer.headers, answer.body)


def _response(
    address: str, status: int, headers: Mapping[str, str], body: bytes
) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    response.url = address
    response._content = body  # the only way to make a response
    return response


@dataclass
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    exchange: Any = None
    loaded_at: float = 0.0
    failure: SourceError | None = None
    failed_at: float = 0.0


class Markets:
    """Loaded market tables, one per provider and base address; thread-safe, least recent out.

    Calls that want the same table at once wait for one of them to load it, and share its failure.
    With ``shared`` one process asks for it and the others read what it got; not in a replay, whose
    recordings may change behind the same address.
    """

    def __init__(
        self, keep_seconds: float, entries: int, shared: SharedPages | None = None
    ) -> None:
        self._shared = shared
        self._keep_seconds = keep_seconds
        self._size = entries
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()

    def open_exchange(self, venue: Venue, call: Call) -> Any:
        """A ccxt exchange for this call alone, with its markets; asks again when they are old."""
        entry = self._entry((call.provider_id, call.base_url))
        with call.off_the_clock():  # it loads a module of ccxt's the first time
            exchange = make_exchange(venue, call)
        asked_at = clock.monotonic()
        with call.off_the_clock():
            if not entry.lock.acquire(timeout=max(0.001, call.deadline.remaining)):
                raise TransientSourceError(call.provider_id, "its list of markets came too late")
        try:
            old = clock.monotonic() - entry.loaded_at > self._keep_seconds
            if entry.exchange is not None and not old:
                exchange.set_markets_from_exchange(entry.exchange)
                return exchange
            if entry.failure is not None and entry.failed_at >= asked_at:
                raise entry.failure
            try:
                age_seconds = self._load(exchange, call)
            except UnpaidRequestError:
                raise  # for want of this task's money: another may have it
            except SourceError as error:
                entry.failure, entry.failed_at = error, clock.monotonic()
                raise
            with call.off_the_clock():
                loaded = make_exchange(venue, None)
                loaded.set_markets_from_exchange(exchange)
            entry.exchange, entry.failure = loaded, None
            entry.loaded_at = clock.monotonic() - age_seconds
        finally:
            entry.lock.release()
        return exchange

    def _load(self, exchange: Any, call: Call) -> float:
        """Load the table; seconds since it was asked for."""
        if self._shared is None or call.data_mode is DataMode.REPLAY:
            _load(exchange, call)
            return 0.0
        asked = False

        def ask() -> dict[str, str]:
            nonlocal asked
            asked = True
            return {answer.endpoint: answer.text() for answer in _load(exchange, call)}

        pages = self._shared.pages("markets", call, self._keep_seconds, ask)
        if not asked:
            exchange.session = CallSession(call, pages.bodies)
            _load(exchange, call)
            exchange.session = CallSession(call)
        return max(0.0, (clock.now() - pages.asked_at).total_seconds())

    def _entry(self, key: tuple[str, str]) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)
            return entry


def _load(exchange: Any, call: Call) -> list[Answer]:
    """Load the table; the answers it took."""
    call.answers.clear()
    with translated(call.provider_id):
        exchange.load_markets()
    if not exchange.markets:
        raise BadPayloadError(call.provider_id, "lists no markets")
    answers = list(call.answers)
    call.answers.clear()
    return answers


def make_exchange(venue: Venue, call: Call | None) -> Any:
    """A ccxt exchange at the call's address, asking through the call's client."""
    options = json.dumps(venue.ccxt_options, sort_keys=True)
    exchange = _fresh_copy(_unused_exchange(venue.exchange_id, options))
    if call is not None:
        exchange.session = CallSession(call)
        api: Mapping[str, str] = exchange.urls["api"]
        exchange.urls = {
            **exchange.urls,
            "api": {**api, **{k: call.base_url + path for k, path in venue.api_paths.items()}},
        }
    return exchange


@cache
def _unused_exchange(exchange_id: str, options: str) -> Any:
    # Requests are spaced for the whole process by sources.http; ccxt would space one object's.
    return exchange_class(exchange_id)({"enableRateLimit": False, "options": json.loads(options)})


def _fresh_copy(unused: Any) -> Any:
    """As good as a new one, in a tenth of the time that ccxt takes to make it."""
    fresh = copy.copy(unused)
    for name, value in vars(unused).items():
        if isinstance(value, dict):
            setattr(fresh, name, dict(value))
    fresh.options = copy.deepcopy(unused.options)  # where it notes what it learns
    return fresh


@contextmanager
def translated(provider: str) -> Iterator[None]:
    """ccxt's errors, and what it raises on a malformed body, as ours."""
    errors = ccxt_errors()
    try:
        yield
    except SourceError:
        raise
    except errors.BaseError as error:
        raise _translate(provider, error, errors) from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise BadPayloadError(
            provider, f"not the promised form ({type(error).__name__}: {error})"
        ) from error


def _translate(provider: str, error: Exception, errors: Any) -> SourceError:
    said = str(error).removeprefix(f"{provider} ")[:200]
    lowered = said.lower()
    if isinstance(error, errors.DDoSProtection | errors.RateLimitExceeded):
        return RateLimitedError(provider, said)
    if isinstance(error, errors.BadSymbol | errors.NotSupported | errors.BadRequest):
        return WrongQuestionError(provider, said)
    if "unknown asset pair" in lowered or "unknown symbol" in lowered:
        return WrongQuestionError(provider, said)
    if isinstance(error, errors.NullResponse | errors.BadResponse):
        return BadPayloadError(provider, said)
    if isinstance(error, errors.OperationFailed):
        return TransientSourceError(provider, said)
    return PermanentSourceError(provider, said)
