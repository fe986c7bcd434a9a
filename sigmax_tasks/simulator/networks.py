"""Simulated open interest, stablecoins and the state of the Ethereum network of a seed."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np

from sigmax_tasks.simulator import dice
from sigmax_tasks.simulator.assets import INDEX, Asset
from sigmax_tasks.simulator.prices import DAY_MS, EPOCH_MS, PriceEngine
from sigmax_tasks.simulator.world import EthereumState, OpenInterest, Point

_SHARES: Final = MappingProxyType(
    {"binance_futures": 0.30, "okx_futures": 0.10, "bybit_futures": 0.15, "hyperliquid": 0.06}
)
"""Open interest against the asset's usual daily volume."""
_SLOT_MS: Final = 12_000
_FIRST_BLOCK: Final = 6_988_615
_HISTORY: Final = 20
_GWEI: Final = 10**9
_STABLE_USD: Final = 60e9
_STABLE_GROWTH: Final = 0.25


class Networks:
    def __init__(self, engine: PriceEngine) -> None:
        self._engine = engine

    def open_interest(self, provider: str, asset: Asset, price: float, now_ms: int) -> OpenInterest:
        """More after a rise, and moving a little every hour."""
        day, hour = (now_ms - EPOCH_MS) // DAY_MS, (now_ms - EPOCH_MS) // 3_600_000
        level = float(self._engine.level[day, INDEX[asset.base]])
        noise = dice.one_normal(dice.key(self._engine.seed, "interest", provider, asset.base), hour)
        usd = asset.daily_usd * _SHARES[provider] * float(np.exp(0.9 * level + 0.02 * noise))
        return OpenInterest(now_ms, round(usd / price, 3), price)

    def ethereum(self, now_ms: int) -> EthereumState:
        """A block every twelve seconds; fees follow the market's volatility."""
        newest = (now_ms - EPOCH_MS) // _SLOT_MS
        slots = np.arange(newest - _HISTORY + 1, newest + 2, dtype=np.int64)
        day = (now_ms - EPOCH_MS) // DAY_MS
        heat = float(self._engine.sigma[max(day - 1, 0)]) / 0.024
        stream = dice.key(self._engine.seed, "gas")
        luck = dice.uniform(stream, slots)
        base = np.maximum(6.0 * heat**1.5 * (0.8 + 0.4 * luck), 0.05)
        tips = 0.2 + 1.5 * dice.uniform(stream, slots + (1 << 40))[:-1]
        fees = [int(value * _GWEI) for value in base.tolist()]
        rewards = [
            (int(tip * 0.3 * _GWEI), int(tip * _GWEI), int(tip * 2.5 * _GWEI))
            for tip in tips.tolist()
        ]
        return EthereumState(
            block_number=_FIRST_BLOCK + int(newest),
            block_ms=EPOCH_MS + int(newest) * _SLOT_MS,
            gas_price=fees[-1] + rewards[-1][1],
            base_fees=fees,
            gas_used_ratios=[round(0.3 + 0.4 * value, 6) for value in luck[:-1].tolist()],
            rewards=rewards,
        )

    def stablecoin_supply(self, now_ms: int) -> list[Point]:
        """Dollar value of all stablecoins at 00:00 UTC of each day, the running day included."""
        days = (now_ms - EPOCH_MS) // DAY_MS + 1
        stamp = np.arange(days, dtype=np.int64)
        level = self._engine.level[:days, INDEX["BTC"]]
        noise = dice.normal(dice.key(self._engine.seed, "stablecoins"), stamp)
        growth = _STABLE_GROWTH * stamp / 365.25
        values = _STABLE_USD * np.exp(growth + 0.15 * level + 0.0005 * noise)
        start = EPOCH_MS // 1000
        return [Point(start + 86_400 * n, round(v, 2)) for n, v in enumerate(values.tolist())]
