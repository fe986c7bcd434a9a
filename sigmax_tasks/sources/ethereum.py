"""The Ethereum network now: a JSON-RPC node, and BlockCypher as its stand-in.

Measures ``fee_rates`` (gwei): ``gas_price``, ``base_fee`` of the next block and ``priority_fee``
(median); a node also gives ``priority_fee_low`` and ``priority_fee_high`` (10th and 90th
percentile of the last 20 blocks, their medians). Measures ``chain_head``: ``block_number``. All
are dated by the newest block; one older than ten minutes is a node that has fallen behind.
"""

from __future__ import annotations

from datetime import datetime
from statistics import median
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sigmax_tasks.models.observations import DataNeed, Measure, Observation
from sigmax_tasks.sources.call import Call
from sigmax_tasks.sources.domains import check_newest, observe_measures
from sigmax_tasks.sources.posting import ask_rpc

_WEI_PER_GWEI: Final = 1e9
_BLOCKS: Final = 20
_PERCENTILES: Final = (10, 50, 90)
_STALE_SECONDS: Final = 600
_LONGEST_QUANTITY: Final = 34
_DEAREST_WEI: Final = 10**16


class _FeeHistory(BaseModel):
    oldestBlock: str  # noqa: N815  # the providers' names, here and below
    baseFeePerGas: list[str]  # noqa: N815
    reward: list[list[str]]


class _Block(BaseModel):
    number: str
    timestamp: str


class _MainNet(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    name: str
    height: int = Field(gt=0)
    time: AwareDatetime
    medium_gas_price: float = Field(gt=0, le=_DEAREST_WEI)
    medium_priority_fee: float | None = Field(default=None, ge=0, le=_DEAREST_WEI)
    base_fee: float | None = Field(default=None, ge=0, le=_DEAREST_WEI)


def fetch_ethereum_node(need: DataNeed, call: Call) -> Observation:
    """``eth_getBlockByNumber``, ``eth_gasPrice`` and ``eth_feeHistory`` of a public node."""
    _check(need, call)
    if need.name == "chain_head":
        block = _block(call, ask_rpc(call, "eth_blockNumber", []))
        values = [Measure(name="block_number", value=quantity(call, block.number), unit="blocks")]
        return _observe(need, call, values, _block_time(call, block))
    block = _block(call, "latest")
    price = _gas(call, ask_rpc(call, "eth_gasPrice", []))
    if price <= 0:
        raise call.bad("a gas price of 0")
    raw = ask_rpc(call, "eth_feeHistory", [hex(_BLOCKS), "latest", list(_PERCENTILES)])
    history = call.parse(_FeeHistory, raw)
    if not history.baseFeePerGas or not history.reward:
        raise call.bad("an empty fee history")
    if any(len(row) != len(_PERCENTILES) for row in history.reward):
        raise call.bad("a fee history with other percentiles than asked for")
    rewards = [[_gas(call, text) for text in row] for row in history.reward]
    low, middle, high = (median(column) for column in zip(*rewards, strict=True))
    values = [
        _gwei("gas_price", price),
        _gwei("base_fee", _gas(call, history.baseFeePerGas[-1])),
        _gwei("priority_fee", middle),
        _gwei("priority_fee_low", low),
        _gwei("priority_fee_high", high),
    ]
    return _observe(need, call, values, _block_time(call, block))


def fetch_blockcypher(need: DataNeed, call: Call) -> Observation:
    """``/v1/eth/main``: height, time and gas prices in wei."""
    _check(need, call)
    chain = call.get_model(_MainNet, "/v1/eth/main")
    if chain.name != "ETH.main":
        raise call.bad(f"asked for ETH.main, answered about {chain.name[:20]}")
    if need.name == "chain_head":
        values = [Measure(name="block_number", value=float(chain.height), unit="blocks")]
        return _observe(need, call, values, chain.time)
    stated = {
        "gas_price": chain.medium_gas_price,
        "base_fee": chain.base_fee,
        "priority_fee": chain.medium_priority_fee,
    }
    values = [_gwei(name, wei) for name, wei in stated.items() if wei is not None]
    return _observe(need, call, values, chain.time)


def quantity(call: Call, text: Any) -> int:
    """A number as JSON-RPC writes it: ``0x`` and hexadecimal digits."""
    if not isinstance(text, str) or not text.startswith("0x") or len(text) > _LONGEST_QUANTITY:
        raise call.bad(f"not a hexadecimal number: {str(text)[:40]!r}")
    try:
        return int(text, 16)
    except ValueError as error:
        raise call.bad(f"not a hexadecimal number: {text[:40]!r}") from error


def _check(need: DataNeed, call: Call) -> None:
    if need.name not in {"fee_rates", "chain_head"} or (
        need.symbol and call.base_coin(need) != "ETH"
    ):
        raise call.not_offered(f"{need.label}, it knows ethereum only")


def _block(call: Call, number: Any) -> _Block:
    if number != "latest":
        quantity(call, number)
    return call.parse(_Block, ask_rpc(call, "eth_getBlockByNumber", [number, False]))


def _block_time(call: Call, block: _Block) -> datetime:
    quantity(call, block.number)
    return check_newest(call, quantity(call, block.timestamp) * 1000)


def _gas(call: Call, text: Any) -> int:
    wei = quantity(call, text)
    if wei > _DEAREST_WEI:
        raise call.bad(f"an impossible gas price of {wei} wei")
    return wei


def _gwei(name: str, wei: float) -> Measure:
    return Measure(name=name, value=wei / _WEI_PER_GWEI, unit="gwei")


def _observe(
    need: DataNeed, call: Call, values: list[Measure], block_time: datetime
) -> Observation:
    age = (call.clock.now() - block_time).total_seconds()
    if age > _STALE_SECONDS:
        raise call.bad(f"stale: its newest block is {age / 60:.0f} minutes old")
    return observe_measures(need, call, "ethereum", values, block_time)
