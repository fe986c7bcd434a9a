"""A dossier with every part filled in: real candles' arithmetic, hostile texts, a failed task."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sigmax_planner.models import AnalysisRequest, DataMode
from sigmax_tasks.models.debate import ModelClaim, ModelDebate, StruckClaim, SuspectText
from sigmax_tasks.models.decision import (
    Analysis,
    Argument,
    Case,
    Contribution,
    DebateRecord,
    Gap,
    RiskAssessment,
    RiskCheck,
    Sizing,
)
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.observations import (
    Candles,
    Lineage,
    Missing,
    Observation,
    TextItem,
    Texts,
)
from sigmax_tasks.models.research import (
    Evidence,
    Finding,
    Metric,
    ResearchInputs,
    TaskOutcome,
    TaskStatus,
)
from sigmax_tasks.research import technical
from tests.unit.report.builders import AS_OF, START, make_record, make_validation

HEADLINE = (
    "<script>alert(1)</script> \x1b[31mBTC\x00 & \"moon\" 'soon' <img src=x onerror=alert(2)>"
)
SHOWN_HEADLINE = (
    "&lt;script&gt;alert(1)&lt;/script&gt; BTC &amp; &#34;moon&#34; &#39;soon&#39; "
    "&lt;img src=x onerror=alert(2)&gt;"
)
ENDPOINT = "https://user:secret@api.example.test/0/public/OHLC?pair=BTC&interval=240"
TASKS = ("sentiment", "onchain", "technical", "macro", "patterns", "keywords")


def make_candles(timeframe: str = "4h", hours: int = 4, number: int = 300) -> Candles:
    """Rows that end at as-of, wavy and slowly rising around 90,000."""
    rows = []
    end = int(AS_OF.timestamp() * 1000)
    length = hours * 3_600_000
    previous = 90_000.0
    for i in range(number):
        close = 90_000 + 25 * i + 2_500 * math.sin(i / 9) + 700 * math.sin(i * 1.7)
        high, low = max(previous, close) + 180, min(previous, close) - 210
        rows.append(
            (end - (number - i) * length, previous, high, low, close, 400 + 30.5 * (i % 13))
        )
        previous = close
    return Candles(symbol="BTC/USDT", timeframe=timeframe, rows=tuple(rows))


def lineage(task: str, kind: str, name: str, at: datetime = AS_OF, **changes: Any) -> Lineage:
    values: dict[str, Any] = {
        "observation_id": f"{kind}:kraken:BTC/USDT:{name}",
        "source": "price_data" if kind == "candles" else "news",
        "kind": kind,
        "name": name,
        "provider": "kraken" if kind == "candles" else "coindesk",
        "endpoint": ENDPOINT if kind == "candles" else "/arc/outboundfeeds/rss",
        "symbol": "BTC/USDT" if kind == "candles" else None,
        "observed_at": at,
        "fetched_at": START + timedelta(seconds=1),
        "payload_sha256": f"{len(name) + len(kind):x}".rjust(2, "0") * 32,
        "payload_bytes": 57_731,
        "data_mode": DataMode.SIMULATED,
        "simulated": True,
    }
    return Lineage(**{**values, **changes})


def price_observations() -> tuple[Observation, ...]:
    return tuple(
        Observation(lineage=lineage("technical", "candles", name), data=make_candles(name, hours))
        for name, hours in (("4h", 4), ("1d", 24), ("1h", 1))
    )


def text_observations() -> tuple[Observation, ...]:
    at = AS_OF - timedelta(minutes=90)
    return (
        Observation(
            lineage=lineage("sentiment", "texts", "", at, cache_hit=True, cache_age_seconds=42.0),
            data=Texts(
                channel="news",
                items=(TextItem(outlet="CoinDesk", title=HEADLINE, published_at=at),),
            ),
        ),
    )


def technical_finding() -> Finding:
    return technical.research(
        ResearchInputs(
            task_id="technical",
            symbol="BTC/USDT",
            as_of=AS_OF,
            observations=price_observations(),
        )
    )


def sentiment_finding() -> Finding:
    source = text_observations()[0].lineage
    return Finding(
        task_id="sentiment",
        symbol="BTC/USDT",
        as_of=AS_OF,
        score=0.31,
        strength=0.52,
        summary=f"Sentiment: {HEADLINE}",
        metrics=(
            Metric(
                name="news_tone",
                value=0.31,
                unit="score",
                observation_ids=(source.observation_id,),
            ),
        ),
        evidence=(
            Evidence(
                evidence_id="sentiment.top_story",
                task_id="sentiment",
                claim=HEADLINE,
                polarity=0.4375,
                reliability=0.8125,
                observation_ids=(source.observation_id,),
                observed_at=source.observed_at,
                untrusted_text=True,
            ),
        ),
        labels={"tone": "positive"},
        lineage=(source,),
    )


def _debate(findings: tuple[Finding, ...]) -> DebateRecord:
    def case(side: str, sign: int) -> Case:
        arguments = [
            Argument(
                evidence_id=item.evidence_id,
                task_id=item.task_id,
                claim=item.claim,
                weight=round(abs(item.polarity) * item.reliability * 0.2, 6),
                base_weight=round(abs(item.polarity) * item.reliability * 0.25, 6),
                rebuttals=(f"round 1: {HEADLINE} counts x 0.80",) if item.untrusted_text else (),
            )
            for finding in findings
            for item in finding.evidence
            if item.polarity * sign > 0
        ]
        arguments.sort(key=lambda a: -a.weight)
        return Case(side=side, arguments=tuple(arguments), total=sum(a.weight for a in arguments))

    bull, bear = case("bull", 1), case("bear", -1)
    return DebateRecord(
        bull=bull, bear=bear, rounds=2, net=0.25, arithmetic="(0.4 bull - 0.2 bear) / 0.8 = +0.25"
    )


def _analysis() -> Analysis:
    parts = (
        Contribution(
            task_id="technical", score=0.5, strength=0.8, weight=0.3, contribution=0.12
        ),
        Contribution(
            task_id="sentiment", score=0.31, strength=0.52, weight=0.25, contribution=0.04
        ),
        Contribution(task_id="macro", score=-0.4, strength=0.8, weight=0.2, contribution=-0.03),
        Contribution(
            task_id="onchain", score=0, strength=0, weight=0.25, contribution=0, informed=0,
            unknown=0.025,
        ),
    )  # fmt: skip
    return Analysis(
        score=0.1,
        confidence=0.62,
        confidence_cap=0.7,
        regime="trending",
        contributions=parts,
        raw_score=0.13,
        reasoning=("findings add up to +0.1300", "cap: 0.85 x 0.8"),
    )


def _risk() -> RiskAssessment:
    return RiskAssessment(
        reference_price=97_123.4,
        realised_volatility_annual=0.55,
        atr=1_800.0,
        stop_distance_fraction=0.032,
        take_profit_distance_fraction=0.064,
        value_at_risk_95_fraction=0.041,
        expected_shortfall_95_fraction=0.062,
        size_cap_fraction=0.15,
        checks=(
            RiskCheck(
                name="realised volatility", value=1.1, limit=0.8, factor=0.7273,
                arithmetic="realised volatility 1.1 above 0.8",
            ),
            RiskCheck(
                name="slippage", value=None, limit=0.001, factor=0.1,
                arithmetic="slippage unknown: cap x 0.1",
            ),
        ),
        vetoes=(f"veto of {HEADLINE}",),
        warnings=("stop held inside 1.00% to 15.00%",),
    )  # fmt: skip


def make_full_dossier(**decision_changes: Any) -> Dossier:
    """Four tasks completed, one failed, one skipped; hostile text wherever text may come in."""
    found = {"technical": technical_finding(), "sentiment": sentiment_finding()}
    macro = Finding(
        task_id="macro",
        symbol="BTC/USDT",
        as_of=AS_OF,
        score=-0.4,
        strength=0.8,
        summary="Macro: risk-off",
    )
    changes: dict[str, Any] = {
        "debate": _debate(tuple(found.values())),
        "analysis": _analysis(),
        "risk": _risk(),
        "sizing": Sizing(
            size_fraction=0.084,
            win_probability=0.37,
            kelly_fraction=0.0046,
            volatility_target_fraction=0.109,
            steps=("win probability: 0.37", "size: the smallest, 8.40%"),
        ),
        "validation": make_validation(
            failures=(f"missed {HEADLINE}",),
            gaps=(Gap(task_id="onchain", source="onchain", reason=HEADLINE),),
        ),
        "vetoes": (f"veto of {HEADLINE}",),
        **decision_changes,
    }
    record = make_record(**changes)
    outcomes = []
    for number, task_id in enumerate(TASKS):
        start = START + timedelta(seconds=0.5 + 0.1 * number)
        status, reason = TaskStatus.COMPLETED, ""
        if task_id == "onchain":
            status, reason = TaskStatus.FAILED, f"coinmetrics: {HEADLINE}"
        elif task_id == "keywords":
            status, reason = TaskStatus.SKIPPED, "skipped (over budget)"
        seconds = 0.0 if status is TaskStatus.SKIPPED else 0.4 + 0.1 * number
        outcomes.append(
            TaskOutcome(
                task_id=task_id,
                status=status,
                reason=reason,
                finding=found.get(task_id) or (macro if task_id == "macro" else None),
                missing=(Missing(source="social", need="texts", reason="403"),),
                attempts=2,
                started_at=start,
                finished_at=start + timedelta(seconds=seconds),
                duration_seconds=seconds,
                cost_usd=Decimal("0.0012"),
                requests=3,
                providers=("kraken",),
                worker="host-1:4242",
            )
        )
    return Dossier(
        request=AnalysisRequest(symbol="BTC/USDT", risk_profile="balanced", seed=7, as_of=AS_OF),
        settings=json.dumps(
            {
                "decision": {
                    "profiles": {"balanced": {"buy_threshold": 0.08}},
                    "validation": {
                        "shares": {
                            "completeness": 0.35,
                            "quality": 0.25,
                            "freshness": 0.2,
                            "coverage": 0.2,
                        }
                    },
                }
            }
        ),
        record=record,
        outcomes=tuple(outcomes),
        observations={"technical": price_observations(), "sentiment": text_observations()},
    )


def without_technical(dossier: Dossier) -> Dossier:
    """The same run with the technical research failed."""
    outcomes = tuple(
        outcome.model_copy(
            update={
                "status": TaskStatus.FAILED,
                "reason": "no exchange answered <b>at all</b>",
                "finding": None,
            }
        )
        if outcome.task_id == "technical"
        else outcome
        for outcome in dossier.outcomes
    )
    observations = {k: v for k, v in dossier.observations.items() if k != "technical"}
    return dossier.model_copy(update={"outcomes": outcomes, "observations": observations})


def with_model_debate(dossier: Dossier, text: str = "A claim of the model") -> Dossier:
    """The same run with a debate that a model held; ``text`` is all that anybody says in it."""
    facts = ModelDebate(
        model="test-model",
        claims=(
            ModelClaim(side="bull", text=text, evidence_ids=("technical.trend",)),
            ModelClaim(side="bear", text=text, evidence_ids=("sentiment.story",)),
        ),
        summary=text,
        struck_count=2,
        struck=(StruckClaim(speaker="bull", text=text, reason="the number '9' is not in it"),),
        suspicious=(SuspectText(where="Example", text=text),),
        calls=5,
        prompt_tokens=5000,
        completion_tokens=1000,
        cost_usd=Decimal("0.02"),
    )
    decision = dossier.record.decision
    debate = decision.debate.model_copy(update={"method": "llm", "llm": facts})
    cost = dossier.record.cost.model_copy(update={"llm_usd": Decimal("0.02")})
    record = dossier.record.model_copy(
        update={"decision": decision.model_copy(update={"debate": debate}), "cost": cost}
    )
    return dossier.model_copy(update={"record": record})
