"""What is kept of a debate that a language model held, or should have held."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from sigmax_planner.models import Message, Usd

Speaker = Literal["bull", "bear", "judge"]


class ModelClaim(Message):
    """What the model says for a side. The evidence it cites is in the bundle, as are its numbers.

    The words are the model's: they count for nothing in the score.
    """

    side: Speaker
    text: str = Field(max_length=400)
    evidence_ids: tuple[str, ...] = Field(min_length=1)


class StruckClaim(Message):
    """What was struck out of the model's answers, and why."""

    speaker: Speaker
    text: str = Field(max_length=400)
    reason: str


class SuspectText(Message):
    """A text from outside that reads like an instruction to the model; it was not sent.

    ``where`` is the evidence it stands in, or the outlet of a headline.
    """

    where: str
    text: str = Field(max_length=200)


class ModelDebate(Message):
    """How the model debated. ``fallback`` says why the rules held the debate in its place.

    ``calls`` are the answers it rests on, tokens and ``cost_usd`` what these took when they were
    made (an answer that was kept from before is not paid for again: see :class:`Cost`). Of what was
    struck out, ``struck_count`` things, the first are in ``struck``.
    """

    model: str
    fallback: str = ""
    claims: tuple[ModelClaim, ...] = ()
    summary: str = Field(default="", max_length=600)
    struck_count: int = Field(default=0, ge=0)
    struck: tuple[StruckClaim, ...] = ()
    suspicious: tuple[SuspectText, ...] = ()
    calls: int = Field(default=0, ge=0)
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    cost_usd: Usd = Decimal(0)


class ModelAnswer(Message):
    """One answer of the model as it was given, secrets taken out. What a replay decides on.

    ``cost_usd`` is its price by the tokens that the endpoint counted, or by their upper bound where
    it counted none.
    """

    prompt_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    content: str
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)
    cost_usd: Usd = Field(default=Decimal(0), ge=0)
