"""Questions in a body, and the parts of the world that came with newer providers."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from sigmax_tasks.simulator import SimulatorServer
from sigmax_tasks.simulator.market import SeededWorld
from sigmax_tasks.simulator.world import UnknownNameError

AS_OF = datetime(2024, 11, 15, 12, 0, 30, tzinfo=UTC)
AS_OF_MS = int(AS_OF.timestamp() * 1000)


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as made:
        yield made


def post(server: SimulatorServer, provider: str, path: str, question: Any) -> Any:
    base = server.world_base_url(server.url, "simulated", 5, AS_OF_MS, provider)
    request = urllib.request.Request(base + path, json.dumps(question).encode(), method="POST")  # noqa: S310  # loopback
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # loopback
        return json.loads(answer.read())


def rpc(server: SimulatorServer, method: str, *params: Any) -> Any:
    question = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
    return post(server, "ethereum_node", "/", question)


def test_questions_in_a_body_are_told_apart(server: SimulatorServer) -> None:
    number = rpc(server, "eth_blockNumber")
    price = rpc(server, "eth_gasPrice")
    assert number["id"] == price["id"] == 7
    assert number["result"] != price["result"]
    assert rpc(server, "eth_blockNumber") == number
    block = rpc(server, "eth_getBlockByNumber", number["result"], False)["result"]
    assert block["number"] == number["result"]
    assert 0 <= AS_OF.timestamp() - int(block["timestamp"], 16) <= 12


def test_a_node_answers_errors_with_status_200(server: SimulatorServer) -> None:
    assert rpc(server, "eth_getBalance", "0x0")["error"]["code"] == -32601
    assert rpc(server, "eth_feeHistory", "0x0", "latest", [50])["error"]["code"] == -32602
    assert post(server, "ethereum_node", "/", [1])["error"]["code"] == -32600


def test_the_next_base_fee_is_the_last_of_the_history(server: SimulatorServer) -> None:
    history = rpc(server, "eth_feeHistory", "0x5", "latest", [10, 50, 90])["result"]
    assert len(history["baseFeePerGas"]) == 6
    assert len(history["reward"]) == len(history["gasUsedRatio"]) == 5
    for row in history["reward"]:
        low, middle, high = (int(text, 16) for text in row)
        assert 0 < low < middle < high


def test_fees_and_blocks_do_not_depend_on_when_they_are_asked_for() -> None:
    now = SeededWorld(5, AS_OF_MS).ethereum()
    later = SeededWorld(5, AS_OF_MS + 5 * 12_000).ethereum()
    assert later.block_number == now.block_number + 5
    assert now.base_fees[5:] == later.base_fees[: len(now.base_fees) - 5]


def test_funding_of_eight_hours_is_shared_over_them(server: SimulatorServer) -> None:
    start = AS_OF_MS - 30 * 3_600_000
    question = {"type": "fundingHistory", "coin": "BTC", "startTime": start}
    rows = post(server, "hyperliquid", "/info", question)
    times = [row["time"] for row in rows]
    assert {b - a for a, b in pairwise(times)} == {3_600_000}
    assert start <= times[0]
    assert times[-1] <= AS_OF_MS
    assert post(server, "hyperliquid", "/info", {**question, "coin": "NOPE"}) is None


def test_nothing_is_known_before_it_was_published() -> None:
    morning = SeededWorld(5, int(datetime(2024, 11, 15, 14, 59, tzinfo=UTC).timestamp() * 1000))
    evening = SeededWorld(5, int(datetime(2024, 11, 15, 15, 0, tzinfo=UTC).timestamp() * 1000))
    assert morning.exchange_rate("EUR", "USD")[-1].date == "2024-11-14"
    assert evening.exchange_rate("EUR", "USD")[-1].date == "2024-11-15"
    assert evening.exchange_rate("EUR", "USD")[:-1] == morning.exchange_rate("EUR", "USD")
    years = [row.date for row in evening.yearly("WLD", "NY.GDP.MKTP.KD.ZG")]
    assert years[-1] == "2023"
    spring = SeededWorld(5, int(datetime(2024, 3, 1, tzinfo=UTC).timestamp() * 1000))
    assert spring.yearly("WLD", "NY.GDP.MKTP.KD.ZG")[-1].date == "2022"


def test_unknown_names_are_unknown() -> None:
    world = SeededWorld(5, AS_OF_MS)
    for ask in (
        lambda: world.open_interest("okx_futures", "NOPE"),
        lambda: world.exchange_rate("EUR", "XXX"),
        lambda: world.yearly("WLD", "NOPE"),
        lambda: world.messages("NOPE"),
    ):
        with pytest.raises(UnknownNameError):
            ask()


def test_other_seeds_are_other_worlds_and_the_same_seed_the_same() -> None:
    first, again, other = (SeededWorld(seed, AS_OF_MS) for seed in (5, 5, 6))
    for ask in (
        lambda w: w.open_interest("bybit_futures", "ETH"),
        lambda w: w.stablecoin_supply()[-1],
        lambda w: w.exchange_rate("EUR", "USD")[-1],
        lambda w: [story.title for story in w.messages("BTC")],
    ):
        assert ask(first) == ask(again) != ask(other)


def test_messages_with_a_leaning_are_of_that_leaning() -> None:
    stories = SeededWorld(5, AS_OF_MS).messages("BTC")
    assert {story.section for story in stories} == {"Bullish", "Bearish", ""}
    assert len({story.time_ms for story in stories}) == len(stories)
