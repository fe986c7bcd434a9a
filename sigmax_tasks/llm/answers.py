"""The model's answers: JSON of a form, and each statement held against the evidence. Pure.

A whole answer that is not JSON of the form is a :class:`ModelDebateError`. A single statement that
does not hold is struck out and the rest stands. Keys that were not asked for, such as an action,
are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sigmax_tasks.errors import ModelDebateError
from sigmax_tasks.llm.brief import Brief, Exhibit
from sigmax_tasks.llm.numbers_check import unfounded_numbers
from sigmax_tasks.llm.prompts import MOST_CLAIMS, Objection
from sigmax_tasks.llm.untrusted import reads_like_an_instruction
from sigmax_tasks.models.debate import ModelClaim, Speaker, StruckClaim

MOST_TEXT = 400
MOST_SUMMARY = 600
MOST_STRUCK = 20
_MOST_ITEMS = 100
_FENCE = re.compile(r"\A\s*```(?:json)?\s*(\{.*\})\s*```\s*\Z", re.DOTALL)
_ADVICE = re.compile(
    r"\b(?:BUY|SELL|HOLD)\b|(?i:\brecommend|\b(?:you|investors|traders|we) (?:should|must)\b)"
)
_Form = TypeVar("_Form", bound=BaseModel)

EvidenceIds = Annotated[tuple[str, ...], Field(min_length=1, max_length=8)]
Said = Annotated[str, Field(min_length=1, max_length=2000)]


class _Asked(BaseModel):
    """A form that was asked for: what else stands in the answer is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _Opening(_Asked):
    claims: list[Any] = Field(max_length=_MOST_ITEMS)


class _Rebuttals(_Asked):
    rebuttals: list[Any] = Field(max_length=_MOST_ITEMS)


class _Verdict(_Asked):
    weights: list[Any] = Field(max_length=_MOST_ITEMS)
    summary: str = Field(default="", max_length=5000)


class _Claim(_Asked):
    evidence_ids: EvidenceIds
    text: Said


class _Rebuttal(_Asked):
    against: str
    evidence_ids: EvidenceIds
    text: Said


class _Weight(_Asked):
    evidence_id: str
    keep: float = Field(ge=0, le=1, strict=True)


@dataclass
class Minutes:
    """What was said and stands, and what was struck out, in the order of the debate."""

    claims: list[ModelClaim] = field(default_factory=list)
    objections: list[Objection] = field(default_factory=list)
    kept: dict[str, float] = field(default_factory=dict)
    summary: str = ""
    struck: list[StruckClaim] = field(default_factory=list)
    struck_count: int = 0

    def strike(self, speaker: Speaker, text: object, reason: str) -> None:
        self.struck_count += 1
        if len(self.struck) < MOST_STRUCK:
            shown = " ".join(str(text).split())[:MOST_TEXT]
            self.struck.append(StruckClaim(speaker=speaker, text=shown, reason=reason[:300]))


def take_opening(content: str, side: Speaker, brief: Brief, minutes: Minutes) -> None:
    for place, item in enumerate(_form(_Opening, content).claims):
        claim = _statement(_Claim, item, side, minutes)
        if claim is None:
            continue
        problem = _too_many(place) or _problem(claim.text, claim.evidence_ids, brief)
        if not problem and brief.exhibits[claim.evidence_ids[0]].side != side:
            problem = f"its evidence {claim.evidence_ids[0]} speaks for the other side"
        if problem:
            minutes.strike(side, claim.text, problem)
        else:
            minutes.claims.append(
                ModelClaim(side=side, text=_one_line(claim.text), evidence_ids=claim.evidence_ids)
            )


def take_rebuttals(
    content: str, side: Speaker, brief: Brief, minutes: Minutes, round_number: int
) -> None:
    for place, item in enumerate(_form(_Rebuttals, content).rebuttals):
        said = _statement(_Rebuttal, item, side, minutes)
        if said is None:
            continue
        target = brief.exhibits.get(said.against)
        if target is None:
            problem = f"argues against {_quoted(said.against)}, which is not in the bundle"
        elif target.side == side:
            problem = f"argues against its own side ({said.against})"
        else:
            problem = _too_many(place) or _problem(
                said.text, said.evidence_ids, brief, also=(target,)
            )
        if problem:
            minutes.strike(side, said.text, problem)
        else:
            minutes.objections.append(
                Objection(side, said.against, _one_line(said.text), said.evidence_ids, round_number)
            )


def take_verdict(content: str, brief: Brief, minutes: Minutes) -> None:
    """The first weight of each argument counts."""
    answer = _form(_Verdict, content)
    for item in answer.weights:
        weight = _statement(_Weight, item, "judge", minutes)
        if weight is None:
            continue
        shown = f"keep {weight.keep:g} of {_quoted(weight.evidence_id)}"
        if weight.evidence_id not in brief.exhibits:
            minutes.strike("judge", shown, "no argument of that id is in the bundle")
        elif weight.evidence_id in minutes.kept:
            minutes.strike("judge", shown, "weighed before")
        else:
            minutes.kept[weight.evidence_id] = weight.keep
    if answer.summary.strip():
        problem = _wording(answer.summary, brief.exhibits.values(), MOST_SUMMARY)
        if problem:
            minutes.strike("judge", answer.summary, problem)
        else:
            minutes.summary = _one_line(answer.summary)


def _form(form: type[_Form], content: str) -> _Form:
    fenced = _FENCE.match(content)
    try:
        # The parser bounds the depth, and the length of an answer is bounded where it is read.
        return form.model_validate_json(fenced[1] if fenced else content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise ModelDebateError("its answer is not JSON") from error
        place = ".".join(str(part) for part in first["loc"]) or "its answer"
        raise ModelDebateError(f"its answer is not of the form asked for: {place}") from error


def _statement(form: type[_Form], item: object, speaker: Speaker, minutes: Minutes) -> _Form | None:
    try:
        return form.model_validate(item)
    except ValidationError:
        minutes.strike(speaker, item, "not of the form asked for")
        return None


def _too_many(place: int) -> str:
    return f"more than {MOST_CLAIMS} were not asked for" if place >= MOST_CLAIMS else ""


def _problem(
    text: str, evidence_ids: Sequence[str], brief: Brief, also: tuple[Exhibit, ...] = ()
) -> str:
    """Why a statement cannot stand, "" where it can."""
    unknown = [name for name in evidence_ids if name not in brief.exhibits]
    if unknown:
        return f"cites {_quoted(unknown[0])}, which is not in the bundle"
    cited = [brief.exhibits[name] for name in evidence_ids]
    return _wording(text, (*cited, *also), MOST_TEXT)


def _wording(text: str, exhibits: Iterable[Exhibit], most: int) -> str:
    exhibits = tuple(exhibits)
    if len(_one_line(text)) > most:
        return f"longer than {most} characters"
    if reads_like_an_instruction(text):
        return "reads like an instruction"
    if _ADVICE.search(text):
        return "advises an action, which was not asked for"
    numbers = [number for exhibit in exhibits for number in exhibit.numbers]
    names = frozenset().union(*(exhibit.names for exhibit in exhibits))
    unfounded = unfounded_numbers(text, numbers, names)
    if unfounded:
        return f"the number {_quoted(unfounded[0])} is not in the evidence it cites"
    return ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
