"""Coins of the simulated market as an aggregator lists them: caps, supplies, changes, activity."""

from __future__ import annotations

from typing import Final

import numpy as np

from sigmax_tasks.simulator import dice
from sigmax_tasks.simulator.assets import ASSETS, INDEX, Asset
from sigmax_tasks.simulator.chain import CHAINS, ChainData
from sigmax_tasks.simulator.prices import DAY_MS, EPOCH_MS, PriceEngine
from sigmax_tasks.simulator.tape import Tape
from sigmax_tasks.simulator.world import Coin, GlobalMarket, Market

_GENESIS: Final = {
    "BTC": "2009-01-03",
    "ETH": "2015-07-30",
    "LTC": "2011-10-07",
    "DOGE": "2013-12-08",
    "XMR": "2014-04-18",
}
_CHANGE_DAYS: Final = (7, 14, 30, 60, 200, 365)
_OTHERS: Final = 1.12
"""The whole market against the coins simulated here."""


def index_market(asset: Asset) -> Market:
    """A USD market over all venues, which no exchange lists: eight significant decimals."""
    decimals = max(asset.price_decimals + 2, 4)
    return Market(asset.base, "USD", min(decimals, 10), 4 if asset.level > 1 else 0, asset.name)


class CoinList:
    def __init__(self, engine: PriceEngine, chain: ChainData) -> None:
        self._engine = engine
        self._chain = chain

    def coin(self, asset: Asset, tape: Tape, now_ms: int) -> Coin:
        number = INDEX[asset.base]
        day = (now_ms - EPOCH_MS) // DAY_MS
        candles = tape.candles(3600, now_ms - DAY_MS, None, 30, now_ms)
        price = candles[-1].close
        past = self._engine.level[: day + 1, number]
        tops, bottoms = int(np.argmax(past)), int(np.argmin(past))
        high, low = max(c.high for c in candles), min(c.low for c in candles)
        ath = max(asset.level * float(np.exp(past[tops])), high)
        atl = min(asset.level * float(np.exp(past[bottoms])), low)
        changes = {1: (price / candles[0].open - 1.0) * 100.0}
        for days in _CHANGE_DAYS:
            if day - days >= 0:
                before = asset.level * float(np.exp(self._engine.level[day - days, number]))
                changes[days] = (price / before - 1.0) * 100.0
        luck = dice.uniform(
            dice.key(self._engine.seed, "repository", asset.base), np.arange(4, dtype=np.int64)
        )
        size = asset.daily_usd**0.35
        return Coin(
            coin_id=asset.coin_id,
            symbol=asset.base.lower(),
            name=asset.name,
            rank=self.rank(asset, now_ms),
            price=price,
            total_volume=sum(c.quote_volume or 0.0 for c in candles),
            circulating=asset.supply,
            total=asset.supply if asset.maximum is None else min(asset.supply * 1.1, asset.maximum),
            maximum=asset.maximum,
            high_24h=high,
            low_24h=low,
            ath=ath,
            ath_ms=now_ms if ath == high else EPOCH_MS + tops * DAY_MS,
            atl=atl,
            atl_ms=now_ms if atl == low else EPOCH_MS + bottoms * DAY_MS,
            changes=changes,
            categories=(asset.category,),
            genesis_date=_GENESIS.get(asset.base),
            stars=int(size * (4 + 14 * luck[0])),
            forks=int(size * (2 + 6 * luck[1])),
            commits_4_weeks=int(10 + 300 * luck[2] ** 2),
            contributors=int(20 + size * luck[3]),
            tvl=self._tvl(asset, now_ms),
        )

    def rank(self, asset: Asset, now_ms: int) -> int:
        caps = self._caps(now_ms)
        return 1 + int(np.sum(caps > caps[INDEX[asset.base]]))

    def global_market(self, now_ms: int) -> GlobalMarket:
        caps, before = self._caps(now_ms), self._caps(now_ms - DAY_MS)
        total = float(np.sum(caps)) * _OTHERS
        day = (now_ms - EPOCH_MS) // DAY_MS
        heat = float(self._engine.sigma[day] / 0.024) ** 0.8
        shares = {
            asset.base.lower(): float(caps[n]) / total * 100.0 for n, asset in enumerate(ASSETS)
        }
        top = dict(sorted(shares.items(), key=lambda item: -item[1])[:10])
        return GlobalMarket(
            now_ms=now_ms,
            active=16_000,
            venues=1_200,
            cap_usd=total,
            volume_usd=sum(asset.daily_usd for asset in ASSETS) * heat,
            shares=top,
            change_24h=(total / (float(np.sum(before)) * _OTHERS) - 1.0) * 100.0,
        )

    def _caps(self, now_ms: int) -> dice.Floats:
        """Market caps at the start of the day that contains `now_ms`."""
        day = (now_ms - EPOCH_MS) // DAY_MS
        supply = np.array([asset.supply for asset in ASSETS])
        level = np.array([asset.level for asset in ASSETS])
        caps: dice.Floats = supply * level * np.exp(self._engine.level[day])
        return caps

    def _tvl(self, asset: Asset, now_ms: int) -> float | None:
        chains = [name for name, (native, _) in CHAINS.items() if native == asset.base]
        if not chains:
            return None
        return self._chain.tvl(chains[0], now_ms)[-1].value
