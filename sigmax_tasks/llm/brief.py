"""What the model is told about a market: the evidence with its figures, and texts apart. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from sigmax_tasks.llm.numbers_check import names_in, numbers_in
from sigmax_tasks.llm.untrusted import (
    MOST_SUSPICIOUS,
    headline,
    latest_items,
    reads_like_an_instruction,
    suspect,
)
from sigmax_tasks.models.debate import SuspectText
from sigmax_tasks.models.decision import DebateRecord
from sigmax_tasks.models.observations import Observation
from sigmax_tasks.models.research import Evidence, ResearchBundle

Side = Literal["bull", "bear"]
BULL: Final = "bull"
BEAR: Final = "bear"
DIRECTION = {BULL: "rise", BEAR: "fall"}
MOST_EXHIBITS = 60


@dataclass(frozen=True)
class Exhibit:
    """One argument of the rules' debate, with all that a claim about it may say.

    ``weight`` is its weight before any rebuttal.
    """

    evidence: Evidence
    side: str
    weight: float
    figures: Mapping[str, float]
    suspicious: bool

    @property
    def evidence_id(self) -> str:
        return self.evidence.evidence_id

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        return (*numbers_in(self.evidence.claim), *self.figures.values())

    @cached_property
    def names(self) -> frozenset[str]:
        return names_in(" ".join((self.evidence.claim, self.evidence_id, *self.figures)))


@dataclass(frozen=True)
class Brief:
    """The case as both sides and the judge get it. ``exhibits`` are strongest first, by id."""

    symbol: str
    as_of: str
    exhibits: Mapping[str, Exhibit]
    headlines: tuple[Mapping[str, object], ...]
    suspicious: tuple[SuspectText, ...]

    def sides(self) -> tuple[Side, ...]:
        """The sides that any evidence speaks for."""
        held = {exhibit.side for exhibit in self.exhibits.values()}
        both: tuple[Side, ...] = (BULL, BEAR)
        return tuple(side for side in both if side in held)

    @cached_property
    def facts(self) -> str:
        """The evidence as JSON. Words of strangers are not in it, only their place."""
        content = {
            "symbol": self.symbol,
            "as_of": self.as_of,
            "evidence": [_fact(exhibit) for exhibit in self.exhibits.values()],
        }
        return json.dumps(content, ensure_ascii=True, separators=(",", ":"))

    @cached_property
    def untrusted(self) -> tuple[Mapping[str, object], ...]:
        """What strangers wrote: claims that quote them, then headlines."""
        quoted = [
            {"evidence_id": exhibit.evidence_id, "claim": exhibit.evidence.claim}
            for exhibit in self.exhibits.values()
            if exhibit.evidence.untrusted_text and not exhibit.suspicious
        ]
        return (*quoted, *self.headlines)


def make_brief(
    bundle: ResearchBundle,
    rules: DebateRecord,
    observations: Mapping[str, Sequence[Observation]],
    *,
    max_headlines: int,
    clean: Callable[[str], str],
) -> Brief:
    """``rules`` is the rules' debate of the bundle: its arguments are the exhibits.

    ``clean`` takes secrets and personal data out of all text; research has done so before.
    """
    evidence = {
        item.evidence_id: item.model_copy(update={"claim": clean(item.claim)})
        for finding in bundle.findings
        for item in finding.evidence
    }
    figures = {f.task_id: {m.name: m.value for m in f.metrics} for f in bundle.findings}
    suspicious: list[SuspectText] = []
    exhibits = []
    for case in (rules.bull, rules.bear):
        for argument in case.arguments:
            cited = evidence[argument.evidence_id]
            odd = cited.untrusted_text and reads_like_an_instruction(cited.claim)
            if odd:
                suspicious.append(suspect(cited.evidence_id, cited.claim))
            known = figures[cited.task_id]
            shown = {name: known[name] for name in cited.metric_names if name in known}
            exhibits.append(Exhibit(cited, case.side, argument.base_weight, shown, odd))
    exhibits.sort(key=lambda e: (-e.weight, e.evidence_id))
    headlines = []
    for item in latest_items(observations, max_headlines):
        text = item.model_copy(update={"title": clean(item.title), "outlet": clean(item.outlet)})
        if reads_like_an_instruction(f"{text.title}\n{text.body}"):
            suspicious.append(suspect(text.outlet, text.title))
        else:
            headlines.append(headline(text))
    return Brief(
        symbol=bundle.symbol,
        as_of=bundle.as_of.isoformat(timespec="minutes"),
        exhibits={e.evidence_id: e for e in exhibits[:MOST_EXHIBITS]},
        headlines=tuple(headlines),
        suspicious=tuple(suspicious[:MOST_SUSPICIOUS]),
    )


def _fact(exhibit: Exhibit) -> dict[str, Any]:
    item = exhibit.evidence
    if exhibit.suspicious:
        claim = "withheld: it reads like an instruction"
    elif item.untrusted_text:
        claim = "below, among the words of strangers"
    else:
        claim = item.claim
    return {
        "id": item.evidence_id,
        "speaks_for": DIRECTION[exhibit.side],
        "weight": round(exhibit.weight, 4),
        "claim": claim,
        "figures": {name: float(f"{value:.8g}") for name, value in exhibit.figures.items()},
    }
