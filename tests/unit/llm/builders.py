"""A small case for a model, and models that answer as told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sigmax_planner.models import RiskProfile
from sigmax_tasks.llm.hearing import Hearing
from sigmax_tasks.llm.prompts import Prompt, prompt_sha256
from sigmax_tasks.models.debate import ModelAnswer
from sigmax_tasks.models.decision import DebateRecord, Decision
from sigmax_tasks.models.observations import Observation, TextItem, Texts
from sigmax_tasks.models.policy import DecisionPolicy
from sigmax_tasks.models.research import Evidence, Metric, ResearchBundle
from sigmax_tasks.stages.chain import conclude
from sigmax_tasks.stages.validate import validate
from tests.unit.stages.builders import AS_OF, bundle, evidence, finding, lineage, outcome, policy
from tests.unit.stages.builders import profile as make_profile

Say = Callable[[Prompt], str]


def rules(**changes: Any) -> DecisionPolicy:
    """The shipped policy with a model that is never reached."""
    values = {"llm__base_url": "http://127.0.0.1:9/v1", "llm__model": "test-model", **changes}
    return policy(**{f"debate__{name}": value for name, value in values.items()})


def profile() -> RiskProfile:
    return make_profile()


def headlines(*titles: str) -> Mapping[str, tuple[Observation, ...]]:
    items = tuple(
        TextItem(outlet="Example", title=title, published_at=AS_OF - timedelta(hours=number + 1))
        for number, title in enumerate(titles)
    )
    seen = lineage("news", observed_at=items[0].published_at)
    data = Texts(channel="news", items=items)
    return {"sentiment": (Observation(lineage=seen, data=data),)}


def case() -> ResearchBundle:
    """``technical.trend`` (down, ADX 39.4) speaks for a fall, as does a quoted story;
    ``macro.rates`` (yield -0.12, fraction 0.031) for a rise."""
    trend = evidence("technical", "trend", "price_data", polarity=-0.8)
    trend = trend.model_copy(
        update={"claim": "4h trend down: ADX(14) 39.4", "metric_names": ("ema_20",)}
    )
    rates = evidence("macro", "rates", "macro_data", polarity=0.5)
    rates = rates.model_copy(
        update={"claim": "10-year yield -0.12 pp over 20 days", "metric_names": ("change",)}
    )
    return bundle(
        outcome(_with_metrics("technical", [trend], ema_20=("price_data", 50_528.37))),
        outcome(_with_metrics("macro", [rates], change=("macro_data", 0.0314))),
        outcome(finding("sentiment", evidence_items=[story("Fund outflows grow")])),
        task_ids=("technical", "macro", "sentiment"),
    )


def story(text: str) -> Evidence:
    item = evidence("sentiment", "story", "news", polarity=-0.6)
    return item.model_copy(update={"claim": f'Example: "{text}"', "untrusted_text": True})


def _with_metrics(task_id: str, items: Sequence[Evidence], **metrics: tuple[str, float]) -> Any:
    made = finding(task_id, evidence_items=items, score=-0.6 if task_id == "technical" else 0.3)
    extra = tuple(
        Metric(name=name, value=value, unit="x", observation_ids=items[0].observation_ids)
        for name, (_, value) in metrics.items()
    )
    return made.model_copy(update={"metrics": (*made.metrics, *extra)})


def answer_of(asked: DecisionPolicy, prompt: Prompt, content: str) -> ModelAnswer:
    return ModelAnswer(
        prompt_sha256=prompt_sha256(asked.debate.llm, prompt),
        content=content,
        prompt_tokens=100,
        completion_tokens=20,
    )


def hear(
    say: Say,
    *,
    given: ResearchBundle | None = None,
    texts: Mapping[str, Sequence[Observation]] | None = None,
    asked: list[Prompt] | None = None,
    **changes: Any,
) -> DebateRecord:
    """A debate with a model that says what ``say`` gives for each prompt."""
    own = rules(**changes)
    made = given or case()
    report = validate(made, profile(), own)

    def ask(prompts: Sequence[Prompt]) -> list[ModelAnswer]:
        if asked is not None:
            asked.extend(prompts)
        return [answer_of(own, prompt, say(prompt)) for prompt in prompts]

    return Hearing(made, report, own, texts or {}).hold(ask)


def decide(record: DebateRecord, given: ResearchBundle | None = None, **changes: Any) -> Decision:
    own, made = rules(**changes), given or case()
    return conclude(made, validate(made, profile(), own), record, profile(), own)


def opening(*claims: tuple[str, str]) -> str:
    return json.dumps({"claims": [{"evidence_ids": [i], "text": t} for i, t in claims]})


def quiet(prompt: Prompt) -> str:
    """Nothing to say."""
    if prompt.who == "judge":
        return '{"weights": []}'
    return '{"rebuttals": []}' if "of rebuttal" in prompt.user else '{"claims": []}'


def says(**answers: str) -> Say:
    """``bull``, ``bear`` (openings), ``bull_rebuttal``, ``bear_rebuttal``, ``judge``."""

    def say(prompt: Prompt) -> str:
        name = f"{prompt.who}_rebuttal" if "of rebuttal" in prompt.user else prompt.who
        return answers.get(name) or quiet(prompt)

    return say
