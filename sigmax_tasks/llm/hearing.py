"""The debate by a model from the openings to the record. Pure but for ``ask``.

The model speaks; it does not count. Arguments and their base weights are those of the rules' debate
of the same evidence. The judge says what share of an argument to keep, k, and it weighs

    base weight x (1 - rebuttal_max x (1 - k))

The net is reckoned from these as by the rules. Score, size and action follow from the base weights,
which stay as they are; with ``weighs_score`` the judge's part is taken from them too, and as it is
never more than 1 the score can only shrink.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from sigmax_tasks.errors import ModelDebateError
from sigmax_tasks.llm.answers import Minutes, take_opening, take_rebuttals, take_verdict
from sigmax_tasks.llm.brief import make_brief
from sigmax_tasks.llm.prompts import Prompt, opening, prompt_sha256, rebuttal, verdict
from sigmax_tasks.models.debate import ModelAnswer, ModelDebate
from sigmax_tasks.models.decision import Argument, Case, DebateRecord, ValidationReport
from sigmax_tasks.models.observations import Observation
from sigmax_tasks.models.policy import DebatePolicy, DecisionPolicy
from sigmax_tasks.models.research import ResearchBundle
from sigmax_tasks.stages.debate import debate, judged
from sigmax_tasks.stages.exact import exact
from sigmax_tasks.stages.privacy import Redactor

BY_LLM = "llm"
Ask = Callable[[Sequence[Prompt]], Sequence[ModelAnswer]]
"""Answers to prompts that may be asked at the same time, in their order; raises ModelDebateError.
"""


class Hearing:
    """One debate of one bundle. ``answers`` are those that it rests on so far."""

    def __init__(
        self,
        bundle: ResearchBundle,
        report: ValidationReport,
        policy: DecisionPolicy,
        observations: Mapping[str, Sequence[Observation]],
    ) -> None:
        self._policy = policy.debate
        self._rules = debate(bundle, report, policy)
        self._brief = make_brief(
            bundle,
            self._rules,
            observations,
            max_headlines=policy.debate.llm.max_headlines,
            clean=Redactor(policy.privacy).text,
        )
        self._minutes = Minutes()
        self.answers: list[ModelAnswer] = []

    def hold(self, ask: Ask) -> DebateRecord:
        """The model's debate, or the rules' one with the reason where it came to nothing."""
        try:
            self._argue(ask)
        except ModelDebateError as error:
            return self.by_rules(str(error))
        return _record(self._rules, self._minutes, self._policy, self._facts(""))

    def by_rules(self, reason: str) -> DebateRecord:
        """The rules' debate, which says that a model was to hold it, and why it did not."""
        return self._rules.model_copy(update={"llm": self._facts(reason)})

    def _argue(self, ask: Ask) -> None:
        brief, minutes = self._brief, self._minutes
        sides = brief.sides()
        if not sides:
            raise ModelDebateError("there is no evidence to argue on")
        answers = self._ask(ask, [opening(brief, side) for side in sides])
        for side, answer in zip(sides, answers, strict=True):
            take_opening(answer, side, brief, minutes)
        both = len(sides) == 2
        for number in range(1, self._policy.llm.rounds + 1 if both else 1):
            said, against = tuple(minutes.claims), tuple(minutes.objections)
            asked = [rebuttal(brief, side, said, against, number) for side in sides]
            for side, answer in zip(sides, self._ask(ask, asked), strict=True):
                take_rebuttals(answer, side, brief, minutes, number)
        (answer,) = self._ask(ask, [verdict(brief, minutes.claims, minutes.objections)])
        take_verdict(answer, brief, minutes)

    def _ask(self, ask: Ask, prompts: Sequence[Prompt]) -> list[str]:
        answers = ask(prompts)
        self.answers += answers
        return [answer.content for answer in answers]

    def _facts(self, fallback: str) -> ModelDebate:
        minutes = self._minutes
        return ModelDebate(
            model=self._policy.llm.model or "",
            fallback=fallback,
            claims=tuple(minutes.claims),
            summary=minutes.summary,
            struck_count=minutes.struck_count,
            struck=tuple(minutes.struck),
            suspicious=self._brief.suspicious,
            calls=len(self.answers),
            prompt_tokens=sum(a.prompt_tokens for a in self.answers),
            completion_tokens=sum(a.completion_tokens for a in self.answers),
            cost_usd=sum((a.cost_usd for a in self.answers), Decimal(0)),
        )


def hold_from_answers(
    bundle: ResearchBundle,
    report: ValidationReport,
    policy: DecisionPolicy,
    observations: Mapping[str, Sequence[Observation]],
    answers: Sequence[ModelAnswer],
) -> DebateRecord | None:
    """The debate again from answers that were kept; None where one of them is not there.

    It is not there where what is asked has changed since: by other settings, evidence or words.
    """
    known = {answer.prompt_sha256: answer for answer in answers}
    missing = False

    def ask(prompts: Sequence[Prompt]) -> Sequence[ModelAnswer]:
        nonlocal missing
        names = [prompt_sha256(policy.debate.llm, prompt) for prompt in prompts]
        if any(name not in known for name in names):
            missing = True
            raise ModelDebateError("its answers were not kept")
        return [known[name] for name in names]

    record = Hearing(bundle, report, policy, observations).hold(ask)
    return None if missing else record


def _record(
    rules: DebateRecord,
    minutes: Minutes,
    policy: DebatePolicy,
    facts: ModelDebate,
) -> DebateRecord:
    bull = _case(rules.bull, minutes, policy)
    bear = _case(rules.bear, minutes, policy)
    net, arithmetic = judged(bull.total, bear.total, policy.prior)
    return DebateRecord(
        bull=bull,
        bear=bear,
        rounds=max((o.round_number for o in minutes.objections), default=0),
        net=net,
        arithmetic=arithmetic,
        method=BY_LLM,
        llm=facts,
    )


def _case(case: Case, minutes: Minutes, policy: DebatePolicy) -> Case:
    arguments = [_weighed(argument, minutes, policy) for argument in case.arguments]
    arguments.sort(key=lambda a: (-a.weight, a.evidence_id, a.task_id))
    return Case(
        side=case.side,
        arguments=tuple(arguments),
        total=exact(math.fsum(a.weight for a in arguments)),
    )


def _weighed(argument: Argument, minutes: Minutes, policy: DebatePolicy) -> Argument:
    """The argument as the rules know it, with the objections to it and the judge's share."""
    keep = minutes.kept.get(argument.evidence_id, 1.0)
    left = 1.0 - policy.rebuttal_max * (1.0 - keep)
    weight = exact(argument.base_weight * left)
    notes = [
        f"round {o.round_number}: {o.text} [{', '.join(o.evidence_ids)}]"
        for o in minutes.objections
        if o.against == argument.evidence_id
    ]
    if keep < 1.0:
        notes.append(f"the judge keeps {keep:.2f} of it: counts x {left:.2f}")
    return argument.model_copy(
        update={
            "weight": weight,
            "base_weight": weight if policy.llm.weighs_score else argument.base_weight,
            "rebuttals": tuple(notes),
        }
    )
