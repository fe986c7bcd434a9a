"""An Ethereum JSON-RPC node (errors in the body, with status 200), and BlockCypher."""

from __future__ import annotations

from typing import Any, Final

from sigmax_tasks.simulator.protocols.reply import Reply, Request, iso, json_reply, unknown_path
from sigmax_tasks.simulator.world import EthereumState, World

_PERCENTILES: Final = {10: 0, 50: 1, 90: 2}


class _RefusedError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def answer_node(world: World, request: Request) -> Reply:
    if request.path != "/":
        return unknown_path(request)
    question = request.question()
    if not isinstance(question, dict) or not isinstance(question.get("params", []), list):
        return _error(None, -32600, "Invalid request")
    name = question.get("id")
    try:
        result = _result(world.ethereum(), str(question.get("method")), question.get("params", []))
    except _RefusedError as refusal:
        return _error(name, refusal.code, str(refusal))
    return json_reply({"jsonrpc": "2.0", "id": name, "result": result})


def _error(name: Any, code: int, message: str) -> Reply:
    error = {"code": code, "message": message}
    return json_reply({"jsonrpc": "2.0", "error": error, "id": name})


def _result(state: EthereumState, method: str, params: list[Any]) -> Any:
    match method:
        case "eth_blockNumber":
            return hex(state.block_number)
        case "eth_gasPrice":
            return hex(state.gas_price)
        case "eth_getBlockByNumber":
            return _block(state, params)
        case "eth_feeHistory":
            return _fee_history(state, params)
        case _:
            message = f"the method {method} does not exist/is not available"
            raise _RefusedError(-32601, message)


def _block(state: EthereumState, params: list[Any]) -> dict[str, str] | None:
    if not params or params[0] not in ("latest", hex(state.block_number)):
        return None
    return {
        "number": hex(state.block_number),
        "timestamp": hex(state.block_ms // 1000),
        "baseFeePerGas": hex(state.base_fees[-2]),
    }


def _fee_history(state: EthereumState, params: list[Any]) -> dict[str, Any]:
    try:
        count, newest, percentiles = int(str(params[0]), 16), params[1], params[2]
        columns = [_PERCENTILES[wanted] for wanted in percentiles]
    except (IndexError, KeyError, TypeError, ValueError):
        raise _RefusedError(-32602, "invalid argument") from None
    if newest != "latest" or not 1 <= count <= len(state.rewards):
        raise _RefusedError(-32602, "invalid argument")
    return {
        "oldestBlock": hex(state.block_number - count + 1),
        "baseFeePerGas": [hex(fee) for fee in state.base_fees[-count - 1 :]],
        "gasUsedRatio": list(state.gas_used_ratios[-count:]),
        "reward": [[hex(row[n]) for n in columns] for row in state.rewards[-count:]],
    }


def answer_blockcypher(world: World, request: Request) -> Reply:
    if request.path.rstrip("/") != "/v1/eth/main":
        return unknown_path(request)
    state = world.ethereum()
    low, medium, high = state.rewards[-1]
    base = state.base_fees[-1]
    payload = {
        "name": "ETH.main",
        "height": state.block_number,
        "time": iso(state.block_ms, 6),
        "peer_count": 26,
        "high_gas_price": base + high,
        "medium_gas_price": base + medium,
        "low_gas_price": base + low,
        "high_priority_fee": high,
        "medium_priority_fee": medium,
        "low_priority_fee": low,
        "base_fee": base,
    }
    return json_reply(payload)
