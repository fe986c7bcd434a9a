"""Settings of sources.yaml: the providers, the data sources made of them, and the name tables.

Everything is frozen and closed: an unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from sigmax_planner.models import Symbol
from sigmax_tasks.errors import ConfigurationError, UnknownKeyError
from sigmax_tasks.models.limits import LimitText
from sigmax_tasks.models.observations import DataNeed

ProviderId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Coin = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,15}$")]
OptionValue = str | int | float | bool


def check_base_url(url: str) -> str:
    """``url`` without a trailing slash; ValueError unless http(s), a host and nothing secret."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url!r} is not an http or https address")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("a base address has no user, password, query or fragment")
    return url.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(check_base_url)]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class KeySettings(_Closed):
    """Where a provider's key comes from (``env``) and where it goes (a header or a parameter).

    Where ``required``, the provider is left out while the variable is not set. A key is sent in
    live mode only.
    """

    env: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    place: Literal["header", "query"]
    name: str = Field(min_length=1)
    required: bool = False


class WeightRule(_Closed):
    """What a request counts for whose path fits the glob ``path``.

    With ``parameter`` the rule holds for requests that send it with a value up to ``at_most``, or
    with a list of so many values (``["A","B"]``).
    """

    path: str = Field(min_length=1)
    weight: int = Field(ge=1, le=100_000)
    parameter: str | None = None
    at_most: int | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.parameter is None) != (self.at_most is None):
            raise ValueError("parameter and at_most belong together")
        return self


class ProviderSettings(_Closed):
    """One provider. ``adapter`` is a family of the registry or ``package.module:function``.

    ``limits`` count requests, ``weight_limits`` their weights by the first of ``weights`` that
    fits (none: 1), ``min_interval_seconds`` keeps them apart; all over all workers together.
    The headers are names of answer headers: weight used so far, requests left, seconds until
    there are more. ``options`` are the adapter's own. ``simulated_url`` is asked in simulated runs
    in place of the simulator, which knows the built-in providers only.
    """

    adapter: str = Field(pattern=r"^([a-z][a-z0-9_]*|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$")
    base_url: BaseUrl
    simulated_url: BaseUrl | None = None
    timeout_seconds: float = Field(gt=0, le=120)
    max_response_bytes: int = Field(ge=1_000)
    price_usd_per_request: Decimal = Field(default=Decimal(0), ge=0)
    limits: LimitText | None = None
    min_interval_seconds: float = Field(default=0.0, ge=0, le=3600)
    weight_limits: LimitText | None = None
    weights: tuple[WeightRule, ...] = ()
    used_weight_header: str | None = Field(default=None, min_length=1)
    remaining_header: str | None = Field(default=None, min_length=1)
    reset_header: str | None = Field(default=None, min_length=1)
    key: KeySettings | None = None
    options: dict[str, OptionValue] = Field(default_factory=dict)
    attribution: str = Field(min_length=1)
    terms: str = Field(min_length=1)
    units: str = Field(min_length=1)


class NeedTemplate(_Closed):
    """A :class:`DataNeed` still without its source and symbol."""

    kind: str
    name: str = ""
    limit: int = Field(default=1, ge=1, le=5000)
    market_wide: bool = False
    required: bool = False


class DataSourceSettings(_Closed):
    """One data source of the task catalogue: who answers for it, in which order.

    An answer is shared for ``ttl_seconds`` (``ttl_by_kind`` for payload kinds that differ), and
    for ``stale_if_error_seconds`` where nobody gives a newer one. Where all are combined, those of
    ``fallback`` are asked in the place of the first of ``providers`` when it gives nothing.
    ``cross_check`` are all asked for needs that only compare, whatever ``combine`` says.
    """

    providers: tuple[ProviderId, ...] = Field(min_length=1)
    combine: Literal["first", "all"] = "first"
    fallback: tuple[ProviderId, ...] = ()
    cross_check: tuple[ProviderId, ...] = ()
    ttl_seconds: float = Field(default=0.0, ge=0, le=604_800)
    ttl_by_kind: dict[str, Annotated[float, Field(ge=0, le=604_800)]] = Field(default_factory=dict)
    stale_if_error_seconds: float = Field(default=0.0, ge=0, le=604_800)
    default_needs: tuple[NeedTemplate, ...] = ()

    @field_validator("providers", "fallback", "cross_check")
    @classmethod
    def _no_provider_twice(cls, providers: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(providers)) != len(providers):
            raise ValueError("a provider is listed twice")
        return providers

    @model_validator(mode="after")
    def _fallback_has_a_place(self) -> Self:
        if self.fallback and self.combine != "all":
            raise ValueError("fallback is for combine: all; else put it behind the providers")
        return self

    @property
    def all_providers(self) -> tuple[str, ...]:
        """Everyone who may be asked, each once."""
        return tuple(dict.fromkeys((*self.providers, *self.fallback, *self.cross_check)))

    def ttl_of(self, kind: str) -> float:
        """Seconds that an answer of that payload kind counts as fresh."""
        return self.ttl_by_kind.get(kind, self.ttl_seconds)


class SeriesEntry(_Closed):
    """One provider's name for a series.

    ``coins`` limits it to those base coins; empty: all. ``step_days`` is the usual distance of two
    values (1 daily, 7 weekly, 31 monthly), from which the start of a request is worked out.
    """

    provider: ProviderId
    id: str = Field(min_length=1)
    unit: str = Field(min_length=1)
    step_days: int = Field(default=1, ge=1, le=366)
    coins: tuple[Coin, ...] = ()

    def covers(self, symbol: str | None) -> bool:
        """Whether it is one of that market's base coin."""
        return not self.coins or symbol is None or symbol.partition("/")[0] in self.coins


class QuotaSettings(_Closed):
    """Waiting for a turn at a provider, over all workers.

    ``simulated_limits`` are the ``limits`` of simulated and replayed providers, by provider.
    """

    patience_seconds: float = Field(gt=0)
    cool_down_seconds: float = Field(gt=0, le=86_400)
    trust_seconds: float = Field(ge=0)
    simulated_limits: dict[ProviderId, LimitText] = Field(default_factory=dict)


class BreakerSettings(_Closed):
    """When a provider that fails is left alone, by all workers."""

    failures: int = Field(ge=1)
    window_seconds: float = Field(gt=0)
    hang_seconds: float = Field(gt=0)
    open_seconds: float = Field(gt=0, le=86_400)


class CacheSettings(_Closed):
    """Answers shared between tasks, runs and workers."""

    enabled: bool
    lease_seconds: float = Field(ge=0.5, le=60)
    max_entry_bytes: int = Field(ge=1_000)


class SourceSettings(_Closed):
    """The whole of sources.yaml."""

    user_agent: str = Field(min_length=3, max_length=200, pattern=r"^[\x20-\x7e]+$")
    proxy_url: BaseUrl | None = None
    ca_bundle: str | None = None
    allowed_source_roots: tuple[BaseUrl, ...] = ()
    never_here_minutes: float = Field(ge=0)
    resolve_timeout_seconds: float = Field(gt=0, le=30)
    offline_memory_seconds: float = Field(ge=0)
    max_redirects: int = Field(ge=0, le=10)
    markets_cache_minutes: float = Field(ge=0)
    markets_cache_entries: int = Field(ge=1, le=200)
    live_skew_seconds: float = Field(ge=0, le=600)
    quote_alternatives: dict[Coin, tuple[Coin, ...]]
    quota: QuotaSettings
    breaker: BreakerSettings
    cache: CacheSettings
    providers: dict[ProviderId, ProviderSettings] = Field(min_length=1)
    data_sources: dict[ProviderId, DataSourceSettings] = Field(min_length=1)
    series: dict[ProviderId, dict[str, tuple[SeriesEntry, ...]]]
    coin_ids: dict[Coin, str]
    chains: dict[Coin, str]
    protocols: dict[Coin, str]

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for source, settings in self.data_sources.items():
            self._check_providers(settings.all_providers, f"data_sources.{source}")
        for source, table in self.series.items():
            if source not in self.data_sources:
                raise ValueError(f"series.{source}: no such data source")
            for name, entries in table.items():
                self._check_providers([e.provider for e in entries], f"series.{source}.{name}")
        self._check_providers(list(self.quota.simulated_limits), "quota.simulated_limits")
        return self

    def _check_providers(self, names: tuple[str, ...] | list[str], where: str) -> None:
        unknown = [name for name in names if name not in self.providers]
        if unknown:
            known = ", ".join(sorted(self.providers))
            raise ValueError(f"{where}: unknown provider {unknown[0]!r}; known are {known}")

    def default_needs(self, source: str, symbol: Symbol) -> tuple[DataNeed, ...]:
        """What a custom task gets from ``source`` when it does not say what it wants."""
        return tuple(
            DataNeed(
                source=source,
                kind=template.kind,
                name=template.name,
                limit=template.limit,
                required=template.required,
                symbol=None if template.market_wide else symbol,
            )
            for template in self.data_sources[source].default_needs
        )

    def notices(self, providers: tuple[str, ...]) -> tuple[str, ...]:
        """One line for each of those providers: the attribution it asks for, and its terms."""
        return tuple(
            f"{name}: {self.providers[name].attribution}; {self.providers[name].terms}"
            for name in sorted(set(providers))
            if name in self.providers
        )


def source_settings(mapping: Mapping[str, Any], where: str = "sources.yaml") -> SourceSettings:
    """Checked settings; :class:`ConfigurationError` with one clear line otherwise."""
    try:
        return SourceSettings.model_validate(dict(mapping))
    except ValidationError as error:
        raise _as_configuration_error(error, where) from error


_MODELS: Mapping[str, type[BaseModel]] = {
    "providers": ProviderSettings,
    "weights": WeightRule,
    "key": KeySettings,
    "quota": QuotaSettings,
    "breaker": BreakerSettings,
    "cache": CacheSettings,
    "data_sources": DataSourceSettings,
    "default_needs": NeedTemplate,
    "series": SeriesEntry,
}


def _as_configuration_error(error: ValidationError, where: str) -> ConfigurationError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        owner: type[BaseModel] = SourceSettings
        for part in place[:-1]:
            owner = _MODELS.get(part, owner)
        above = ".".join(place[:-1])
        return UnknownKeyError(place[-1], f"{where} {above}".strip(), owner.model_fields)
    said = first["msg"].removeprefix("Value error, ")
    return ConfigurationError(f"{where}: {'.'.join(place)}: {said}".replace(": : ", ": "))
