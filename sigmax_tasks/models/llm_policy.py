"""The knobs of a debate that a language model holds: ``decision.debate.llm`` of decision.yaml."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from sigmax_planner.models import Message
from sigmax_tasks.models.limits import LimitText

UsdPerMillionTokens = Annotated[Decimal, Field(ge=0, le=100_000)]


class LlmPolicy(Message):
    """Where the model is asked, how much, and for what price.

    ``base_url`` is the address before ``/chat/completions``; the key is read from the environment
    variable ``api_key_env`` of the worker. ``rounds`` are those of rebuttal. ``max_tokens`` bounds
    one answer and is sent as ``max_tokens_name``; ``temperature`` None is not sent.
    ``time_limit_seconds`` bounds the whole debate, which never lasts beyond what the run has left.
    ``limits`` are those of the endpoint over all workers, in the notation of sources.yaml. Where
    ``weighs_score``, what the judge takes from an argument is taken from the score as well, which
    can only shrink by it.
    """

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$")] | None = None
    model: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S+$")] | None = None
    api_key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,79}$")] | None = None
    rounds: Annotated[int, Field(ge=0, le=5)] = 1
    max_tokens: Annotated[int, Field(ge=50, le=100_000)] = 1200
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.0
    response_format: Literal["json_object", "text"] = "json_object"
    input_usd_per_million_tokens: UsdPerMillionTokens = Decimal(0)
    output_usd_per_million_tokens: UsdPerMillionTokens = Decimal(0)
    time_limit_seconds: Annotated[float, Field(gt=0, le=3600)] = 45.0
    max_retries: Annotated[int, Field(ge=0, le=5)] = 1
    max_response_bytes: Annotated[int, Field(ge=1_000, le=10_000_000)] = 200_000
    max_headlines: Annotated[int, Field(ge=0, le=100)] = 15
    cache_hours: Annotated[float, Field(ge=0, le=8760)] = 24.0
    limits: LimitText | None = None
    weighs_score: bool = False
