"""What the template of the report prints: texts as shown, and pictures that are drawn already."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from sigmax_tasks.models.debate import ModelDebate
from sigmax_tasks.models.decision import Gap
from sigmax_tasks.report.page_tables import (
    ArgumentRow,
    CheckRow,
    EvidenceRow,
    LineageRow,
    TaskRow,
)


@dataclass(frozen=True)
class Fact:
    """A figure with its name; ``note`` says more, ``side`` colours it (up, down, none)."""

    label: str
    value: str
    note: str = ""
    side: str = "none"


@dataclass(frozen=True)
class Picture:
    """One chart drawn twice, for screens and for phones."""

    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class Legend:
    key: str
    label: str
    value: str
    shown: bool


@dataclass(frozen=True)
class PriceTab:
    """One time frame of the price chart. ``data`` is JSON for the cross-hair."""

    key: str
    timeframe: str
    picture: Picture
    legend: tuple[Legend, ...]
    last_candle: str
    note: str
    decimals: int
    data: Markup


@dataclass(frozen=True)
class LevelRow:
    name: str
    side: str
    price: str
    distance: str
    touches: str


@dataclass(frozen=True)
class SizeBar:
    label: str
    value: str
    bar: Markup
    decisive: bool


@dataclass(frozen=True)
class Page:
    """All of the page. Texts from outside are untrusted until the template escapes them."""

    title: str
    symbol: str
    mode: str
    banner: str
    mode_note: str
    run_id: str
    profile: str
    action: str
    headline: str
    facts: tuple[Fact, ...]
    score: Markup
    notices: tuple[str, ...]
    track_record: str
    before: str
    since: tuple[str, ...]
    vetoes: tuple[str, ...]
    would_change: tuple[str, ...]
    reasons: tuple[str, ...]
    price_tabs: tuple[PriceTab, ...]
    price_problem: str
    levels: tuple[LevelRow, ...]
    waterfall: Picture | None
    reasoning: tuple[str, ...]
    tasks: tuple[TaskRow, ...]
    scored_tasks: tuple[TaskRow, ...]
    bull: tuple[ArgumentRow, ...]
    bear: tuple[ArgumentRow, ...]
    bull_total: str
    bear_total: str
    debate_line: str
    arithmetic: str
    model_line: str
    suspicion: str
    model: ModelDebate | None
    gauges: tuple[Markup, ...]
    validation_line: str
    validated: bool
    failures: tuple[str, ...]
    sources_seen: tuple[str, ...]
    gaps: tuple[Gap, ...]
    risk_facts: tuple[Fact, ...]
    checks: tuple[CheckRow, ...]
    warnings: tuple[str, ...]
    size_bars: tuple[SizeBar, ...]
    size_steps: tuple[str, ...]
    timeline_picture: Picture | None
    timeline_lines: tuple[str, ...]
    order_word: str
    research_facts: tuple[Fact, ...]
    evidence: tuple[EvidenceRow, ...]
    lineage: tuple[LineageRow, ...]
    cost_facts: tuple[Fact, ...]
    omitted: tuple[tuple[str, str, str], ...]
    plan_notes: tuple[str, ...]
    provenance: tuple[Fact, ...]
