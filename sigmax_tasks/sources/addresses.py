"""Where each provider is found: the one thing that differs between the data modes."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from urllib.parse import urlsplit

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.settings.sources import SourceSettings, check_base_url

OVERRIDE_PREFIX = "SIGMAX_BASE_URL_"


@dataclass(frozen=True)
class Addresses:
    """Provider id -> base address, without a trailing slash."""

    base_urls: Mapping[str, str]

    def base_url(self, provider: str) -> str:
        """The address of that provider; ``KeyError`` for one that sources.yaml does not name."""
        return self.base_urls[provider]

    @classmethod
    def live(cls, settings: SourceSettings, environ: Mapping[str, str] | None = None) -> Addresses:
        """The providers' own addresses; ``SIGMAX_BASE_URL_<PROVIDER>`` overrides one of them."""
        env = os.environ if environ is None else environ
        found = {}
        for name, provider in settings.providers.items():
            variable = OVERRIDE_PREFIX + name.upper()
            try:
                found[name] = check_base_url(env.get(variable) or provider.base_url)
            except ValueError as error:
                raise ConfigurationError(f"{variable}: {error}") from error
        return cls(MappingProxyType(found))

    @classmethod
    def simulated(
        cls, settings: SourceSettings, root: str, *, seed: int, as_of: datetime
    ) -> Addresses:
        """Addresses on a simulator: ``{root}/sim/{seed}/{as_of_ms}/{provider}``.

        A provider with a ``simulated_url`` is found there, under the same rule as the simulator.
        """
        found = dict(cls._local(settings, root, f"sim/{seed}/{_ms(as_of)}").base_urls)
        for name, provider in settings.providers.items():
            if provider.simulated_url is not None:
                allowed = settings.allowed_source_roots
                found[name] = check_source_root(provider.simulated_url, allowed)
        return cls(MappingProxyType(found))

    @classmethod
    def replay(cls, settings: SourceSettings, root: str, *, as_of: datetime) -> Addresses:
        """Addresses on a replay server: ``{root}/replay/{as_of_ms}/{provider}``."""
        return cls._local(settings, root, f"replay/{_ms(as_of)}")

    @classmethod
    def of_request(
        cls,
        request: AnalysisRequest,
        settings: SourceSettings,
        environ: Mapping[str, str] | None = None,
    ) -> Addresses:
        """The addresses that a request's data mode asks for."""
        if request.data_mode is DataMode.LIVE:
            return cls.live(settings, environ)
        mode = request.data_mode.value
        if request.source_root is None or request.as_of is None:
            raise ConfigurationError(
                f"a {mode} run needs the address of its data server and a time"
            )
        if request.data_mode is DataMode.REPLAY:
            return cls.replay(settings, request.source_root, as_of=request.as_of)
        if request.seed is None:
            raise ConfigurationError("a simulated run needs a seed")
        return cls.simulated(settings, request.source_root, seed=request.seed, as_of=request.as_of)

    @classmethod
    def _local(cls, settings: SourceSettings, root: str, middle: str) -> Addresses:
        checked = check_source_root(root, settings.allowed_source_roots)
        return cls(MappingProxyType({p: f"{checked}/{middle}/{p}" for p in settings.providers}))


def check_source_root(root: str, allowed: tuple[str, ...] = ()) -> str:
    """``root`` without a trailing slash, if it is http on loopback or one of ``allowed``.

    Anything else is a :class:`ConfigurationError`: a request must not be able to point the workers
    at an address of its choosing.
    """
    try:
        checked = check_base_url(root)
    except ValueError as error:
        raise ConfigurationError(f"data server address: {error}") from error
    parts = urlsplit(checked)
    try:
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        port_is_good = False
    if checked in allowed:
        return checked
    if parts.scheme == "http" and port_is_good and is_loopback(parts.hostname or ""):
        return checked
    raise ConfigurationError(
        f"data server address {root!r} is not http on loopback",
        advice="list it under allowed_source_roots in sources.yaml if it is yours",
    )


def is_loopback(host: str) -> bool:
    """127.0.0.0/8, ::1 or localhost."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
