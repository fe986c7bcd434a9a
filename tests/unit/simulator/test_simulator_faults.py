from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from http.client import IncompleteRead, RemoteDisconnected
from typing import Any

import pytest

from sigmax_tasks.simulator import SimulatorServer
from sigmax_tasks.simulator.faults import Fault, FaultPlan, parse_plan

from .conftest import Simulator, fetch

PATH = "/fng/?limit=1"


def plan(*faults: dict[str, Any], provider: str = "alternative_me") -> dict[str, Any]:
    return {"seed": 7, "providers": {provider: list(faults)}}


@pytest.fixture(scope="module")
def faulty() -> Iterator[Simulator]:
    with SimulatorServer() as server:
        yield Simulator(server)


@pytest.fixture(autouse=True)
def healthy_again(faulty: Simulator) -> Iterator[None]:
    yield
    faulty.server.faults.replace({})
    faulty.server.stats.reset()


def test_rate429_says_when_to_come_back_and_ends_after_the_first(faulty: Simulator) -> None:
    faulty.server.faults.replace(plan({"kind": "rate429", "first": 2, "retry_after": 3}))
    answers = [faulty.get("alternative_me", PATH) for _ in range(3)]
    assert [answer.status for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "3"


def test_rate429_has_the_body_of_the_provider(faulty: Simulator) -> None:
    faulty.server.faults.replace(plan({"kind": "rate429"}, provider="*"))
    assert faulty.get("kraken", "/0/public/Time").json == {"error": ["EAPI:Rate limit exceeded"]}
    assert faulty.get("binance", "/api/v3/time").json["code"] == -1003
    assert faulty.get("coingecko", "/api/v3/ping").json["status"]["error_code"] == 429


def test_error_answers_the_status(faulty: Simulator) -> None:
    faulty.server.faults.replace(plan({"kind": "error", "status": 502}))
    assert faulty.get("alternative_me", PATH).status == 502
    assert faulty.get("mempool", "/api/mempool").status == 200


def test_cut_breaks_off_in_the_middle_of_the_body(faulty: Simulator) -> None:
    faulty.server.faults.replace(plan({"kind": "cut"}))
    with pytest.raises(IncompleteRead) as caught:
        faulty.get("alternative_me", PATH)
    assert 0 < len(caught.value.partial) < len(caught.value.partial) + (caught.value.expected or 0)


def test_malformed_is_complete_but_not_json(faulty: Simulator) -> None:
    faulty.server.faults.replace(plan({"kind": "malformed"}))
    got = faulty.get("alternative_me", PATH)
    assert got.status == 200
    assert len(got.body) == int(got.headers["content-length"])
    with pytest.raises(ValueError, match="char"):
        _ = got.json


def test_html_200_is_a_page(faulty: Simulator) -> None:
    faulty.server.faults.replace(plan({"kind": "html_200"}))
    got = faulty.get("alternative_me", PATH)
    assert (got.status, got.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert got.body.startswith(b"<!DOCTYPE html>")


def test_oversized_is_as_long_as_asked(faulty: Simulator) -> None:
    faulty.server.faults.replace(plan({"kind": "oversized", "megabytes": 2}))
    got = faulty.get("alternative_me", PATH)
    assert len(got.body) == 2 * 1_048_576
    assert got.json["name"] == "Fear and Greed Index"


def test_down_closes_without_an_answer(faulty: Simulator) -> None:
    faulty.server.faults.replace(plan({"kind": "down"}))
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        faulty.get("alternative_me", PATH)


def test_hang_says_nothing(faulty: Simulator) -> None:
    faulty.server.faults.replace(plan({"kind": "hang"}))
    with pytest.raises(TimeoutError):
        fetch(faulty.base("alternative_me") + PATH, timeout=0.3)


def test_geo_block_is_451_at_binance_and_403_elsewhere(faulty: Simulator) -> None:
    faulty.server.faults.replace(plan({"kind": "geo_block"}, provider="*"))
    blocked = faulty.get("binance", "/api/v3/exchangeInfo")
    assert blocked.status == 451
    assert "restricted location" in blocked.json["msg"]
    other = faulty.get("coinbase", "/v2/currencies")
    assert other.status == 403
    assert b"configured to block access from your country" in other.body


def test_latency_delays_by_its_seconds_and_jitter() -> None:
    faults = FaultPlan(plan({"kind": "latency", "seconds": 0.2, "jitter": 0.1}))
    delays = [faults.decide("alternative_me", "/fng/", 0.0).delay_seconds for _ in range(50)]
    assert all(0.2 <= delay <= 0.3 for delay in delays)
    assert len(set(delays)) > 40


def test_latency_is_really_waited_for(faulty: Simulator) -> None:
    faulty.server.faults.replace(plan({"kind": "latency", "seconds": 0.15}))
    started = time.monotonic()
    assert faulty.get("alternative_me", PATH).status == 200
    assert time.monotonic() - started >= 0.15


def test_quota_lets_so_many_a_second_through() -> None:
    faults = FaultPlan(plan({"kind": "quota", "per_second": 2}))
    at = [0.0, 0.1, 0.2, 0.9, 1.05, 1.15, 1.16]
    refused = [faults.decide("alternative_me", "/", moment).fault is not None for moment in at]
    assert refused == [False, False, True, True, False, False, True]


def test_quota_over_http_is_429(faulty: Simulator) -> None:
    faulty.server.faults.replace(plan({"kind": "quota", "per_second": 1, "retry_after": 1}))
    statuses = [faulty.get("alternative_me", PATH).status for _ in range(3)]
    assert statuses[0] == 200
    assert 429 in statuses


def test_probability_is_seeded() -> None:
    def hits(seed: int) -> list[bool]:
        faults = FaultPlan({**plan({"kind": "error", "probability": 0.3}), "seed": seed})
        return [faults.decide("alternative_me", "/", 0.0).fault is not None for _ in range(400)]

    assert hits(1) == hits(1)
    assert hits(1) != hits(2)
    assert 80 < sum(hits(1)) < 160


def test_a_path_narrows_a_fault() -> None:
    faults = FaultPlan(plan({"kind": "error", "path": "klines"}, provider="binance"))
    assert faults.decide("binance", "/api/v3/klines", 0.0).fault is not None
    assert faults.decide("binance", "/api/v3/depth", 0.0).fault is None


def test_faults_are_set_and_read_over_http(faulty: Simulator) -> None:
    url = faulty.server.url + "/_faults"
    put = fetch(url, "PUT", b'{"providers": {"okx": [{"kind": "error", "first": 1}]}}')
    assert put.status == 200
    assert fetch(url).json["providers"]["okx"][0]["kind"] == "error"
    path = "/api/v5/public/funding-rate-history?instId=BTC-USDT-SWAP"
    assert [faulty.get("okx", path).status for _ in range(2)] == [503, 200]


@pytest.mark.parametrize(
    "body",
    [
        b'{"providers": {"okx": [{"kind": "eror"}]}}',
        b'{"providers": {"okx": [{"kind": "error", "statuss": 503}]}}',
        b'{"providers": {"okx": {"kind": "error"}}}',
        b'{"provider": {}}',
        b"[1]",
        b"{",
        b'{"seed": "x"}',
        b'{"providers": {"okx": [{"kind": "error", "probability": 2}]}}',
        b'{"providers": {"okx": [{"kind": "latency", "seconds": -1}]}}',
        b'{"providers": {"okx": [{"kind": "latency", "seconds": NaN}]}}',
        b'{"providers": {"okx": [{"kind": "quota"}]}}',
        b'{"providers": {"okx": [{"kind": "error", "status": 200}]}}',
        b'{"providers": {"okx": [{"kind": "error", "first": 1.5}]}}',
        b'{"providers": {"okx": [{"kind": "error", "path": 3}]}}',
    ],
)
def test_a_bad_plan_is_refused_and_the_old_one_stays(faulty: Simulator, body: bytes) -> None:
    faulty.server.faults.replace(plan({"kind": "down"}))
    got = fetch(faulty.server.url + "/_faults", "PUT", body)
    assert got.status == 400
    assert got.json["detail"]
    assert "alternative_me" in faulty.server.faults.describe()["providers"]


def test_a_mistyped_kind_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'latency'"):
        Fault("latancy")
    with pytest.raises(ValueError, match="unknown key 'kin'"):
        parse_plan({"providers": {"okx": [{"kind": "error", "kin": 1}]}})


def test_stop_does_not_wait_for_a_hanging_client() -> None:
    server = SimulatorServer(faults=plan({"kind": "hang"}))
    with server:
        address = server.url.removeprefix("http://").split(":")
        client = socket.create_connection((address[0], int(address[1])), timeout=10)
        target = f"/sim/1/now/alternative_me{PATH}"
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while not server.faults.describe() or not server.faults._asked:
            time.sleep(0.01)
    assert client.recv(10) == b""
    client.close()
