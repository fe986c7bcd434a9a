"""What a question to the model costs: at most, before it is asked, and by its answer. Pure."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from sigmax_tasks.models.llm_policy import LlmPolicy

BYTES_PER_TOKEN = 3
"""No more tokens than a third of the bytes: English has four to a token, JSON about three."""
_MILLION = Decimal(1_000_000)
_MICRO = Decimal("0.000001")


def most_prompt_tokens(body: bytes) -> int:
    """The upper bound of the tokens of a request."""
    return -(-len(body) // BYTES_PER_TOKEN)


def usd_of(policy: LlmPolicy, prompt_tokens: int, completion_tokens: int) -> Decimal:
    """The price in whole micro-dollars, rounded up."""
    price = (
        policy.input_usd_per_million_tokens * prompt_tokens
        + policy.output_usd_per_million_tokens * completion_tokens
    ) / _MILLION
    return price.quantize(_MICRO, rounding=ROUND_CEILING)


def most_usd(policy: LlmPolicy, body: bytes) -> Decimal:
    """The most that a request can cost, to be reserved before it is made."""
    return usd_of(policy, most_prompt_tokens(body), policy.max_tokens)
