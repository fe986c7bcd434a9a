"""From a dossier to everything its HTML page shows. Pure: the same dossier, the same page."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from markupsafe import Markup

from sigmax_planner.models import DataMode
from sigmax_tasks.models.decision import Action, Decision, Previous, RunRecord, ValidationReport
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.report.gauge_chart import gauge
from sigmax_tasks.report.journal_view import calibration_text
from sigmax_tasks.report.model_debate_view import model_line, suspicion_line
from sigmax_tasks.report.numbers import (
    MISSING,
    count,
    data_banner,
    hours_text,
    money,
    percent,
    price,
    price_decimals,
    seconds_text,
    time_text,
)
from sigmax_tasks.report.order_words import order_text
from sigmax_tasks.report.page_model import (
    Fact,
    Legend,
    LevelRow,
    Page,
    Picture,
    PriceTab,
    SizeBar,
)
from sigmax_tasks.report.page_tables import (
    age_text,
    argument_rows,
    check_rows,
    evidence_rows,
    lineage_rows,
    moment_text,
    task_rows,
)
from sigmax_tasks.report.price_chart import NARROW, WIDE, compact, price_chart
from sigmax_tasks.report.price_model import PriceCharts, PriceLevel, PricePanel, price_charts
from sigmax_tasks.report.timeline_chart import Timeline, timeline, timeline_chart
from sigmax_tasks.report.waterfall_chart import (
    meter,
    score_scale,
    waterfall_chart,
    waterfall_steps,
)

_WIDE, _NARROW = 1120.0, 360.0
_MODE_NOTES = {
    DataMode.LIVE: "",
    DataMode.REPLAY: "These prices and texts were recorded: nothing later than as-of was visible.",
    DataMode.SIMULATED: "A made-up market for trials: no price, text or figure here is real.",
}


def build_page(dossier: Dossier) -> Page:
    record = dossier.record
    decision = record.decision
    threshold = _setting(dossier, "decision", "profiles", decision.risk_profile, "buy_threshold")
    times = timeline(record, dossier.outcomes)
    prices = price_charts(dossier)
    debate, report = decision.debate, decision.validation
    strongest = max(
        (a.base_weight or a.weight for c in (debate.bull, debate.bear) for a in c.arguments),
        default=0.0,
    )
    steps = waterfall_steps(decision.analysis)
    tasks = task_rows(dossier, times.measured)
    contributions = {c.task_id: c.contribution for c in decision.analysis.contributions}
    return Page(
        title=f"{decision.action.value} {decision.symbol} {decision.as_of:%Y-%m-%d %H:%M} UTC",
        symbol=decision.symbol,
        mode=decision.data_mode.value,
        banner=data_banner(decision.data_mode, decision.as_of, dossier.request.seed),
        mode_note=_MODE_NOTES[decision.data_mode],
        run_id=record.run_id,
        profile=decision.risk_profile,
        action=decision.action.value,
        headline=decision.reasons[0] if decision.reasons else "",
        facts=_facts(decision),
        score=score_scale(decision.score, threshold),
        notices=_notices(record),
        track_record=calibration_text(record.calibration).plain if record.calibration else "",
        before=_before(record.previous),
        since=record.previous.changes if record.previous else (),
        vetoes=decision.vetoes,
        would_change=decision.would_change,
        reasons=decision.reasons[1:],
        price_tabs=tuple(_price_tab(panel) for panel in prices.panels),
        price_problem=prices.problem,
        levels=_level_rows(prices, decision.reference_price),
        waterfall=Picture(
            waterfall_chart(steps, threshold, _WIDE), waterfall_chart(steps, threshold, _NARROW)
        )
        if any(step.start or step.end for step in steps)
        else None,
        reasoning=decision.analysis.reasoning,
        tasks=tasks,
        scored_tasks=tuple(
            sorted(tasks, key=lambda row: -abs(contributions.get(row.task_id, 0.0)))
        ),
        bull=argument_rows(debate.bull, strongest),
        bear=argument_rows(debate.bear, strongest),
        bull_total=f"{debate.bull.total:.4f}",
        bear_total=f"{debate.bear.total:.4f}",
        debate_line=(
            f"by {debate.method}, {count(debate.rounds, 'rebuttal round')}, net {debate.net:+.4f}"
        ),
        arithmetic=debate.arithmetic,
        model_line=model_line(debate.llm) if debate.llm else "",
        suspicion=suspicion_line(debate.llm) if debate.llm else "",
        model=debate.llm,
        gauges=_gauges(report),
        validation_line=_validation_line(dossier, report),
        validated=report.passed,
        failures=report.failures,
        sources_seen=report.sources_seen,
        gaps=report.gaps,
        risk_facts=_risk_facts(decision),
        checks=check_rows(decision.risk.checks),
        warnings=_own_warnings(decision),
        size_bars=_size_bars(decision),
        size_steps=decision.sizing.steps,
        timeline_picture=Picture(timeline_chart(times, _WIDE), timeline_chart(times, _NARROW))
        if times.bars
        else None,
        timeline_lines=_timeline_lines(times),
        order_word=times.word,
        research_facts=_research_facts(record),
        evidence=evidence_rows(dossier),
        lineage=lineage_rows(dossier),
        cost_facts=_cost_facts(record),
        omitted=tuple((o.task_id, o.reason.value, o.detail) for o in record.plan.omitted),
        plan_notes=record.plan.notes,
        provenance=_provenance(record),
    )


def _setting(dossier: Dossier, *keys: str) -> float | None:
    """A number of the settings the run had; None where they do not hold it."""
    value: object = json.loads(dossier.settings)
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _facts(decision: Decision) -> tuple[Fact, ...]:
    quote = decision.symbol.partition("/")[2]
    reference = decision.reference_price
    analysis = decision.analysis
    facts = [
        Fact(
            "Confidence",
            f"{decision.confidence:.2f}",
            f"cap {analysis.confidence_cap:.2f}"
            if analysis.calibrated_confidence is None
            else f"calibrated {analysis.calibrated_confidence:.2f}, "
            f"n={analysis.calibration_outcomes}",
        ),
        Fact("Size", percent(decision.size_fraction), "of equity"),
        Fact("Reference", price(reference), quote if reference is not None else ""),
    ]
    for name, level, side in (
        ("Stop", decision.stop_price, "down"),
        ("Target", decision.take_profit_price, "up"),
    ):
        note = f"{quote}, {_distance(level, reference)}" if level is not None else "none set"
        facts.append(
            Fact(name, price(level, like=reference), note, side if level is not None else "none")
        )
    facts.append(Fact("Horizon", hours_text(decision.horizon_hours), f"regime {analysis.regime}"))
    return tuple(facts)


def _distance(level: float | None, reference: float | None) -> str:
    if level is None or not reference:
        return ""
    return percent(level / reference - 1, signed=True)


def _before(previous: Previous | None) -> str:
    if previous is None:
        return ""
    return (
        f"{previous.action.value} as of {time_text(previous.as_of)}, confidence "
        f"{previous.confidence:.2f}, score {previous.score:+.2f}, run {previous.run_id}"
    )


def _notices(record: RunRecord) -> tuple[str, ...]:
    notices = list(record.research.alerts)
    if record.partial:
        notices.insert(0, f"The run ended early, by {record.finished_by}.")
    if record.plan.over_budget:
        notices.append("The plan costs more than its limit.")
    return tuple(notices)


def _price_tab(panel: PricePanel) -> PriceTab:
    key = f"candles-{panel.timeframe}"
    last = panel.rows[-1]
    like = last[4]
    shown = {"ema_20", "ema_50", "ema_200"}
    legend = [
        Legend(a.key, a.label, price(a.last, like=like), a.key in shown) for a in panel.averages
    ]
    if panel.upper[-1] is not None and panel.lower[-1] is not None:
        words = f"{price(panel.lower[-1], like=like)} to {price(panel.upper[-1], like=like)}"
        legend.append(Legend("bollinger", "Bollinger 20, 2", words, shown=True))
    note = (
        f"{len(panel.rows)} of {panel.candles_at_hand} closed candles by {panel.provider}, "
        f"prices in {panel.quote}; observation {panel.observation_id}"
    )
    moment = moment_of(last[0])
    return PriceTab(
        key=key,
        timeframe=panel.timeframe,
        picture=Picture(price_chart(panel, WIDE, key), price_chart(panel, NARROW, key)),
        legend=tuple(legend),
        last_candle=(
            f"{moment}  O {price(last[1], like=like)}  H {price(last[2], like=like)}  "
            f"L {price(last[3], like=like)}  C {price(last[4])}  V {compact(last[5])} {panel.base}"
        ),
        note=note,
        decimals=price_decimals(like),
        data=_json_data([[moment_of(row[0]), *row[1:]] for row in panel.rows]),
    )


def moment_of(time_ms: int) -> str:
    """Opening time of a candle, UTC, to the minute."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def _json_data(content: object) -> Markup:
    """JSON that no HTML parser can mistake for the end of its element."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(safe)  # noqa: S704  # what could end the element is written as \u escapes


def _level_rows(prices: PriceCharts, reference: float | None) -> tuple[LevelRow, ...]:
    def row(level: PriceLevel) -> LevelRow:
        return LevelRow(
            name=level.name,
            side=level.side,
            price=price(level.price, like=reference),
            distance=_distance(level.price, reference),
            touches=MISSING if level.touches is None else str(level.touches),
        )

    return tuple(map(row, prices.levels))


def _gauges(report: ValidationReport) -> tuple[Markup, ...]:
    parts = (
        ("completeness", report.completeness),
        ("quality", report.quality),
        ("freshness", report.freshness),
        ("coverage", report.coverage),
    )
    whole = report.score >= report.threshold
    return (
        gauge(report.score, "validation score", threshold=report.threshold, good=whole),
        *(gauge(share, name, good=share >= report.threshold) for name, share in parts),
    )


def _validation_line(dossier: Dossier, report: ValidationReport) -> str:
    parts = []
    for name in ("completeness", "quality", "freshness", "coverage"):
        share = _setting(dossier, "decision", "validation", "shares", name)
        if share is None:
            return f"score {report.score:.4f}, needs {report.threshold:g}"
        parts.append(f"{share:g} x {getattr(report, name):.4f} {name}")
    return f"{' + '.join(parts)} = {report.score:.4f}; needs {report.threshold:g}"


def _risk_facts(decision: Decision) -> tuple[Fact, ...]:
    risk = decision.risk
    quote = decision.symbol.partition("/")[2]
    correlation = risk.correlation_to_btc
    return (
        Fact("Volatility", percent(risk.realised_volatility_annual), "a year, realised"),
        Fact("ATR", price(risk.atr), quote),
        Fact("Value at risk", percent(risk.value_at_risk_95_fraction), "95 %, one day"),
        Fact("Expected shortfall", percent(risk.expected_shortfall_95_fraction), "95 %, one day"),
        Fact("Slippage", _fine_percent(risk.expected_slippage_fraction), "expected"),
        Fact("Correlation", MISSING if correlation is None else f"{correlation:+.2f}", "to BTC"),
        Fact("Size cap", _fine_percent(risk.size_cap_fraction), "of equity, after the checks"),
    )


def _fine_percent(fraction: float | None) -> str:
    return MISSING if fraction is None else f"{fraction * 100:.2f} %"


def _own_warnings(decision: Decision) -> tuple[str, ...]:
    """Warnings that are not the arithmetic of a check, which the table shows already."""
    shown = {check.arithmetic for check in decision.risk.checks}
    return tuple(warning for warning in decision.risk.warnings if warning not in shown)


def _size_bars(decision: Decision) -> tuple[SizeBar, ...]:
    """What each rule would allow; the smallest decides. Empty without a position."""
    sizing, risk = decision.sizing, decision.risk
    stop = risk.stop_distance_fraction
    if decision.action is Action.HOLD or not stop or sizing.win_probability is None:
        return ()
    sizes = [
        ("fractional Kelly", sizing.kelly_fraction / stop),
        ("volatility target", sizing.volatility_target_fraction),
        ("cap of the risk checks", risk.size_cap_fraction),
    ]
    largest = max(value for _, value in sizes) or 1.0
    smallest = min(value for _, value in sizes)
    return tuple(
        SizeBar(
            label,
            _fine_percent(value),
            meter(value / largest, side="accent" if value == smallest else "plain"),
            value == smallest,
        )
        for label, value in sizes
    )


def _timeline_lines(times: Timeline) -> tuple[str, ...]:
    lines = []
    if times.measured:
        lines.append(
            f"Critical path as measured: {' → '.join(times.measured)}, "
            f"{times.measured_seconds:.2f} s."
        )
    lines.append(
        f"Critical path as planned: {' → '.join(times.planned)}, {times.planned_seconds:g} s."
    )
    if times.unknown:
        lines.append(f"No outcome was kept of: {', '.join(times.unknown)}.")
    return tuple(lines)


def _research_facts(record: RunRecord) -> tuple[Fact, ...]:
    research, plan = record.research, record.plan
    return (
        Fact(
            "Tasks",
            f"{research.completed} of {research.total_tasks}",
            f"{research.failed} failed, {research.skipped} skipped",
        ),
        Fact(
            "Time",
            seconds_text(research.duration_seconds),
            f"planned {seconds_text(plan.estimated_time_parallel)}",
        ),
        Fact(
            "One by one",
            seconds_text(research.sequential_seconds),
            f"planned {seconds_text(plan.estimated_time_sequential)}",
        ),
        Fact("Speed-up", f"{research.speedup:.2f} x", f"planned {plan.speedup:.2f} x"),
        Fact("Width", str(plan.width), order_text(plan)),
    )


def _cost_facts(record: RunRecord) -> tuple[Fact, ...]:
    cost = record.cost
    limit = "none" if cost.limit_usd is None else money(cost.limit_usd)
    facts = (
        Fact(
            "Actual",
            money(cost.actual_usd),
            f"spent, {money(cost.llm_usd)} on the model" if cost.llm_usd else "spent",
        ),
        Fact("Estimated", money(cost.estimated_usd), "before the run"),
        Fact("Limit", limit, "a decision"),
    )
    if cost.day_limit_usd is None or cost.day_spent_usd is None:
        return facts
    spent = f"of {money(cost.day_limit_usd)}, all runs"
    return (*facts, Fact("That day", money(cost.day_spent_usd), spent))


def _provenance(record: RunRecord) -> tuple[Fact, ...]:
    decision = record.decision
    return (
        Fact("Run", record.run_id),
        Fact("Decision hash", decision.decision_hash or MISSING, "SHA-256"),
        Fact("Settings hash", record.settings_hash, "SHA-256"),
        Fact("As of", time_text(decision.as_of)),
        Fact("Submitted", f"{moment_text(record.created_at)} UTC"),
        Fact(
            "Decided",
            f"{moment_text(record.finished_at)} UTC",
            f"by {record.finished_by}, after "
            f"{age_text((record.finished_at - record.created_at).total_seconds())}",
        ),
        *(Fact(name, version) for name, version in record.versions.items()),
    )
