"""Which world a URL means, and the worlds and answers kept at hand."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from sigmax_tasks.simulator.protocols import ANSWERS
from sigmax_tasks.simulator.protocols.reply import BadRequestError, Reply, Request, json_reply
from sigmax_tasks.simulator.world import NotRecorded, UnknownNameError, World

if TYPE_CHECKING:
    from sigmax_tasks.simulator.recorded_files import Recordings

_SIMULATED: Final = re.compile(
    r"/sim/(-?\d{1,18})/(now|\d{1,14})/([a-z0-9_]{1,40})(/.*)?", re.DOTALL
)
_REPLAY: Final = re.compile(r"/replay/(now|\d{1,14})/([a-z0-9_]{1,40})(/.*)?", re.DOTALL)
_LATEST_MS: Final = 4_102_444_800_000
_MOST_WORLDS: Final = 32
_KEPT_BYTES: Final = 32 * 1024 * 1024

PROVIDERS: Final[Mapping[str, str]] = {
    "kraken": "https://api.kraken.com",
    "coinbase": "https://api.coinbase.com",
    "binance": "https://data-api.binance.vision",
    "binance_futures": "https://fapi.binance.com",
    "okx": "https://www.okx.com",
    "okx_futures": "https://www.okx.com",
    "bybit": "https://api.bybit.com",
    "bybit_futures": "https://api.bybit.com",
    "hyperliquid": "https://api.hyperliquid.xyz",
    "alternative_me": "https://api.alternative.me",
    "coingecko": "https://api.coingecko.com",
    "defillama": "https://api.llama.fi",
    "defillama_coins": "https://coins.llama.fi",
    "defillama_stablecoins": "https://stablecoins.llama.fi",
    "coinmetrics": "https://community-api.coinmetrics.io",
    "blockchain_info": "https://api.blockchain.info",
    "mempool": "https://mempool.space",
    "ethereum_node": "https://ethereum.publicnode.com",
    "blockcypher": "https://api.blockcypher.com",
    "coindesk": "https://www.coindesk.com",
    "cointelegraph": "https://cointelegraph.com",
    "decrypt": "https://decrypt.co",
    "the_block": "https://www.theblock.co",
    "bitcoin_magazine": "https://bitcoinmagazine.com",
    "gdelt": "https://api.gdeltproject.org",
    "reddit": "https://www.reddit.com",
    "stocktwits": "https://api.stocktwits.com",
    "fred": "https://fred.stlouisfed.org",
    "treasury": "https://home.treasury.gov",
    "yahoo": "https://query1.finance.yahoo.com",
    "ecb": "https://data-api.ecb.europa.eu",
    "frankfurter": "https://api.frankfurter.dev",
    "worldbank": "https://api.worldbank.org",
}
"""Provider id to the real base URL whose place the simulator takes."""


@dataclass(frozen=True, slots=True)
class Address:
    """`seed` is None in a replay; `as_of_ms` is None for now."""

    seed: int | None
    as_of_ms: int | None
    provider: str
    request: Request


class BadAddressError(Exception):
    """The URL is not one of the simulator's; the message says what is."""


def world_base_url(root_url: str, mode: str, seed: int, as_of_ms: int | None, provider: str) -> str:
    """Base URL that stands for a provider's real one. `mode` is 'simulated' or 'replay'.

    `seed` is not used in a replay. ValueError for another mode or an unknown provider.
    """
    if provider not in PROVIDERS:
        raise ValueError(f"unknown provider {provider!r}; known: {', '.join(sorted(PROVIDERS))}")
    when = "now" if as_of_ms is None else str(int(as_of_ms))
    root = root_url.rstrip("/")
    if mode == "simulated":
        return f"{root}/sim/{int(seed)}/{when}/{provider}"
    if mode == "replay":
        return f"{root}/replay/{when}/{provider}"
    raise ValueError(f"mode must be 'simulated' or 'replay', not {mode!r}")


def parse_address(target: str, body: bytes = b"") -> Address:
    """The parts of a request target; BadAddressError when it is none of ours."""
    parts = urlsplit(target)
    simulated = _SIMULATED.fullmatch(parts.path)
    replay = _REPLAY.fullmatch(parts.path)
    if simulated is not None:
        seed: int | None = int(simulated[1])
        when, provider, path = simulated[2], simulated[3], simulated[4]
    elif replay is not None:
        seed = None
        when, provider, path = replay[1], replay[2], replay[3]
    else:
        raise BadAddressError(
            "use /sim/{seed}/{as_of}/{provider}/... or /replay/{as_of}/{provider}/..."
        )
    if provider not in ANSWERS:
        raise BadAddressError(f"unknown provider {provider!r}; known: {', '.join(sorted(ANSWERS))}")
    as_of = None if when == "now" else int(when)
    if as_of is not None and as_of > _LATEST_MS:
        raise BadAddressError("as_of is in milliseconds and must be before the year 2100")
    try:
        request = Request.of(unquote(path or "/", errors="strict"), parts.query, body)
    except ValueError:
        raise BadAddressError("the path or the query cannot be decoded") from None
    return Address(seed, as_of, provider, request)


class Worlds:
    """Builds worlds on demand and keeps the latest; answers of a fixed moment are kept as well."""

    def __init__(self, replay_dir: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._replay_dir = replay_dir
        self._clock = clock
        self._lock = threading.Lock()
        self._worlds: OrderedDict[tuple[int | None, int], World] = OrderedDict()
        self._answers: OrderedDict[str, Reply] = OrderedDict()
        self._answer_bytes = 0
        self._recordings: Recordings | None = None

    @property
    def has_recordings(self) -> bool:
        return self._replay_dir is not None

    def answer(self, target: str, address: Address) -> Reply:
        """The provider's answer; what the world lacks is a 404 that says so."""
        if address.request.body:
            target = f"{target} {address.request.body.hex()}"
        if address.as_of_ms is not None:
            with self._lock:
                kept = self._answers.get(target)
                if kept is not None:
                    self._answers.move_to_end(target)
                    return kept
        try:
            world = self.world(address.seed, address.as_of_ms)
            reply = ANSWERS[address.provider](world, address.request)
        except NotRecorded as missing:
            reply = json_reply({"error": "not recorded", "detail": str(missing)}, 404)
        except UnknownNameError as unknown:
            reply = json_reply({"error": "unknown name", "detail": str(unknown)}, 404)
        except BadRequestError as refusal:
            reply = json_reply({"error": "bad request", "detail": str(refusal)}, 400)
        if address.as_of_ms is not None:
            self._keep(target, reply)
        return reply

    def world(self, seed: int | None, as_of_ms: int | None) -> World:
        """The world of a seed, or the recorded one, at a moment; None is now."""
        if as_of_ms is None:
            return self._build(seed, int(self._clock() * 1000))
        key = (seed, as_of_ms)
        with self._lock:
            found = self._worlds.get(key)
            if found is not None:
                self._worlds.move_to_end(key)
                return found
        built = self._build(seed, as_of_ms)
        with self._lock:
            self._worlds[key] = built
            while len(self._worlds) > _MOST_WORLDS:
                self._worlds.popitem(last=False)
        return built

    def _build(self, seed: int | None, now_ms: int) -> World:
        if seed is None:
            # Local: the recorded world is of no use to a simulated run.
            from sigmax_tasks.simulator.recorded import RecordedWorld
            from sigmax_tasks.simulator.recorded_files import Recordings

            if self._replay_dir is None:
                raise NotRecorded("this server was started without a folder of recordings")
            with self._lock:
                if self._recordings is None:
                    self._recordings = Recordings(self._replay_dir)
            return RecordedWorld(self._recordings, now_ms)
        # Local: keeps numpy out of the start-up of whoever only starts the server.
        from sigmax_tasks.simulator.market import SeededWorld

        return SeededWorld(seed, now_ms)

    def _keep(self, target: str, reply: Reply) -> None:
        with self._lock:
            old = self._answers.pop(target, None)
            self._answer_bytes -= 0 if old is None else len(old.body)
            self._answers[target] = reply
            self._answer_bytes += len(reply.body)
            while self._answer_bytes > _KEPT_BYTES:
                _, dropped = self._answers.popitem(last=False)
                self._answer_bytes -= len(dropped.body)
