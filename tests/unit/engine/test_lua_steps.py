"""Lua steps over their own connections, on a small server that answers as a test tells it to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import redis

from sigmax_tasks.lua_steps import StepCall, StepClient, in_one_go
from tests.processes import wait_until

NOSCRIPT = b"-NOSCRIPT No matching script\r\n"


class Server:
    """Answers each EVALSHA with the next of ``answers`` (b"" closes the connection)."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # A client that was interrupted does not wait for its answer.
        with connection, suppress(ConnectionError), connection.makefile("rb") as lines:
            while head := lines.readline():
                words = []
                for _ in range(int(head[1:])):
                    size = int(lines.readline()[1:])
                    words.append(lines.read(size + 2)[:-2].decode())
                answer = b"+OK\r\n"
                if words[0] in {"EVALSHA", "SCRIPT"}:
                    self.asked.append(" ".join(words[:2]) if words[0] == "SCRIPT" else words[0])
                if words[0] == "EVALSHA":
                    answer = self.answers.pop(0)
                if not answer:
                    return
                connection.sendall(answer)


@pytest.fixture
def start() -> Iterator[list[Server]]:
    servers: list[Server] = []
    yield servers
    for server in servers:
        server.close()


def step_on(server: Server, servers: list[Server]) -> tuple[StepClient, object]:
    servers.append(server)
    client = StepClient(port=server.port, protocol=2, driver_info=None, decode_responses=True)
    return client, client.register_script("return 1")


def test_a_connection_is_used_again(start: list[Server]) -> None:
    server = Server(b":1\r\n", b"$2\r\nok\r\n", b"*1\r\n:3\r\n")
    client, step = step_on(server, start)
    assert [step(keys=["k"], args=["a"]) for _ in range(3)] == [1, "ok", [3]]
    assert server.connections == 1
    client.close()


def test_a_step_that_redis_has_forgotten_is_loaded_again(start: list[Server]) -> None:
    server = Server(NOSCRIPT, b":7\r\n")
    client, step = step_on(server, start)
    assert step() == 7
    assert server.asked == ["EVALSHA", "SCRIPT LOAD", "EVALSHA"]
    client.close()


def test_a_cut_connection_is_tried_once_more(start: list[Server]) -> None:
    server = Server(b"", b":7\r\n", b"", b"", b":8\r\n")
    client, step = step_on(server, start)
    assert step() == 7
    with pytest.raises(redis.ConnectionError):
        step()
    assert step() == 8
    client.close()


def test_an_error_of_the_step_leaves_its_connection_in_use(start: list[Server]) -> None:
    server = Server(b"-OOM command not allowed\r\n", b":1\r\n")
    client, step = step_on(server, start)
    with pytest.raises(redis.ResponseError, match="not allowed"):
        step()
    assert step() == 1
    assert server.connections == 1
    client.close()


def test_a_late_answer_is_not_taken_for_the_next(start: list[Server]) -> None:
    """A thread that is interrupted while it waits leaves an answer behind."""
    server = Server(b":1\r\n", b":2\r\n")
    client, step = step_on(server, start)
    assert step() == 1
    (connection,) = client._idle
    connection.read_response = interrupted
    with pytest.raises(KeyboardInterrupt):
        step()
    del connection.read_response
    wait_until(lambda: not server.answers, 10, "the answer that nobody waits for")
    server.answers = [b":3\r\n"]
    assert step() == 3
    assert server.connections == 2
    client.close()


@pytest.mark.parametrize(
    "answers",
    [(b":1\r\n", b":2\r\n"), (NOSCRIPT, b":2\r\n", b":1\r\n"), (b"", b":2\r\n", b":1\r\n")],
)
def test_a_step_under_way_is_answered_behind_what_goes_between(
    start: list[Server], answers: tuple[bytes, ...]
) -> None:
    """Also where Redis does not know it, and where its connection is cut."""
    server = Server(*answers)
    client, step = step_on(server, start)
    under_way = step.begin(["k"], ["a"])
    wait_until(lambda: len(server.answers) == len(answers) - 1, 10, "it is sent at once")
    assert step() == 2
    assert under_way() == 1
    client.close()


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_forked_process_makes_its_own_connections(
    start: list[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(b":1\r\n", b":2\r\n")
    client, step = step_on(server, start)
    assert step() == 1
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert step() == 2
    assert server.connections == 2
    client.close()


def test_steps_that_go_in_one_go_are_both_loaded_where_one_is_not_known(
    start: list[Server],
) -> None:
    server = Server(b":1\r\n", NOSCRIPT, b":2\r\n", b"-NOPERM no permissions\r\n", b":4\r\n")
    client, step = step_on(server, start)
    calls = [StepCall(step, ["k"], ["a"]), StepCall(client.register_script("return 2"), [], [])]
    first, refused = in_one_go(calls)
    assert first == 2
    assert isinstance(refused, redis.exceptions.NoPermissionError)
    loads = ["SCRIPT LOAD", "SCRIPT LOAD"]
    assert server.asked == ["EVALSHA", "EVALSHA", *loads, "EVALSHA", "EVALSHA"]
    assert step() == 4, "its connection goes on"
    client.close()
