"""privacy: texts without secrets and personal data, and warnings of compliance words (D6).

The observations of a task are cleaned before anything is computed from them, so that what is kept
is also what the finding rests on; then the finding and all reasons. Numbers, ids, times and hashes
are not touched: only free text is. Wallet addresses and transaction hashes are public and stay.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from sigmax_tasks.models.decision import RiskAssessment
from sigmax_tasks.models.observations import Lineage, Missing, Observation, TextItem, Texts
from sigmax_tasks.models.policy import PrivacyPolicy
from sigmax_tasks.models.research import (
    Evidence,
    Finding,
    PhraseCount,
    ResearchBundle,
    TaskOutcome,
)
from sigmax_tasks.redact import redact

_TITLE, _BODY, _URL = 500, 2000, 500
_CLAIM, _SUMMARY = 300, 400
"""The lengths that the messages allow; a mark may be longer than what it stands for."""

_IN_ADDRESSES = ("email",)
"""Long numbers of an address are ids of pages, not of people."""

_INVISIBLE = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
_WORD = re.compile(r"[^\W_]+")


class Redactor:
    """Cleans the texts of one task; ``counts`` says by kind how much was found so far."""

    def __init__(self, policy: PrivacyPolicy) -> None:
        self._kinds = frozenset(policy.personal_data)
        self._in_addresses = self._kinds.intersection(_IN_ADDRESSES)
        self.counts: Counter[str] = Counter()

    def text(self, text: str, limit: int | None = None) -> str:
        """Free text, at most ``limit`` characters of it."""
        return self._clean(text, self._kinds, limit)

    def address(self, text: str, limit: int | None = None) -> str:
        """An address or the part of one."""
        return self._clean(text, self._in_addresses, limit)

    def observations(self, observations: Iterable[Observation]) -> tuple[Observation, ...]:
        return tuple(self._observation(item) for item in observations)

    def gaps(self, gaps: Iterable[Missing]) -> tuple[Missing, ...]:
        return tuple(
            gap.model_copy(update={"need": self.text(gap.need), "reason": self.text(gap.reason)})
            for gap in gaps
        )

    def finding(self, finding: Finding) -> Finding:
        return finding.model_copy(
            update={
                "summary": self.text(finding.summary, _SUMMARY),
                "evidence": tuple(self._evidence(item) for item in finding.evidence),
                "labels": {self.text(k): self.text(v) for k, v in finding.labels.items()},
                "missing": self.gaps(finding.missing),
                "lineage": tuple(self._lineage(item) for item in finding.lineage),
            }
        )

    def _clean(self, text: str, kinds: frozenset[str], limit: int | None) -> str:
        while True:
            found = redact(text, kinds)
            self.counts.update(found.counts)
            if limit is None or len(found.text) <= limit:
                return found.text
            text = found.text[:limit]

    def _observation(self, observation: Observation) -> Observation:
        update: dict[str, object] = {"lineage": self._lineage(observation.lineage)}
        if isinstance(observation.data, Texts):
            items = tuple(self._item(item) for item in observation.data.items)
            update["data"] = observation.data.model_copy(update={"items": items})
        return observation.model_copy(update=update)

    def _item(self, item: TextItem) -> TextItem:
        return item.model_copy(
            update={
                "outlet": self.text(item.outlet),
                "title": self.text(item.title, _TITLE),
                "body": self.text(item.body, _BODY),
                "url": self.address(item.url, _URL),
            }
        )

    def _lineage(self, lineage: Lineage) -> Lineage:
        return lineage.model_copy(update={"endpoint": self.address(lineage.endpoint)})

    def _evidence(self, evidence: Evidence) -> Evidence:
        return evidence.model_copy(update={"claim": self.text(evidence.claim, _CLAIM)})


def phrases_in(texts: Iterable[str], policy: PrivacyPolicy) -> tuple[PhraseCount, ...]:
    """In how many of the texts each phrase of the policy stands; those that stand in none are left
    out."""
    phrases = _words_of_phrases(policy.compliance_phrases)
    counts: Counter[str] = Counter()
    for text in texts:
        words = f" {words_of(text)} "
        counts.update(
            phrase for phrase, (one, several) in phrases.items() if one in words or several in words
        )
    return tuple(
        PhraseCount(phrase=phrase, texts=counts[phrase]) for phrase in phrases if counts[phrase]
    )


@lru_cache(maxsize=8)
def _words_of_phrases(phrases: tuple[str, ...]) -> Mapping[str, tuple[str, str]]:
    """Each phrase as it stands among the words of a text, and with an s behind it."""
    return {phrase: (f" {words_of(phrase)} ", f" {words_of(phrase)}s ") for phrase in phrases}


def phrases_in_observations(
    observations: Iterable[Observation], policy: PrivacyPolicy
) -> tuple[PhraseCount, ...]:
    """The same for the headlines and posts that a task was given."""
    return phrases_in(
        (
            f"{item.title}\n{item.body}"
            for observation in observations
            if isinstance(observation.data, Texts)
            for item in observation.data.items
        ),
        policy,
    )


def flag_compliance(
    risk: RiskAssessment, bundle: ResearchBundle, policy: PrivacyPolicy
) -> RiskAssessment:
    """The assessment with a warning for each phrase in what the tasks read or say.

    What they read was counted when they ran: a phrase that is new in the policy is found there
    only by running the research again.
    """
    found: dict[str, list[str]] = {phrase: [] for phrase in policy.compliance_phrases}
    for outcome in bundle.outcomes:
        for count in outcome.compliance:
            if count.phrase in found:
                texts = "text" if count.texts == 1 else "texts"
                found[count.phrase].append(f"{count.texts} {texts} read by {outcome.task_id}")
        for count in phrases_in(_said(outcome), policy):
            found[count.phrase].append(f"the finding of {outcome.task_id}")
    warnings = tuple(
        f'compliance: "{phrase}" in {_listed(places)}' for phrase, places in found.items() if places
    )
    return risk.model_copy(update={"warnings": (*risk.warnings, *warnings)})


def _said(outcome: TaskOutcome) -> tuple[str, ...]:
    finding = outcome.finding
    if finding is None:
        return ()
    claims = (item.claim for item in finding.evidence)
    return (" \n ".join((finding.summary, *claims, *finding.labels.values())),)


def _listed(places: Sequence[str]) -> str:
    return places[0] if len(places) == 1 else f"{', '.join(places[:-1])} and {places[-1]}"


def words_of(text: str) -> str:
    """Lower case, words parted by single spaces."""
    visible = unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).casefold()
    return " ".join(_WORD.findall(visible))
