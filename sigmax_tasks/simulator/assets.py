"""The assets the simulated exchanges list: invented round levels near recent years' prices."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Asset:
    """`level` USD and `daily_usd` volume at the centre of the simulation; `beta` to the market.

    `own` scales the asset's own volatility; `supply` is in millions of coins; `venues` holds the
    letters of the exchanges that list it (VENUE_LETTERS).
    """

    base: str
    coin_id: str
    name: str
    level: float
    price_decimals: int
    beta: float
    own: float
    daily_usd: float
    supply: float
    maximum: float | None
    venues: str
    category: str


_ROWS: Final = """
BTC|bitcoin|Bitcoin|60000|2|1.00|0.25|18e9|19.7|21|kcb|Layer 1
ETH|ethereum|Ethereum|3000|2|1.15|0.45|11e9|120|-|kcb|Smart Contract Platform
SOL|solana|Solana|140|2|1.40|0.80|3e9|465|-|kcb|Smart Contract Platform
BNB|binancecoin|BNB|560|2|0.95|0.50|1.6e9|146|200|kb|Exchange
XRP|ripple|XRP|0.9|4|0.95|0.85|2.5e9|56000|100000|kcb|Payments
DOGE|dogecoin|Dogecoin|0.15|5|1.30|1.10|1.4e9|145000|-|kcb|Meme
ADA|cardano|Cardano|0.5|4|1.15|0.75|5e8|35500|45000|kcb|Smart Contract Platform
AVAX|avalanche-2|Avalanche|30|3|1.35|0.85|4e8|400|720|kcb|Smart Contract Platform
LINK|chainlink|Chainlink|15|3|1.20|0.75|4.5e8|610|1000|kcb|Oracle
DOT|polkadot|Polkadot|6.5|3|1.20|0.70|2.5e8|1450|-|kcb|Layer 0
LTC|litecoin|Litecoin|85|2|0.95|0.60|4e8|75|84|kcb|Payments
BCH|bitcoin-cash|Bitcoin Cash|380|1|1.05|0.80|3e8|19.7|21|kcb|Payments
TRX|tron|TRON|0.16|5|0.60|0.50|4e8|87000|-|kb|Smart Contract Platform
MATIC|matic-network|Polygon|0.7|4|1.25|0.80|2.5e8|9900|10000|kc|Layer 2
SHIB|shiba-inu|Shiba Inu|0.00002|8|1.30|1.20|4e8|589000000|-|kcb|Meme
PEPE|pepe|Pepe|0.00001|8|1.50|1.60|7e8|420690000|420690000|kcb|Meme
UNI|uniswap|Uniswap|8|3|1.25|0.90|2e8|600|1000|kcb|Decentralized Exchange
AAVE|aave|Aave|110|2|1.25|0.90|2e8|15|16|kcb|Lending
MKR|maker|Maker|2200|1|1.00|0.85|8e7|0.93|1.0|kc|Lending
ATOM|cosmos|Cosmos Hub|7|3|1.15|0.75|1.5e8|390|-|kcb|Layer 0
NEAR|near|NEAR Protocol|5|3|1.35|0.95|3e8|1100|-|kcb|Smart Contract Platform
APT|aptos|Aptos|8|3|1.35|1.00|1.5e8|480|-|kcb|Smart Contract Platform
SUI|sui|Sui|1.6|4|1.45|1.20|6e8|2700|10000|kcb|Smart Contract Platform
ARB|arbitrum|Arbitrum|0.9|4|1.35|0.95|2.5e8|3300|10000|kcb|Layer 2
OP|optimism|Optimism|1.9|3|1.40|1.00|2e8|1200|4294|kcb|Layer 2
FIL|filecoin|Filecoin|4.8|3|1.20|0.85|1.5e8|580|1960|kcb|Storage
ETC|ethereum-classic|Ethereum Classic|23|2|1.15|0.75|2e8|148|210|kcb|Smart Contract Platform
XLM|stellar|Stellar|0.13|5|0.95|0.85|1.5e8|29000|50001|kcb|Payments
ALGO|algorand|Algorand|0.18|4|1.15|0.85|6e7|8200|10000|kcb|Smart Contract Platform
ICP|internet-computer|Internet Computer|10|3|1.25|0.95|1e8|465|-|kcb|Smart Contract Platform
HBAR|hedera-hashgraph|Hedera|0.09|5|1.20|1.00|1.5e8|36000|50000|kcb|Smart Contract Platform
VET|vechain|VeChain|0.028|5|1.15|0.80|5e7|80000|86700|cb|Supply Chain
INJ|injective-protocol|Injective|22|2|1.40|1.10|1.2e8|97|-|kcb|Decentralized Finance
RNDR|render-token|Render|7|3|1.40|1.15|2e8|390|532|kc|Artificial Intelligence
FET|fetch-ai|Fetch.ai|1.4|4|1.40|1.20|2e8|2500|2719|kcb|Artificial Intelligence
GRT|the-graph|The Graph|0.2|4|1.25|0.90|7e7|9500|-|kcb|Infrastructure
LDO|lido-dao|Lido DAO|1.9|3|1.35|1.00|1e8|890|1000|kcb|Liquid Staking
CRV|curve-dao-token|Curve DAO|0.4|4|1.20|1.05|1e8|1200|3030|kcb|Decentralized Exchange
SNX|havven|Synthetix|2.2|3|1.30|0.95|4e7|327|-|kcb|Derivatives
COMP|compound-governance-token|Compound|55|2|1.15|0.85|5e7|8.5|10|kcb|Lending
SUSHI|sushi|Sushi|0.9|4|1.25|1.00|5e7|280|-|kcb|Decentralized Exchange
1INCH|1inch|1inch|0.35|4|1.20|0.85|3e7|1270|1500|kcb|Decentralized Exchange
YFI|yearn-finance|yearn.finance|6500|1|1.05|0.80|3e7|0.0334|0.0367|kcb|Yield
XMR|monero|Monero|160|2|0.70|0.60|8e7|18.4|-|k|Privacy
ZEC|zcash|Zcash|32|2|1.05|0.90|6e7|16|21|kcb|Privacy
DASH|dash|Dash|30|2|1.00|0.80|4e7|12|18.9|kcb|Privacy
EOS|eos|EOS|0.65|4|1.00|0.80|1e8|1500|-|kc|Smart Contract Platform
XTZ|tezos|Tezos|0.8|4|1.05|0.75|3e7|990|-|kcb|Smart Contract Platform
THETA|theta-token|Theta Network|1.5|3|1.20|0.90|4e7|1000|1000|b|Media
SAND|the-sandbox|The Sandbox|0.35|4|1.30|0.95|7e7|2300|3000|kcb|Gaming
MANA|decentraland|Decentraland|0.38|4|1.25|0.90|5e7|1900|-|kcb|Gaming
AXS|axie-infinity|Axie Infinity|6|3|1.30|0.95|5e7|150|270|kcb|Gaming
CHZ|chiliz|Chiliz|0.08|5|1.15|0.95|6e7|8900|-|kcb|Gaming
ENJ|enjincoin|Enjin Coin|0.2|4|1.20|0.90|2e7|1700|-|kb|Gaming
GALA|gala|GALA|0.025|5|1.35|1.05|1e8|35000|50000|kcb|Gaming
IMX|immutable-x|Immutable|1.6|4|1.35|1.00|6e7|1600|2000|kcb|Gaming
TIA|celestia|Celestia|6|3|1.50|1.20|1e8|210|-|kcb|Modular
SEI|sei-network|Sei|0.4|4|1.45|1.15|1.2e8|3300|10000|kcb|Smart Contract Platform
BONK|bonk|Bonk|0.00002|8|1.60|1.60|2e8|69000000|-|kcb|Meme
WIF|dogwifcoin|dogwifhat|2|3|1.65|1.70|3e8|998|998|kcb|Meme
JUP|jupiter-exchange-solana|Jupiter|0.9|4|1.50|1.20|1e8|1350|10000|kb|Decentralized Exchange
PAXG|pax-gold|PAX Gold|2400|1|0.05|0.25|2e7|0.18|-|kcb|Commodity
"""


def _asset(line: str) -> Asset:
    base, coin_id, name, level, decimals, beta, own, usd, supply, maximum, venues, category = (
        line.split("|")
    )
    return Asset(
        base=base,
        coin_id=coin_id,
        name=name,
        level=float(level),
        price_decimals=int(decimals),
        beta=float(beta),
        own=float(own),
        daily_usd=float(usd),
        supply=float(supply) * 1e6,
        maximum=None if maximum == "-" else float(maximum) * 1e6,
        venues=venues,
        category=category,
    )


ASSETS: Final = tuple(_asset(line) for line in _ROWS.strip().splitlines())
BY_BASE: Final = MappingProxyType({asset.base: asset for asset in ASSETS})
BY_COIN_ID: Final = MappingProxyType({asset.coin_id: asset for asset in ASSETS})
INDEX: Final = MappingProxyType({asset.base: number for number, asset in enumerate(ASSETS)})

VENUE_QUOTES: Final = MappingProxyType(
    {
        "kraken": ("USD", "USDT"),
        "coinbase": ("USD", "USDT"),
        "binance": ("USDT",),
        "okx": ("USDT",),
        "bybit": ("USDT",),
    }
)
VENUE_LETTERS: Final = MappingProxyType(
    {"kraken": "k", "coinbase": "c", "binance": "b", "okx": "b", "bybit": "b"}
)
"""Under which letter of an asset's `venues` an exchange stands; the last three list the same."""
VENUE_SHARE: Final = MappingProxyType(
    {
        ("kraken", "USD"): 0.05,
        ("kraken", "USDT"): 0.012,
        ("coinbase", "USD"): 0.14,
        ("coinbase", "USDT"): 0.01,
        ("binance", "USDT"): 0.45,
        ("okx", "USDT"): 0.11,
        ("bybit", "USDT"): 0.09,
        ("index", "USD"): 1.0,
    }
)


def amount_decimals(asset: Asset) -> int:
    """Decimals of an order size so that the smallest step is worth about a cent."""
    decimals, step = 0, asset.level
    while step > 0.05 and decimals < 8:
        decimals, step = decimals + 1, step / 10
    return decimals


def price_decimals(asset: Asset, venue: str) -> int:
    """Kraken quotes bitcoin in tenths; otherwise the venues agree."""
    if venue == "kraken" and asset.base == "BTC":
        return 1
    return asset.price_decimals
