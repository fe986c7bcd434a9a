"""The HTTP client: what each kind of answer means, and the bounds on time and size."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sigmax_planner.models import DataMode
from sigmax_tasks.errors import (
    BadPayloadError,
    NeverHereError,
    PermanentSourceError,
    RateLimitedError,
    SourceError,
    TransientSourceError,
    WrongQuestionError,
)
from sigmax_tasks.sources.answers import error_text, parse_json, retry_after_seconds
from sigmax_tasks.sources.http import redirect_allowed
from sigmax_tasks.sources.transport import OfflineError
from tests.unit.sources.conftest import Asked, MakeCall, ScriptedServer

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def failure(
    make_call: MakeCall, path: str = "/x", provider: str = "fred", **given: Any
) -> SourceError:
    with pytest.raises(SourceError) as caught:
        make_call(provider, **given).get_json(path)
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "expected", "says"),
    [
        (429, b"slow down", RateLimitedError, "HTTP 429: slow down"),
        (418, b"", RateLimitedError, "HTTP 418"),
        (451, b"", NeverHereError, "not served here"),
        (403, b"restricted location", NeverHereError, "not served here"),
        (500, b'{"error":"boom"}', TransientSourceError, "HTTP 500: boom"),
        (502, b"<html>bad gateway</html>", TransientSourceError, "HTTP 502"),
        (503, b"", TransientSourceError, "HTTP 503"),
        (408, b"", TransientSourceError, "HTTP 408"),
        (400, b'{"code":-1121,"msg":"Invalid symbol."}', WrongQuestionError, "Invalid symbol."),
        (404, b'{"message":"x not found"}', WrongQuestionError, "HTTP 404: x not found"),
        (410, b"", WrongQuestionError, "HTTP 410"),
        (422, b'{"error":"Missing parameter ids"}', WrongQuestionError, "Missing parameter ids"),
        (401, b"", PermanentSourceError, "HTTP 401"),
        (403, b'{"error":{"type":"forbidden","message":"paid"}}', PermanentSourceError, "paid"),
    ],
)
def test_a_status_becomes_its_kind_of_failure(
    server: ScriptedServer,
    make_call: MakeCall,
    status: int,
    body: bytes,
    expected: type[SourceError],
    says: str,
) -> None:
    server.routes["/x"] = lambda asked: asked.send(body, status)
    error = failure(make_call)
    assert type(error) is expected
    assert says in str(error)
    assert error.provider == "fred"


def test_recorded_refusals_of_real_providers(
    server: ScriptedServer, make_call: MakeCall, shared_data: Path
) -> None:
    cases = [
        ("binance/error_451.json", 451, NeverHereError),
        ("bybit/error_403.txt", 403, NeverHereError),
        ("coingecko/error_429.json", 429, RateLimitedError),
        ("coingecko/error_429.json", 200, RateLimitedError),
        ("coingecko/error_422_markets.json", 422, WrongQuestionError),
        ("coingecko/error_500_ohlc.json", 500, TransientSourceError),
        ("gdelt/error_429.txt", 429, RateLimitedError),
        ("gdelt/error_429.txt", 200, BadPayloadError),
        ("yahoo/error_404.json", 404, WrongQuestionError),
        ("yahoo/error_422.json", 422, WrongQuestionError),
        ("yahoo/v7_quote_401.json", 401, PermanentSourceError),
        ("cryptocompare/error_404.json", 404, WrongQuestionError),
    ]
    for name, status, expected in cases:
        body = (shared_data / "http" / name).read_bytes()
        server.routes["/x"] = lambda asked, body=body, status=status: asked.send(body, status)
        assert type(failure(make_call)) is expected, name


def test_the_replay_servers_reason_is_passed_on(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    body = {"error": "not recorded", "detail": "fees of 2020"}
    server.routes["/x"] = lambda asked: asked.send(body, 404)
    assert failure(make_call).problem == "not recorded: fees of 2020"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("Thu, 01 Jan 2026 00:01:30 GMT", 90.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("-5", 0.0),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": value}, MOMENT) == seconds


def test_retry_after_reaches_the_error(server: ScriptedServer, make_call: MakeCall) -> None:
    server.routes["/x"] = lambda asked: asked.send(b"", 429, {"Retry-After": "17"})
    error = failure(make_call)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_seconds == 17


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty body"),
        (b"  \n ", "empty body"),
        (b"<!DOCTYPE html><html></html>", "a page of HTML"),
        (b'{"a": [1, 2', "not JSON"),
        (b"Please limit requests", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": -Infinity}', "not JSON"),
        (b'{"a": 1e999}', "not JSON"),
        (b"[" * 40 + b"]" * 40, "nested deeper"),
        (b'{"k":' * 100_000, "nested deeper"),
        (b'["\\"[[[", ' + b"[" * 40 + b"]" * 40 + b"]", "nested deeper"),
        (b"\xff\xfe{}", "not JSON"),
    ],
)
def test_content_is_judged_whatever_the_status(
    server: ScriptedServer, make_call: MakeCall, body: bytes, says: str
) -> None:
    server.routes["/x"] = lambda asked: asked.send(body)
    error = failure(make_call)
    assert type(error) is BadPayloadError
    assert says in error.problem


def test_brackets_inside_strings_do_not_count_as_nesting() -> None:
    text = '{"a": "' + "[{" * 200 + '\\"' + "[" * 50 + '", "b": [1]}'
    assert parse_json("p", text.encode())["b"] == [1]


def test_an_error_text_is_short_and_printable() -> None:
    assert error_text(b'{"error": "a\\u0007b\\n' + b"c" * 500 + b'"}').startswith("a b ccc")
    assert len(error_text(b"x" * 5000)) == 160
    assert error_text(b"<html>secret</html>") == ""


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    server.routes["/x"] = lambda asked: asked.send(b"x", declared=50_000_000)
    assert "larger than" in failure(make_call, max_bytes=1000).problem


def test_a_large_body_of_unstated_length_is_cut_off(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    sent: list[int] = []

    def flood(asked: Asked) -> None:
        asked.handler.send_response(200)
        asked.handler.send_header("Connection", "close")
        asked.handler.end_headers()
        asked.handler.close_connection = True
        while sum(sent) < 50_000_000:
            sent.append(asked.handler.wfile.write(b" " * 65_536))

    server.routes["/x"] = flood
    error = failure(make_call, max_bytes=1_000_000)
    assert type(error) is BadPayloadError
    assert sum(sent) < 50_000_000


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_defused(server: ScriptedServer, make_call: MakeCall, encoding: str) -> None:
    plain = b" " * 30_000_000
    packed = gzip.compress(plain) if encoding == "gzip" else zlib.compress(plain)
    assert len(packed) < 100_000
    server.routes["/x"] = lambda asked: asked.send(packed, headers={"Content-Encoding": encoding})
    assert "larger than 1000000" in failure(make_call, max_bytes=1_000_000).problem


def test_compressed_bodies_are_read(server: ScriptedServer, make_call: MakeCall) -> None:
    bare = zlib.compressobj(wbits=-15)
    forms = {
        "gzip": gzip.compress(b'{"a":') + gzip.compress(b"1}"),
        "deflate": zlib.compress(b'{"a":1}'),
        "Deflate": bare.compress(b'{"a":1}') + bare.flush(),
    }
    for encoding, body in forms.items():
        server.routes["/x"] = lambda asked, body=body, encoding=encoding: asked.send(
            body, headers={"Content-Encoding": encoding}
        )
        assert make_call("fred").get_json("/x") == {"a": 1}


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(b'{"a":1}')[:-9]), ("gzip", b"not gzip"), ("br", b"\x0b\x02")],
)
def test_damaged_compression_is_refused(
    server: ScriptedServer, make_call: MakeCall, encoding: str, body: bytes
) -> None:
    server.routes["/x"] = lambda asked: asked.send(body, headers={"Content-Encoding": encoding})
    assert type(failure(make_call)) is BadPayloadError


@pytest.mark.parametrize("with_length", [True, False])
def test_a_dripping_body_ends_at_the_deadline(
    server: ScriptedServer, make_call: MakeCall, with_length: bool
) -> None:
    def drip(asked: Asked) -> None:
        asked.handler.close_connection = True
        asked.handler.send_response(200)
        if with_length:
            asked.handler.send_header("Content-Length", "1000")
        asked.handler.end_headers()
        while not server.stopping.wait(0.02):
            asked.handler.wfile.write(b"1")

    server.routes["/x"] = drip
    error = failure(make_call, seconds=0.4)
    assert type(error) is TransientSourceError
    assert "in the time left" in error.problem


@pytest.fixture
def dripping_headers() -> Iterator[str]:
    """A server that sends its header a byte at a time, for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                while not stop.wait(0.02):
                    connection.sendall(b"H")
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    stop.set()
    listener.close()
    thread.join()


def test_a_dripping_header_ends_at_the_deadline(dripping_headers: str, make_call: MakeCall) -> None:
    call = make_call("fred", seconds=0.4)
    call.base_url = dripping_headers
    with pytest.raises(TransientSourceError, match="in the time left"):
        call.get("/x")


def test_a_cut_connection_is_a_passing_fault(server: ScriptedServer, make_call: MakeCall) -> None:
    def cut(asked: Asked) -> None:
        asked.handler.close_connection = True
        asked.send(b'{"a":', declared=500)

    server.routes["/x"] = cut
    error = failure(make_call)
    assert type(error) is TransientSourceError
    assert "connection lost" in error.problem


def test_nobody_listening_is_a_passing_fault(make_call: MakeCall) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    call = make_call("fred")
    call.base_url = f"http://127.0.0.1:{port}"
    with pytest.raises(TransientSourceError, match="connection failed"):
        call.get("/x")


def test_a_redirect_to_the_same_place_is_followed(
    server: ScriptedServer, make_call: MakeCall
) -> None:
    server.routes["/x"] = lambda asked: asked.send(b"", 308, {"Location": "/y?b=2"})
    server.routes["/y"] = {"a": 1}
    call = make_call("fred")
    assert call.get_json("/x") == {"a": 1}
    assert call.meter.requests == 2
    assert call.answers[0].endpoint == "/x"


def test_a_redirect_loop_ends(server: ScriptedServer, make_call: MakeCall) -> None:
    server.routes["/x"] = lambda asked: asked.send(b"", 302, {"Location": "/x"})
    error = failure(make_call)
    assert type(error) is PermanentSourceError
    assert "redirects more than 3 times" in error.problem
    assert server.count("/x") == 4


@pytest.mark.parametrize(
    ("origin", "target", "allowed"),
    [
        ("http://coindesk.com/a", "https://www.coindesk.com/b", True),
        ("https://www.coindesk.com/a/", "https://www.coindesk.com/a", True),
        ("https://www.coindesk.com/a", "http://www.coindesk.com/a", False),
        ("https://www.coindesk.com/a", "https://coindesk.com.evil.example/a", False),
        ("https://www.coindesk.com/a", "https://evil.example/", False),
        ("https://a.co.uk/", "https://b.co.uk/", False),
        ("https://www.a.co.uk/", "https://a.co.uk/", True),
        ("https://a.example/", "file:///etc/passwd", False),
        ("https://a.example/", "https://user@a.example/", False),
        ("https://a.example/", "https://a.example:8443/", False),
        ("http://127.0.0.1:80/a", "http://127.0.0.2:80/a", False),
        ("http://127.0.0.1:81/a", "http://127.0.0.1:82/a", False),
        ("https://a.example/", "http://169.254.169.254/", False),
        ("http://10.0.0.1/", "http://10.0.0.2/", False),
    ],
)
def test_where_redirects_may_go(origin: str, target: str, allowed: bool) -> None:
    assert redirect_allowed(origin, target) is allowed


def test_requests_say_who_asks_and_keep_no_cookies(
    server: ScriptedServer, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.routes["/x"] = lambda asked: asked.send({}, headers={"Set-Cookie": "a=b"})
    call = make_call("fred")
    call.get("/x")
    call.get("/x")
    for _, _, headers in server.asked:
        assert headers["User-Agent"].startswith("sigmax-tasks/")
        assert "Cookie" not in headers


def test_a_key_is_sent_in_live_mode_only_and_is_never_shown(
    server: ScriptedServer, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMAX_FRED_API_KEY", "s3cret")
    server.routes["/fred/series/observations"] = {"observations": []}
    live = make_call("fred_api", data_mode=DataMode.LIVE)
    answer = live.get("/fred/series/observations", {"series_id": "DGS10"})
    assert server.asked[-1][1] == {"series_id": "DGS10", "api_key": "s3cret"}
    assert answer.endpoint == "/fred/series/observations?series_id=DGS10"
    server.routes["/fred/series/observations"] = lambda asked: asked.send({}, 403)
    with pytest.raises(PermanentSourceError) as caught:
        live.get("/fred/series/observations", {"series_id": "DGS10"})
    assert "s3cret" not in str(caught.value)
    replayed = make_call("coingecko")
    server.routes["/x"] = {}
    monkeypatch.setenv("SIGMAX_COINGECKO_DEMO_KEY", "s3cret")
    replayed.get("/x")
    assert "s3cret" not in str(server.asked[-1])


def test_requests_and_their_cost_are_counted(server: ScriptedServer, make_call: MakeCall) -> None:
    server.routes["/x"] = {}
    call = make_call("fred")
    call.get("/x")
    call.get("/x")
    assert call.meter.requests == 2
    assert str(call.meter.cost_usd) == "0.50"


def test_a_name_that_does_not_resolve_means_offline(
    make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    call = make_call("fred")
    call.base_url = "https://fred.example"
    with pytest.raises(OfflineError, match=r"cannot resolve fred\.example"):
        call.get("/x")


def test_a_slow_name_look_up_is_given_up_on_and_shared(
    make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    looked_up: list[str] = []

    def hang(host: str, *given: object, **named: object) -> None:
        looked_up.append(host)
        release.wait(30)
        raise socket.gaierror(-3, "too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        for _ in range(2):
            call = make_call("fred")
            call.base_url = "https://fred.example"
            with pytest.raises(OfflineError, match="takes too long"):
                call.get("/x")
        assert looked_up == ["fred.example"]
    finally:
        release.set()
