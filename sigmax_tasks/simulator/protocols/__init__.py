"""Real providers' answers from a world's data: one file per provider family."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sigmax_tasks.simulator.protocols import (
    binance,
    blockchain_info,
    coinbase,
    coingecko,
    coinmetrics,
    defillama,
    fear_greed,
    feeds,
    fred,
    kraken,
    mempool,
    okx,
    yahoo,
)
from sigmax_tasks.simulator.protocols.reply import Answer

ANSWERS: Final[Mapping[str, Answer]] = MappingProxyType(
    {
        "kraken": kraken.answer,
        "coinbase": coinbase.answer,
        "binance": binance.answer,
        "binance_futures": binance.answer_futures,
        "okx": okx.answer,
        "alternative_me": fear_greed.answer,
        "coingecko": coingecko.answer,
        "defillama": defillama.answer,
        "coinmetrics": coinmetrics.answer,
        "blockchain_info": blockchain_info.answer,
        "mempool": mempool.answer,
        "coindesk": feeds.answer_coindesk,
        "cointelegraph": feeds.answer_cointelegraph,
        "decrypt": feeds.answer_decrypt,
        "reddit": feeds.answer_reddit,
        "fred": fred.answer,
        "treasury": fred.answer_treasury,
        "yahoo": yahoo.answer,
    }
)
