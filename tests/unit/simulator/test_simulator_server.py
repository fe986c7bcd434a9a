from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sigmax_tasks.simulator import PROVIDERS, SimulatorServer, serve_forever, world_base_url
from sigmax_tasks.simulator.protocols import ANSWERS

from .conftest import AS_OF, Simulator, fetch


def test_health_names_the_version(simulator: Simulator) -> None:
    got = fetch(simulator.server.url + "/_health")
    assert (got.status, got.json["status"], got.json["replay"]) == (200, "ok", False)
    assert got.json["version"]


def test_every_provider_has_a_real_base_and_answers() -> None:
    assert set(PROVIDERS) == set(ANSWERS)
    assert all(base.startswith("https://") for base in PROVIDERS.values())


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_an_unknown_path_is_a_404_that_says_so(simulator: Simulator, provider: str) -> None:
    got = simulator.get(provider, "/no/such/path")
    assert got.status == 404
    assert got.json == {"error": "unknown path", "detail": "no route for /no/such/path"}


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/nothing",
        f"/sim/42/{AS_OF}/nobody/x",
        f"/sim/x/{AS_OF}/kraken/0/public/Time",
        "/sim/42/yesterday/kraken/0/public/Time",
        "/sim/42/99999999999999/kraken/0/public/Time",
        f"/sim/42/{AS_OF}/kraken/%ff%fe",
        f"/replay/{AS_OF}/../kraken/x",
    ],
)
def test_an_unknown_address_is_a_404_that_says_so(simulator: Simulator, target: str) -> None:
    got = fetch(simulator.server.url + target)
    assert got.status == 404
    assert set(got.json) == {"error", "detail"}


def test_a_moment_before_the_simulation_is_not_recorded(simulator: Simulator) -> None:
    got = simulator.get("binance", "/api/v3/exchangeInfo", as_of=0)
    assert (got.status, got.json["error"]) == (404, "not recorded")


def test_replay_without_a_folder_says_so(simulator: Simulator) -> None:
    got = simulator.replay("binance", "/api/v3/time")
    assert got.status == 404
    assert got.json["detail"] == "this server was started without a folder of recordings"


def test_now_is_the_clock(simulator: Simulator) -> None:
    before = int(time.time() * 1000)
    told = simulator.get("binance", "/api/v3/time", as_of=None).json["serverTime"]
    assert before <= told <= int(time.time() * 1000)


def test_many_worlds_at_once(simulator: Simulator) -> None:
    def last(seed: int) -> str:
        path = "/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=1"
        close: str = simulator.get("binance", path, seed=seed).json[0][4]
        return close

    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(last, range(8)))
        second = list(pool.map(last, range(8)))
    assert first == second
    assert len(set(first)) == 8


def test_a_connection_is_kept_alive(simulator: Simulator) -> None:
    parts = urlsplit(simulator.base("mempool"))
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    connection.connect()
    used = connection.sock
    for _ in range(3):
        connection.request("GET", parts.path + "/api/v1/fees/recommended")
        assert connection.getresponse().read()
        assert connection.sock is used
    connection.close()


def test_stats_count_and_reset() -> None:
    with SimulatorServer() as server:
        asked = Simulator(server)
        good = asked.get("mempool", "/api/v1/fees/recommended")
        asked.get("mempool", "/api/v1/fees/recommended")
        asked.get("mempool", "/nope")
        asked.get("okx", "/nope")
        stats = fetch(server.url + "/_stats").json
        assert stats["requests"] == 4
        pool = stats["providers"]["mempool"]
        assert (pool["requests"], pool["statuses"]) == (3, {"200": 2, "404": 1})
        path = pool["paths"]["/api/v1/fees/recommended"]
        assert (path["requests"], path["bytes"]) == (2, 2 * len(good.body))
        assert [entry["status"] for entry in pool["times"]] == ["200", "200", "404"]
        assert all(entry["at"] > 1_600_000_000 for entry in pool["times"])
        assert fetch(server.url + "/_stats/reset", "POST").status == 200
        assert fetch(server.url + "/_stats").json == {"requests": 0, "bytes": 0, "providers": {}}


def test_stats_are_bounded() -> None:
    with SimulatorServer() as server:
        for number in range(2_500):
            server.stats.record(
                "okx",
                f"/{number}",
                "200",
                sent_bytes=1,
                started_seconds=0.0,
                took_seconds=0.0,
            )
        seen = server.stats.snapshot()["providers"]["okx"]
    assert seen["requests"] == 2_500
    assert len(seen["paths"]) <= 301
    assert len(seen["times"]) == 2_000


def test_binance_tells_the_used_weight(simulator: Simulator) -> None:
    first = simulator.get("binance", "/api/v3/exchangeInfo").headers["x-mbx-used-weight-1m"]
    second = simulator.get("binance", "/api/v3/exchangeInfo").headers["x-mbx-used-weight-1m"]
    assert int(second) == int(first) + 20


def test_requests_are_bounded(simulator: Simulator) -> None:
    assert simulator.get("okx", "/" + "x" * 9_000).status == 414
    url = simulator.server.url + "/_faults"
    assert fetch(url, "PUT", b" " * 300_000).status == 413


def test_stop_leaves_no_thread_and_no_port() -> None:
    before = set(threading.enumerate())
    server = SimulatorServer().start()
    port = urlsplit(server.url).port or 0
    idle = socket.create_connection(("127.0.0.1", port), timeout=5)
    assert Simulator(server).get("mempool", "/api/mempool").status == 200
    server.stop()
    server.stop()
    assert set(threading.enumerate()) <= before
    assert idle.recv(1) == b""
    idle.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.url


def test_stopping_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the end of an interpreter, which starts none any more from Python 3.12 on."""
    server = SimulatorServer().start()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError(f"{thread.name}: can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    server.stop()


def test_a_stopped_server_starts_again() -> None:
    server = SimulatorServer()
    for _ in range(2):
        with server, pytest.raises(RuntimeError, match="running already"):
            server.start()


def test_serve_forever_ends_when_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop = threading.Event()
    thread = threading.Thread(
        target=serve_forever, args=("127.0.0.1", port), kwargs={"stop": stop}, daemon=True
    )
    thread.start()
    for _ in range(200):
        try:
            assert fetch(f"http://127.0.0.1:{port}/_health").status == 200
            break
        except ConnectionRefusedError:
            time.sleep(0.02)
    else:
        pytest.fail("the server did not come up")
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_only_loopback_unless_allowed(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "example.org"):
        with pytest.raises(ValueError, match="not a loopback"):
            SimulatorServer(host)
    with pytest.raises(ValueError, match="no folder of recordings"):
        SimulatorServer(replay_dir=tmp_path / "missing")
    with pytest.raises(ValueError, match="unknown fault"):
        SimulatorServer(faults={"providers": {"okx": [{"kind": "no"}]}})


def test_base_urls() -> None:
    root = "http://127.0.0.1:9/"
    assert world_base_url(root, "simulated", 7, None, "okx") == "http://127.0.0.1:9/sim/7/now/okx"
    assert world_base_url(root, "replay", 7, 5, "okx") == "http://127.0.0.1:9/replay/5/okx"
    assert SimulatorServer.world_base_url is world_base_url
    with pytest.raises(ValueError, match="mode must be"):
        world_base_url(root, "live", 7, 5, "okx")
    with pytest.raises(ValueError, match="unknown provider"):
        world_base_url(root, "replay", 7, 5, "nobody")


def test_importing_and_starting_does_not_load_numpy() -> None:
    code = (
        "import sys; from sigmax_tasks.simulator import SimulatorServer\n"
        "with SimulatorServer(): pass\n"
        "assert 'numpy' not in sys.modules and 'ccxt' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
