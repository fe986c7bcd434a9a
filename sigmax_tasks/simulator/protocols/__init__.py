"""Real providers' answers from a world's data: one file per provider family."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sigmax_tasks.simulator.protocols import (
    binance,
    blockchain_info,
    bybit,
    coinbase,
    coingecko,
    coinmetrics,
    defillama,
    ethereum,
    fear_greed,
    feeds,
    fred,
    gdelt,
    hyperliquid,
    kraken,
    mempool,
    okx,
    rates,
    stocktwits,
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
        "okx_futures": okx.answer,
        "bybit": bybit.answer,
        "bybit_futures": bybit.answer,
        "hyperliquid": hyperliquid.answer,
        "alternative_me": fear_greed.answer,
        "coingecko": coingecko.answer,
        "defillama": defillama.answer,
        "defillama_coins": defillama.answer_coins,
        "defillama_stablecoins": defillama.answer_stablecoins,
        "coinmetrics": coinmetrics.answer,
        "blockchain_info": blockchain_info.answer,
        "mempool": mempool.answer,
        "ethereum_node": ethereum.answer_node,
        "blockcypher": ethereum.answer_blockcypher,
        "coindesk": feeds.answer_coindesk,
        "cointelegraph": feeds.answer_cointelegraph,
        "decrypt": feeds.answer_decrypt,
        "the_block": feeds.answer_the_block,
        "bitcoin_magazine": feeds.answer_bitcoin_magazine,
        "gdelt": gdelt.answer,
        "reddit": feeds.answer_reddit,
        "stocktwits": stocktwits.answer,
        "fred": fred.answer,
        "treasury": fred.answer_treasury,
        "yahoo": yahoo.answer,
        "ecb": rates.answer_ecb,
        "frankfurter": rates.answer_frankfurter,
        "worldbank": rates.answer_worldbank,
    }
)
