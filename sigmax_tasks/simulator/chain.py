"""Simulated chain statistics, funding, fear and greed, and DeFi figures of a seed.

Each daily metric is a base value that grows, moves with the asset's price and with the market's
volatility, and has a weekly rhythm and noise. Only BTC and ETH have exchange flows, and only some
assets have MVRV, as in the free sets of the real providers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from sigmax_tasks.simulator import dice
from sigmax_tasks.simulator.assets import ASSETS, INDEX
from sigmax_tasks.simulator.dice import Floats
from sigmax_tasks.simulator.prices import DAY_MS, EPOCH_MS, PriceEngine
from sigmax_tasks.simulator.world import FearGreed, FeeSeries, Funding, Point, UnknownNameError

_EIGHT_HOURS_MS: Final = 8 * 3_600_000

# asset: active addresses, transactions, fees in coins, hash rate TH/s, difficulty
ACTIVITY: Final = MappingProxyType(
    {
        "btc": (820_000, 420_000, 22.0, 450e6, 62e12),
        "eth": (480_000, 1_150_000, 900.0, None, None),
        "ltc": (320_000, 160_000, 9.0, 1_000.0, 30e6),
        "doge": (90_000, 60_000, 30_000.0, 900.0, 12e6),
        "bch": (60_000, 45_000, 0.9, 3.5e6, 480e9),
        "xrp": (35_000, 1_600_000, 4_000.0, None, None),
        "ada": (45_000, 70_000, 14_000.0, None, None),
        "xlm": (60_000, 5_000_000, 900.0, None, None),
        "etc": (30_000, 38_000, 60.0, 190.0, 2.4e15),
        "zec": (8_000, 7_000, 1.5, 9e-3, 95e6),
        "dash": (55_000, 22_000, 2.0, 3_000.0, 90e6),
    }
)
_METRICS: Final = (
    "AdrActCnt",
    "TxCnt",
    "TxTfrCnt",
    "FeeTotNtv",
    "FeeTotUSD",
    "BlkCnt",
    "SplyCur",
    "PriceUSD",
    "CapMrktCurUSD",
    "IssTotUSD",
)
_WITH_MVRV: Final = frozenset({"btc", "eth", "ltc", "doge", "bch", "xrp", "ada"})
_WITH_FLOWS: Final = frozenset({"btc", "eth"})


@dataclass(frozen=True, slots=True)
class Defi:
    name: str
    slug: str
    category: str
    asset: str
    chains: tuple[str, ...]
    fees: float
    kept: float


# chain: native asset, TVL in USD
CHAINS: Final = MappingProxyType(
    {
        "Ethereum": ("ETH", 55e9),
        "Solana": ("SOL", 6e9),
        "BSC": ("BNB", 5e9),
        "Bitcoin": ("BTC", 3e9),
        "Tron": ("TRX", 6e9),
        "Arbitrum": ("ETH", 2.8e9),
        "Base": ("ETH", 2.4e9),
        "Avalanche": ("AVAX", 1.1e9),
        "Polygon": ("MATIC", 1e9),
        "Optimism": ("ETH", 0.8e9),
        "Sui": ("SUI", 1.1e9),
        "Aptos": ("APT", 0.7e9),
        "Cardano": ("ADA", 0.35e9),
        "Near": ("NEAR", 0.25e9),
        "Cosmos": ("ATOM", 0.03e9),
        "Injective": ("INJ", 0.05e9),
        "Sei": ("SEI", 0.2e9),
        "Polkadot": ("DOT", 0.08e9),
    }
)
PROTOCOLS: Final = (
    Defi("Ethereum", "ethereum", "Chain", "ETH", ("Ethereum",), 4.5e6, 0.8),
    Defi("Solana", "solana", "Chain", "SOL", ("Solana",), 1.6e6, 0.5),
    Defi("Bitcoin", "bitcoin", "Chain", "BTC", ("Bitcoin",), 1.3e6, 0.0),
    Defi("Tron", "tron", "Chain", "TRX", ("Tron",), 1.8e6, 1.0),
    Defi("BSC", "bsc", "Chain", "BNB", ("BSC",), 6e5, 0.1),
    Defi("Base", "base", "Chain", "ETH", ("Base",), 2e5, 0.9),
    Defi("Arbitrum", "arbitrum", "Chain", "ARB", ("Arbitrum",), 7e4, 0.7),
    Defi("OP Mainnet", "op-mainnet", "Chain", "OP", ("Optimism",), 8e4, 0.7),
    Defi("Avalanche", "avalanche", "Chain", "AVAX", ("Avalanche",), 5e4, 1.0),
    Defi("Polygon", "polygon", "Chain", "MATIC", ("Polygon",), 3e4, 0.6),
    Defi("Sui", "sui", "Chain", "SUI", ("Sui",), 3e4, 0.4),
    Defi("Aptos", "aptos", "Chain", "APT", ("Aptos",), 1e4, 0.4),
    Defi("Near", "near", "Chain", "NEAR", ("Near",), 2e4, 0.7),
    Defi("Cardano", "cardano", "Chain", "ADA", ("Cardano",), 1.2e4, 0.0),
    Defi("Lido", "lido", "Liquid Staking", "LDO", ("Ethereum",), 2.4e6, 0.1),
    Defi("Uniswap V3", "uniswap-v3", "Dexs", "UNI", ("Ethereum", "Arbitrum", "Base"), 1.9e6, 0.0),
    Defi("Aave V3", "aave-v3", "Lending", "AAVE", ("Ethereum", "Arbitrum", "Base"), 1.2e6, 0.16),
    Defi("Sky Lending", "sky-lending", "CDP", "MKR", ("Ethereum",), 8e5, 0.6),
    Defi("Curve DEX", "curve-dex", "Dexs", "CRV", ("Ethereum", "Arbitrum"), 1.2e5, 0.5),
    Defi("Compound V3", "compound-v3", "Lending", "COMP", ("Ethereum", "Base"), 1.2e5, 0.1),
    Defi("SushiSwap", "sushiswap", "Dexs", "SUSHI", ("Ethereum", "Arbitrum"), 4e4, 0.16),
    Defi("Synthetix", "synthetix", "Derivatives", "SNX", ("Optimism", "Base"), 4e4, 0.8),
    Defi("Yearn Finance", "yearn-finance", "Yield", "YFI", ("Ethereum",), 3e4, 0.5),
    Defi("Injective", "injective", "Derivatives", "INJ", ("Injective",), 2e4, 0.6),
    Defi("Jupiter Aggregator", "jupiter-aggregator", "Dexs", "JUP", ("Solana",), 6e5, 0.3),
    Defi("The Graph", "the-graph", "Infrastructure", "GRT", ("Ethereum", "Arbitrum"), 4e3, 0.01),
)


class ChainData:
    """Daily statistics of one seed; every series ends with yesterday."""

    def __init__(self, engine: PriceEngine) -> None:
        self._engine = engine

    def names(self, asset: str) -> tuple[str, ...]:
        """The metrics of an asset; UnknownNameError for an asset without any."""
        if asset not in ACTIVITY:
            raise UnknownNameError(asset)
        names = list(_METRICS)
        if ACTIVITY[asset][3] is not None:
            names += ["HashRate", "DiffMean"]
        if asset in _WITH_MVRV:
            names.append("CapMVRVCur")
        if asset in _WITH_FLOWS:
            names += ["FlowInExUSD", "FlowOutExUSD"]
        return tuple(names)

    def metric(self, asset: str, metric: str, now_ms: int) -> list[Point]:
        if metric not in self.names(asset):
            raise UnknownNameError(metric)
        days = (now_ms - EPOCH_MS) // DAY_MS
        values = self._values(asset, metric)[:days]
        start = EPOCH_MS // 1000
        return [Point(start + 86_400 * n, value) for n, value in enumerate(values.tolist())]

    def _values(self, asset: str, metric: str) -> Floats:
        engine = self._engine
        base = asset.upper()
        number = INDEX[base]
        level = engine.level[1 : engine.days + 1, number]
        price = ASSETS[number].level * np.exp(level)
        supply = ASSETS[number].supply * (1.0 + 0.012 * (np.arange(engine.days) / 365.25 - 5.0))
        addresses, count, fees, hash_rate, difficulty = ACTIVITY[asset]
        noise = self._noise(asset, metric)
        heat = np.log(engine.sigma / 0.024)
        week = 0.04 * np.cos(np.arange(engine.days) % 7 / 7.0 * 2.0 * np.pi)
        years = np.arange(engine.days) / 365.25 - 4.0
        money = {
            "PriceUSD": price,
            "SplyCur": supply,
            "CapMrktCurUSD": price * supply,
            "IssTotUSD": price * ASSETS[number].supply * 0.012 / 365.25,
        }
        if metric in money:
            return money[metric]
        match metric:
            case "AdrActCnt":
                active: Floats = np.exp(0.25 * level + 0.08 * heat + week + 0.05 * noise)
                return np.rint(addresses * active)
            case "TxCnt":
                busy: Floats = np.exp(0.12 * level + 0.06 * heat + week + 0.06 * noise)
                return np.rint(count * busy)
            case "TxTfrCnt":
                return np.rint(1.9 * count * np.exp(0.15 * level + week + 0.06 * noise))
            case "FeeTotNtv":
                fee: Floats = fees * np.exp(0.3 * level + 0.5 * heat + 0.25 * noise)
                return fee
            case "FeeTotUSD":
                usd: Floats = self._values(asset, "FeeTotNtv") * price
                return usd
            case "BlkCnt":
                return np.rint(144.0 + 6.0 * noise)
            case "HashRate":
                growth = np.exp(0.35 * years + 0.1 * level + 0.04 * noise)
                rate: Floats = float(hash_rate or 0.0) * growth
                return rate
            case "DiffMean":
                step = np.arange(engine.days) // 14 * 14
                moved = np.exp(0.35 * years[step] + 0.1 * level[step])
                hard: Floats = float(difficulty or 0.0) * moved
                return hard
            case "CapMVRVCur":
                ratio: Floats = 1.75 * np.exp(0.75 * level + 0.01 * noise)
                return ratio
            case _:
                lean = 0.1 * np.tanh(engine.factor / engine.sigma)
                sign = -1.0 if metric == "FlowInExUSD" else 1.0
                turnover = 0.06 * ASSETS[number].daily_usd
                flow: Floats = turnover * np.exp(
                    0.6 * heat + 0.8 * level + sign * lean + 0.12 * noise
                )
                return flow

    def _noise(self, asset: str, metric: str) -> Floats:
        stamp = np.arange(self._engine.days, dtype=np.int64)
        return dice.normal(dice.key(self._engine.seed, "chain", asset, metric), stamp)

    def fear_greed(self, now_ms: int, limit: int) -> list[FearGreed]:
        """One value a day at 00:00 UTC, from the days before it; newest first."""
        engine = self._engine
        today = (now_ms - EPOCH_MS) // DAY_MS
        first = 31 if limit == 0 else max(31, today - limit + 1)
        day = np.arange(first, today + 1)
        if not len(day):
            return []
        level = engine.level[:, 0]
        month = np.tanh((level[day] - level[day - 30]) / 0.25)
        week = np.tanh((level[day] - level[day - 7]) / 0.10)
        heat = np.tanh(engine.sigma[day - 1] / 0.024 - 1.0)
        noise = dice.normal(dice.key(engine.seed, "fear and greed"), day.astype(np.int64))
        value = np.clip(np.rint(50 + 28 * month + 12 * week - 12 * heat + 4 * noise), 4, 96)
        start = EPOCH_MS // 1000
        rows = [
            FearGreed(start + 86_400 * d, int(v), _label(int(v)))
            for d, v in zip(day.tolist(), value.tolist(), strict=True)
        ]
        return rows[::-1]

    def funding(
        self, base: str, now_ms: int, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[Funding]:
        """Rates at 00:00, 08:00 and 16:00 UTC: the last `limit`, or the first from `start_ms`."""
        if base not in INDEX:
            raise UnknownNameError(base)
        number = INDEX[base]
        last = (min(now_ms, now_ms if end_ms is None else end_ms) - EPOCH_MS) // _EIGHT_HOURS_MS
        first = last - limit + 1
        if start_ms is not None:
            first = -(-(start_ms - EPOCH_MS) // _EIGHT_HOURS_MS)
            last = min(last, first + limit - 1)
        first = max(first, 24)
        if last < first:
            return []
        slot = np.arange(first, last + 1, dtype=np.int64)
        day = slot // 3
        level = self._engine.level[:, number]
        trend = np.tanh((level[day] - level[day - 5]) / 0.12)
        noise = dice.normal(dice.key(self._engine.seed, "funding", base), slot)
        rate = np.clip(1e-4 + 2.2e-4 * trend + 0.6e-4 * noise, -3e-3, 3e-3)
        part = (slot % 3) / 3.0
        log_price = level[day] * (1 - part) + level[np.minimum(day + 1, self._engine.days)] * part
        mark = ASSETS[number].level * np.exp(np.where(part > 0, level[day], log_price))
        rows = zip((EPOCH_MS + slot * _EIGHT_HOURS_MS).tolist(), rate, mark, strict=True)
        return [Funding(t, round(float(r), 8), float(m)) for t, r, m in rows]

    def tvl(self, chain: str | None, now_ms: int) -> list[Point]:
        """Daily TVL at 00:00 UTC and the current point; without a chain the sum over all."""
        if chain is None:
            parts = [self.tvl(name, now_ms) for name in CHAINS]
            return [Point(p[0].seconds, sum(q.value for q in p)) for p in zip(*parts, strict=True)]
        if chain not in CHAINS:
            raise UnknownNameError(chain)
        asset, usd = CHAINS[chain]
        days = (now_ms - EPOCH_MS) // DAY_MS + 1
        level = self._engine.level[:days, INDEX[asset]]
        noise = self._noise("tvl", chain)[:days]
        values = np.rint(usd * np.exp(0.8 * level + 0.01 * noise))
        start = EPOCH_MS // 1000
        return [Point(start + 86_400 * n, v) for n, v in enumerate(values.tolist())]

    def fees(
        self, data_type: str, chain: str | None, slug: str | None, now_ms: int
    ) -> list[FeeSeries]:
        if chain is not None and chain not in CHAINS:
            raise UnknownNameError(chain)
        chosen: Sequence[Defi] = [
            protocol
            for protocol in PROTOCOLS
            if (chain is None or chain in protocol.chains) and slug in (None, protocol.slug)
        ]
        rows = []
        for protocol in chosen:
            kept = {"dailyFees": 1.0, "dailyRevenue": protocol.kept}.get(data_type)
            if kept is None:
                kept = protocol.kept * 0.5
            share = 1.0 if chain is None else 1.0 / len(protocol.chains)
            days = (now_ms - EPOCH_MS) // DAY_MS
            level = self._engine.level[:days, INDEX[protocol.asset]]
            heat = np.log(self._engine.sigma[:days] / 0.024)
            noise = self._noise("fees", protocol.slug)[:days]
            usd = protocol.fees * kept * share * np.exp(0.7 * level + 0.5 * heat + 0.12 * noise)
            start = EPOCH_MS // 1000
            points = [
                Point(start + 86_400 * n, float(v)) for n, v in enumerate(np.rint(usd).tolist())
            ]
            rows.append(
                FeeSeries(protocol.name, protocol.slug, protocol.category, protocol.chains, points)
            )
        return rows


def _label(value: int) -> str:
    """The real index called 25 extreme fear, whatever its printed bands say."""
    for upper, label in ((25, "Extreme Fear"), (46, "Fear"), (54, "Neutral"), (75, "Greed")):
        if value <= upper:
            return label
    return "Extreme Greed"
