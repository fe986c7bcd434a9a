"""A cluster's Redis, and receivers on the loopback interface."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import fakeredis
import pytest
import redis


class Listener(ThreadingHTTPServer):
    """Keeps what it is sent; ``mood`` is ok, refuse, hang or drip."""

    daemon_threads = True

    def __init__(self, mood: str = "ok") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mood = mood
        self.got: list[dict[str, Any]] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self.server_port}/hook"

    def close(self) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()
        self.thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        listener = self.server
        assert isinstance(listener, Listener)
        length = int(self.headers["Content-Length"])
        listener.got.append(json.loads(self.rfile.read(length)))
        if listener.mood == "hang":
            listener.over.wait(30)
            return
        self.send_response(500 if listener.mood == "refuse" else 200)
        if listener.mood == "drip":
            self.send_header("Content-Length", "100000")
            self.end_headers()
            while not listener.over.wait(0.05):
                self.wfile.write(b".")
            return
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        pass


@pytest.fixture
def make_listener() -> Iterator[Any]:
    made: list[Listener] = []

    def make(mood: str = "ok") -> Listener:
        made.append(Listener(mood))
        return made[-1]

    yield make
    for listener in made:
        listener.close()


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    client = fakeredis.FakeRedis(decode_responses=True)
    yield client
    client.close()
