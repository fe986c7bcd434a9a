"""The loopback HTTP server. Many worlds at once: the URL names the world."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sigmax_tasks.simulator.faults import Decision, FaultPlan
from sigmax_tasks.simulator.protocols.reply import Reply, json_reply
from sigmax_tasks.simulator.refusals import refusal
from sigmax_tasks.simulator.stats import Stats
from sigmax_tasks.simulator.worlds import (
    Address,
    BadAddressError,
    Worlds,
    parse_address,
    world_base_url,
)

VERSION: Final = "1"
_LONGEST_TARGET: Final = 8_192
_LONGEST_BODY: Final = 256 * 1024
_IDLE_SECONDS: Final = 75.0
_TICK_SECONDS: Final = 0.1


class SimulatorServer:
    """Serves in a daemon thread between `start` and `stop`; also a context manager.

    Only loopback addresses are taken for `host` unless `allow_other_hosts`. `port` 0 picks a free
    one. `faults` is a fault plan (see faults.py). ValueError for a bad plan, address or folder,
    OSError when the port is taken.
    """

    world_base_url = staticmethod(world_base_url)

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        replay_dir: Path | None = None,
        faults: Mapping[str, Any] | None = None,
        *,
        allow_other_hosts: bool = False,
    ) -> None:
        if not allow_other_hosts and not _is_loopback(host):
            raise ValueError(f"{host!r} is not a loopback address")
        if replay_dir is not None and not Path(replay_dir).is_dir():
            raise ValueError(f"there is no folder of recordings at {replay_dir}")
        self._host, self._port = host, port
        self.faults = FaultPlan(faults)
        self.stats = Stats()
        self.worlds = Worlds(None if replay_dir is None else Path(replay_dir))
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Root URL, without a trailing slash; RuntimeError before the start."""
        if self._listener is None:
            raise RuntimeError("the simulator is not running")
        host, port = self._listener.server_address[:2]
        name = str(host)
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def start(self) -> Self:
        """Listen and return; RuntimeError when running already."""
        if self._listener is not None:
            raise RuntimeError("the simulator is running already")
        self._listener = _Listener((self._host, self._port), self)
        self._thread = threading.Thread(
            target=self._listener.serve, name="sigmax-simulator", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port and every connection and wait for the threads; safe to call twice.

        It starts no thread, which an interpreter that ends (from 3.12 on) does not do any more.
        """
        listener, thread = self._listener, self._thread
        self._listener, self._thread = None, None
        if listener is None or thread is None:
            return
        listener.stopping.set()
        # A knock: it looks about at once.
        host, port = listener.server_address[:2]
        with contextlib.suppress(OSError):
            socket.create_connection((str(host), port), 1.0).close()
        thread.join()
        listener.server_close()
        listener.close_connections()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def serve_forever(
    host: str = "127.0.0.1",
    port: int = 8765,
    replay_dir: Path | None = None,
    faults: Mapping[str, Any] | None = None,
    *,
    stop: threading.Event | None = None,
) -> None:
    """Serve in this thread until `stop` is set or KeyboardInterrupt, which passes through."""
    ending = threading.Event() if stop is None else stop
    with SimulatorServer(host, port, replay_dir, faults):
        while not ending.wait(1.0):
            continue


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    timeout = 1.0
    """So long it waits for a connection before it looks whether it is to stop."""

    def __init__(self, address: tuple[str, int], owner: SimulatorServer) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.owner = owner
        self.stopping = threading.Event()
        self._open_lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        super().__init__(address, _Handler)

    def serve(self) -> None:
        """Take connections until ``stopping`` is set."""
        while not self.stopping.is_set():
            self.handle_request()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self.stopping.is_set():  # the knock that ends the waiting
            self.shutdown_request(request)
            return
        thread = threading.Thread(
            target=self._serve_connection,
            args=(request, client_address),
            name="sigmax-simulator-connection",
            daemon=True,
        )
        with self._open_lock:
            self._open[thread] = request
        thread.start()

    def _serve_connection(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            with self._open_lock:
                self._open.pop(threading.current_thread(), None)

    def close_connections(self) -> None:
        with self._open_lock:
            found = list(self._open.items())
        for thread, connection in found:
            with contextlib.suppress(OSError):  # the client may have closed it first
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(5.0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves mid-answer is normal here; anything else is shown by the base."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sigmax-simulator/" + VERSION
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = _IDLE_SECONDS
    wbufsize = 65_536  # headers and a short body leave in one packet
    server: _Listener

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the base
        """Quiet: /_stats has the counts."""

    def do_GET(self) -> None:
        owner = self.server.owner
        if len(self.path) > _LONGEST_TARGET:
            self._send(json_reply({"error": "request target too long"}, 414))
            return
        match self.path.partition("?")[0]:
            case "/_health":
                self._send(
                    json_reply(
                        {"status": "ok", "version": VERSION, "replay": owner.worlds.has_recordings}
                    )
                )
            case "/_stats":
                self._send(json_reply(owner.stats.snapshot()))
            case "/_faults":
                self._send(json_reply(owner.faults.describe()))
            case _:
                self._provider()

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        if self.path == "/_stats/reset":
            self.server.owner.stats.reset()
            self._send(json_reply({"status": "reset"}))
        elif self.path.startswith("/_"):
            self._send(json_reply({"error": "unknown path", "detail": "POST /_stats/reset"}, 404))
        elif len(self.path) > _LONGEST_TARGET:
            self._send(json_reply({"error": "request target too long"}, 414))
        else:
            self._provider(body)

    def do_PUT(self) -> None:
        body = self._body()
        if body is None:
            return
        if self.path != "/_faults":
            self._send(json_reply({"error": "unknown path", "detail": "PUT /_faults"}, 404))
            return
        try:
            self.server.owner.faults.replace(json.loads(body or b"{}"))
        except (ValueError, RecursionError) as error:
            self._send(json_reply({"error": "bad fault plan", "detail": str(error)}, 400))
            return
        self._send(json_reply(self.server.owner.faults.describe()))

    def _body(self) -> bytes | None:
        """The request's body, or None after an answer has refused it."""
        text = self.headers.get("Content-Length", "0")
        if not text.isdigit() or int(text) > _LONGEST_BODY:
            self.close_connection = True
            self._send(json_reply({"error": "request body too large or without length"}, 413))
            return None
        return self.rfile.read(int(text))

    def _provider(self, body: bytes = b"") -> None:
        owner = self.server.owner
        started, clock = time.time(), time.monotonic()
        try:
            address = parse_address(self.path, body)
        except BadAddressError as error:
            self._send(json_reply({"error": "unknown path", "detail": str(error)}, 404))
            return
        path = address.request.path
        decision = owner.faults.decide(address.provider, path, clock)
        status, sent = "aborted", 0
        try:
            if decision.delay_seconds and self.server.stopping.wait(decision.delay_seconds):
                self.close_connection = True
                return
            status, sent = self._answer(address, decision)
        finally:
            took = time.monotonic() - clock
            owner.stats.record(
                address.provider,
                path,
                status,
                sent_bytes=sent,
                started_seconds=started,
                took_seconds=took,
            )

    def _answer(self, address: Address, decision: Decision) -> tuple[str, int]:
        fault = decision.fault
        early = None if fault is None else refusal(address.provider, fault)
        if early is not None:
            return str(early.status), self._send(early)
        if fault is not None and fault.kind in ("down", "hang"):
            if fault.kind == "hang":
                self._hang(fault.seconds)
            self._reset()
            return fault.kind, 0
        owner = self.server.owner
        reply = owner.worlds.answer(self.path, address)
        extra = {}
        if address.provider.startswith("binance"):
            used = owner.stats.weight(address.provider, reply.weight, time.monotonic())
            extra["X-MBX-USED-WEIGHT-1M"] = str(used)
        if fault is not None and fault.kind == "cut":
            self._send(reply, extra, stop_after=len(reply.body) // 2)
            self._reset()
            return "cut", len(reply.body) // 2
        if fault is not None and fault.kind == "malformed":
            broken = reply.body[: max(len(reply.body) * 2 // 3, 1)] + b"<}{"
            reply = Reply(reply.status, broken, reply.content_type, reply.headers)
        if fault is not None and fault.kind == "oversized":
            return str(reply.status), self._oversized(reply, int(fault.megabytes * 1_048_576))
        return str(reply.status), self._send(reply, extra)

    def _send(
        self, reply: Reply, extra: Mapping[str, str] | None = None, stop_after: int | None = None
    ) -> int:
        body = reply.body if stop_after is None else reply.body[:stop_after]
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in {**reply.headers, **(extra or {})}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        return len(body)

    def _oversized(self, reply: Reply, size: int) -> int:
        """The true answer followed by blanks up to `size`, which stays valid JSON and XML."""
        self.close_connection = True
        total = max(size, len(reply.body))
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(total))
        self.end_headers()
        self.wfile.write(reply.body)
        sent, block = len(reply.body), b" " * 65_536
        while sent < total and not self.server.stopping.is_set():
            try:
                self.wfile.write(block[: total - sent])
            except OSError:  # the client had enough, which is the point
                return sent
            sent += min(len(block), total - sent)
        return sent

    def _hang(self, seconds: float) -> None:
        """Say nothing until the client leaves, the server stops or `seconds` (0: no end) pass."""
        until = time.monotonic() + seconds if seconds else float("inf")
        self.connection.settimeout(_TICK_SECONDS)
        while not self.server.stopping.is_set() and time.monotonic() < until:
            try:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    return
                self.server.stopping.wait(_TICK_SECONDS)
            except TimeoutError:
                continue
            except OSError:
                return

    def _reset(self) -> None:
        """Close without a farewell, so that the client sees a broken connection."""
        self.close_connection = True
        with contextlib.suppress(OSError):  # already gone
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
