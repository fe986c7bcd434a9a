"""Which coin a text is about: names and tickers, and the words of the whole market."""

from __future__ import annotations

import re
from functools import lru_cache

ASSET_NAMES: dict[str, tuple[str, ...]] = {
    "BTC": ("bitcoin", "bitcoins"),
    "ETH": ("ethereum", "ether"),
    "SOL": ("solana",),
    "BNB": ("bnb chain", "binance coin", "binance smart chain"),
    "XRP": ("ripple", "xrp ledger"),
    "DOGE": ("dogecoin",),
    "ADA": ("cardano",),
    "LINK": ("chainlink",),
    "AVAX": ("avalanche",),
    "LTC": ("litecoin",),
    "DOT": ("polkadot",),
    "MATIC": ("polygon",),
    "POL": ("polygon",),
    "TRX": ("tron",),
    "TON": ("toncoin",),
    "SHIB": ("shiba inu",),
    "UNI": ("uniswap",),
    "ATOM": ("cosmos",),
    "XLM": ("stellar lumens",),
    "BCH": ("bitcoin cash",),
    "ETC": ("ethereum classic",),
    "NEAR": ("near protocol",),
    "APT": ("aptos",),
    "ARB": ("arbitrum",),
    "OP": ("op mainnet",),
    "FIL": ("filecoin",),
    "AAVE": ("aave",),
    "MKR": ("makerdao",),
    "SUI": ("sui network",),
    "PEPE": ("pepecoin",),
    "HYPE": ("hyperliquid",),
    "XMR": ("monero",),
    "ICP": ("internet computer",),
    "ALGO": ("algorand",),
    "INJ": ("injective",),
    "TIA": ("celestia",),
    "HBAR": ("hedera",),
    "CRV": ("curve finance",),
    "LDO": ("lido",),
    "JTO": ("jito",),
}
"""Names by ticker, lower case. A ticker itself counts in capitals or behind a dollar sign."""

MARKET_WORDS = re.compile(
    r"\b(?:crypto\w*|altcoins?|digital assets?|stablecoins?|defi|blockchains?|tokens?|etfs?"
    r"|fed|fomc|federal reserve|interest rates?|rate (?:cut|hike)s?|inflation|cpi|sec|cftc"
    r"|recession|tariffs?|treasury yields?|risk assets?|stocks|wall street)\b",
    re.IGNORECASE,
)
"""Words of the whole market and of the forces that move it."""

# Coins whose name begins with another's: that other is not meant.
_LONGER_NAMES = {"BTC": r"(?! cash| sv| gold)", "ETH": r"(?! classic)"}


@lru_cache(maxsize=512)
def mention_pattern(base: str) -> re.Pattern[str]:
    """Matches the names of that coin in any case, its ticker in capitals or as $ticker."""
    ticker = re.escape(base)
    names = "|".join(re.escape(name) for name in ASSET_NAMES.get(base, ()))
    parts = [rf"(?<![\w$]){ticker}(?!\w)", rf"\$(?i:{ticker})(?!\w)"]
    if names:
        parts.append(rf"(?i:\b(?:{names})\b{_LONGER_NAMES.get(base, '')})")
    return re.compile("|".join(parts))


def mentions(base: str, text: str) -> bool:
    """Whether the text names that coin."""
    return mention_pattern(base).search(text) is not None


def is_market_wide(text: str) -> bool:
    """Whether the text is about the market as a whole; bitcoin counts, it leads the others."""
    return MARKET_WORDS.search(text) is not None or mentions("BTC", text)


def mentions_other(base: str, text: str) -> bool:
    """Whether the text names a known coin other than that one and bitcoin."""
    return any(mentions(other, text) for other in ASSET_NAMES if other not in (base, "BTC"))
