"""The table of adapters. A new provider family is one file and one line here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sigmax_planner.errors import UnknownNameError
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.settings.sources import ProviderSettings, SourceSettings
from sigmax_tasks.sources import (
    coingecko,
    defillama,
    derivatives,
    ethereum,
    exchanges,
    fear_greed,
    gdelt,
    macro,
    news,
    onchain,
    rates,
    social,
    stocktwits,
)
from sigmax_tasks.sources.bulk import Bulk
from sigmax_tasks.sources.call import Adapter
from sigmax_tasks.sources.ccxt_session import Markets


class NoOptions(BaseModel):
    """For adapters without options of their own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AnyOptions(BaseModel):
    """Options of a custom adapter, which checks them itself (``call.options.model_extra``)."""

    model_config = ConfigDict(frozen=True, extra="allow")


@dataclass(frozen=True)
class Family:
    """An adapter, the payload kinds it can give (None: not known), and its options.

    ``bulk`` is how it asks for many things in one request, where it can.
    """

    fetch: Adapter
    kinds: frozenset[str] | None
    options: type[BaseModel] = NoOptions
    bulk: Bulk | None = None


@dataclass(frozen=True)
class Provider:
    """A provider of sources.yaml with its adapter, ready to be called."""

    provider_id: str
    settings: ProviderSettings
    family: Family
    options: BaseModel


def _kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


def families(markets: Markets) -> Mapping[str, Family]:
    """The built-in adapters by the name that ``adapter`` has in sources.yaml."""
    series, measures, texts = _kinds("series"), _kinds("measures"), _kinds("texts")
    perpetual = _kinds("funding", "measures")
    return {
        "exchange": Family(
            exchanges.ExchangeAdapter(markets),
            _kinds(*exchanges.KINDS),
            exchanges.ExchangeOptions,
            exchanges.TickersTogether(markets),
        ),
        "alternative_me": Family(fear_greed.fetch_fear_greed, _kinds("fear_greed")),
        "coingecko": Family(coingecko.fetch_coingecko, measures, bulk=coingecko.MarketsTogether()),
        "defillama": Family(defillama.fetch_defillama, series | measures),
        "defillama_prices": Family(
            defillama.fetch_defillama_price,
            measures | _kinds("ticker"),
            bulk=defillama.PricesTogether(),
        ),
        "defillama_stablecoins": Family(defillama.fetch_stablecoins, series),
        "coinmetrics": Family(onchain.fetch_coinmetrics, series, bulk=onchain.MetricsTogether()),
        "blockchain_info": Family(onchain.fetch_blockchain_chart, series),
        "mempool": Family(onchain.fetch_mempool_fees, measures),
        "rss": Family(news.fetch_rss, texts, news.RssOptions),
        "reddit": Family(social.fetch_reddit, texts, social.RedditOptions),
        "fred": Family(macro.fetch_fred, series),
        "fred_api": Family(macro.fetch_fred_api, series),
        "yahoo": Family(macro.fetch_yahoo, series),
        "treasury": Family(macro.fetch_treasury, series),
        "ecb": Family(rates.fetch_ecb, series),
        "frankfurter": Family(rates.fetch_frankfurter, series),
        "worldbank": Family(rates.fetch_worldbank, series),
        "ethereum_node": Family(ethereum.fetch_ethereum_node, measures),
        "blockcypher": Family(ethereum.fetch_blockcypher, measures),
        "gdelt": Family(gdelt.fetch_gdelt, texts, gdelt.GdeltOptions),
        "stocktwits": Family(stocktwits.fetch_stocktwits, texts, stocktwits.StocktwitsOptions),
        "binance_perpetual": Family(derivatives.fetch_binance_perpetual, perpetual),
        "okx_perpetual": Family(derivatives.fetch_okx_perpetual, perpetual),
        "bybit_perpetual": Family(derivatives.fetch_bybit_perpetual, perpetual),
        "hyperliquid": Family(derivatives.fetch_hyperliquid, perpetual),
    }


def build_providers(settings: SourceSettings, markets: Markets) -> dict[str, Provider]:
    """All providers of sources.yaml; :class:`ConfigurationError` for one that cannot be used."""
    known = families(markets)
    return {
        provider_id: _build(provider_id, provider, known)
        for provider_id, provider in settings.providers.items()
    }


def _build(provider_id: str, provider: ProviderSettings, known: Mapping[str, Family]) -> Provider:
    if ":" in provider.adapter:
        family = Family(_custom(provider_id, provider.adapter), None, AnyOptions)
    elif provider.adapter in known:
        family = known[provider.adapter]
    else:
        reason = UnknownNameError("adapter", provider.adapter, known)
        raise ConfigurationError(f"providers.{provider_id}: {reason}")
    try:
        options = family.options.model_validate(provider.options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"providers.{provider_id}.options.{place}: {first['msg']}"
        ) from error
    return Provider(provider_id, provider, family, options)


def _custom(provider_id: str, reference: str) -> Adapter:
    module_name, _, function_name = reference.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"providers.{provider_id}: cannot import the adapter {reference!r}: {error}"
        ) from error
    if not callable(found):
        raise ConfigurationError(f"providers.{provider_id}: {reference!r} is not a function")
    adapter: Adapter = found
    return adapter
