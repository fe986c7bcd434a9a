"""A scripted loopback server, the shipped settings, and calls and desks on them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import fakeredis
import pytest
import yaml

from sigmax_planner.models import DataMode
from sigmax_tasks.clock import Deadline, RunClock
from sigmax_tasks.settings.sources import SourceSettings, source_settings
from sigmax_tasks.sources import Addresses, Call, FetchContext, RetryPolicy, SourceDesk
from sigmax_tasks.sources.ccxt_session import Markets
from sigmax_tasks.sources.http import HttpClient, Meter
from sigmax_tasks.sources.registry import build_providers
from sigmax_tasks.sources.shared import SharedDesk

SHIPPED = Path(__file__).resolve().parents[3] / "config" / "sources.yaml"
Script = Callable[["Asked"], None]


@dataclass
class Asked:
    """One request as it came; ``send`` and ``handler`` answer it."""

    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    handler: BaseHTTPRequestHandler

    def send(
        self,
        body: bytes | str | dict[str, Any] | list[Any],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        declared: int | None = None,
    ) -> None:
        if isinstance(body, dict | list):
            body = json.dumps(body)
        data = body.encode() if isinstance(body, str) else body
        self.handler.send_response(status)
        for name, value in (headers or {}).items():
            self.handler.send_header(name, value)
        self.handler.send_header("Content-Length", str(len(data) if declared is None else declared))
        self.handler.end_headers()
        self.handler.wfile.write(data)


@dataclass
class ScriptedServer:
    """Answers by path. A route is a body, or a function, or a list of them used up in turn."""

    url: str
    routes: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def paths(self) -> list[str]:
        with self.lock:
            return [path for path, _, _ in self.asked]

    def count(self, path: str) -> int:
        return self.paths().count(path)

    def take(self, path: str) -> Any:
        with self.lock:
            route = self.routes.get(path)
            if isinstance(route, list) and route and callable(route[0]):
                return route.pop(0) if len(route) > 1 else route[0]
            return route


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
            pass

        def do_POST(self) -> None:
            self.posted = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.do_GET()

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            asked = Asked(unquote(parts.path), query, self.headers, self)
            with scripted.lock:
                scripted.asked.append((asked.path, query, dict(self.headers.items())))
            route = scripted.take(asked.path)
            try:
                if route is None:
                    asked.send({"error": "unknown path", "detail": asked.path}, 404)
                elif callable(route):
                    route(asked)
                else:
                    asked.send(route)
            except OSError:
                self.close_connection = True  # the client left, as several tests want

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    scripted = ScriptedServer(f"http://127.0.0.1:{listener.server_address[1]}")
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield scripted
    scripted.stopping.set()
    listener.shutdown()
    listener.server_close()
    thread.join()


class FakeClock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.elapsed = 1000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return datetime.fromtimestamp(1_700_000_000 + self.elapsed, UTC)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.elapsed += seconds


@pytest.fixture(scope="session")
def shipped() -> dict[str, Any]:
    """The mapping of the shipped sources.yaml."""
    loaded: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    return loaded


@pytest.fixture(scope="session")
def settings(shipped: dict[str, Any]) -> SourceSettings:
    return source_settings(shipped)


@pytest.fixture
def client(settings: SourceSettings) -> Iterator[HttpClient]:
    made = HttpClient(
        user_agent=settings.user_agent,
        max_concurrent_calls=4,
        resolve_timeout_seconds=1,
        max_redirects=3,
    )
    yield made
    made.close()


MakeCall = Callable[..., Call]


@pytest.fixture
def make_call(settings: SourceSettings, client: HttpClient, server: ScriptedServer) -> MakeCall:
    """A call of a provider of the shipped settings on the scripted server."""
    providers = build_providers(settings, Markets(60, 4))

    def make(
        provider: str,
        now: datetime | None = None,
        *,
        series: str = "",
        source: str = "macro_data",
        seconds: float = 10,
        max_bytes: int = 10_000_000,
        data_mode: DataMode = DataMode.REPLAY,
        number: int = 0,
    ) -> Call:
        found = providers[provider]
        entry = None
        if series:
            entries = settings.series[source][series]
            entry = [e for e in entries if e.provider == provider][number]
        return Call(
            provider_id=provider,
            provider=found.settings,
            options=found.options,
            base_url=server.url,
            settings=settings,
            http=client,
            meter=Meter({provider: Decimal("0.25")}),
            clock=RunClock(now),
            deadline=Deadline.after(seconds),
            data_mode=data_mode,
            max_response_bytes=max_bytes,
            series=entry,
        )

    return make


@dataclass
class Bench:
    """A desk on the scripted server; every provider has its own folder there."""

    desk: SourceDesk
    settings: SourceSettings
    server: ScriptedServer
    attempts: list[tuple[int, str]] = field(default_factory=list)

    def context(self, **changes: Any) -> FetchContext:
        given: dict[str, Any] = {
            "symbol": "BTC/USDT",
            "clock": RunClock(datetime(2026, 1, 10, 12, tzinfo=UTC)),
            "deadline": Deadline.after(10),
            "data_mode": DataMode.SIMULATED,
            "addresses": Addresses({p: f"{self.server.url}/{p}" for p in self.settings.providers}),
            "retry": RetryPolicy(max_retries=2, first_delay_seconds=0.01),
            "should_stop": lambda: False,
            "on_attempt": lambda number, provider: self.attempts.append((number, provider)),
        }
        return FetchContext(**{**given, **changes})


def sharing_bench(
    settings: SourceSettings, server: ScriptedServer, redis_server: fakeredis.FakeServer
) -> Bench:
    """The desk of one worker, which shares that Redis with others."""
    client = fakeredis.FakeRedis(server=redis_server, decode_responses=True)
    desk = SourceDesk(
        settings,
        max_concurrent_calls=6,
        max_response_bytes=1_000_000,
        jitter=lambda: 0.5,
        shared=SharedDesk(client, settings),
    )
    return Bench(desk, settings, server)


MakeBench = Callable[..., Bench]


@pytest.fixture
def make_bench(shipped: dict[str, Any], server: ScriptedServer) -> Iterator[MakeBench]:
    made: list[Bench] = []

    def make(
        changes: Mapping[str, Any] | None = None, *, calls: int = 6, jitter: float = 0.5
    ) -> Bench:
        given = source_settings({**shipped, **(changes or {})})
        desk = SourceDesk(
            given, max_concurrent_calls=calls, max_response_bytes=1_000_000, jitter=lambda: jitter
        )
        made.append(Bench(desk, given, server))
        return made[-1]

    yield make
    for bench in made:
        bench.desk.close()
