"""mempool.space: fee estimates, the difficulty epoch and the size of the mempool."""

from __future__ import annotations

from sigmax_tasks.simulator.protocols.reply import Reply, Request, json_reply, unknown_path
from sigmax_tasks.simulator.world import Mempool, World

_EPOCH_BLOCKS = 2016


def answer(world: World, request: Request) -> Reply:
    match request.path.rstrip("/"):
        case "/api/v1/fees/recommended":
            return json_reply(_fees(world.mempool()))
        case "/api/v1/difficulty-adjustment":
            return json_reply(_difficulty(world.mempool()))
        case "/api/mempool":
            return json_reply(_size(world.mempool()))
        case "/api/blocks/tip/height":
            return Reply(200, str(world.mempool().height).encode(), "text/plain")
        case _:
            return unknown_path(request)


def _fees(pool: Mempool) -> dict[str, int]:
    return {
        "fastestFee": pool.fastest_fee,
        "halfHourFee": pool.half_hour_fee,
        "hourFee": pool.hour_fee,
        "economyFee": max(1, pool.hour_fee // 2),
        "minimumFee": 1,
    }


def _difficulty(pool: Mempool) -> dict[str, float | int]:
    """Times in milliseconds, but `previousTime` in seconds, as the real one sends them."""
    left = _EPOCH_BLOCKS - pool.blocks_into_epoch
    remaining = int(left * pool.average_block_ms)
    return {
        "progressPercent": pool.blocks_into_epoch / _EPOCH_BLOCKS * 100.0,
        "difficultyChange": (600_000.0 / pool.average_block_ms - 1.0) * 100.0,
        "estimatedRetargetDate": pool.now_ms + remaining,
        "remainingBlocks": left,
        "remainingTime": remaining,
        "previousRetarget": pool.previous_retarget,
        "previousTime": pool.epoch_start_ms // 1000,
        "nextRetargetHeight": pool.height + left,
        "timeAvg": int(pool.average_block_ms),
        "adjustedTimeAvg": int(pool.average_block_ms),
        "timeOffset": 0,
        "expectedBlocks": round((pool.now_ms - pool.epoch_start_ms) / 600_000, 2),
    }


def _size(pool: Mempool) -> dict[str, object]:
    """The histogram is `[fee rate, vsize]`, dearest first."""
    rates = (pool.fastest_fee * 3, pool.fastest_fee, pool.half_hour_fee, pool.hour_fee, 1)
    parts = (0.02, 0.08, 0.2, 0.3, 0.4)
    histogram = [[float(r), int(pool.vsize * p)] for r, p in zip(rates, parts, strict=True)]
    return {
        "count": pool.count,
        "vsize": pool.vsize,
        "total_fee": int(sum(rate * size for rate, size in histogram)),
        "fee_histogram": histogram,
    }
