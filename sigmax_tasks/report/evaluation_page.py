"""The HTML page of an evaluation: one file that loads nothing, in the style of a run's page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from sigmax_tasks.evaluation.metrics import Figures, drawdowns
from sigmax_tasks.evaluation.result import Assessment, Row
from sigmax_tasks.report.curve_chart import (
    CurveLine,
    drawdown_chart,
    equity_chart,
    reliability_chart,
)
from sigmax_tasks.report.evaluation_view import interval_text, number_text, percent_text
from sigmax_tasks.report.html import page_parts, page_template
from sigmax_tasks.report.page_model import Picture

_WIDE, _NARROW = 1120.0, 360.0
_SAME_VOLATILITY = 0.10
_RANDOM = "random (median)"


@dataclass(frozen=True)
class StrategyRow:
    """One line of the table, as text."""

    key: str
    name: str
    annual_return: str
    annual_return_interval: str
    volatility: str
    sharpe: str
    sharpe_interval: str
    sortino: str
    drawdown: str
    drawdown_interval: str
    exposure: str
    turnover: str
    trades: str
    hits: str


@dataclass(frozen=True)
class EvaluationPage:
    """Everything the template prints."""

    title: str
    symbols: str
    profile: str
    span: str
    command: str
    verdict: str
    facts: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]
    costs: tuple[str, ...]
    equity: Picture
    even: Picture
    drawdown: Picture
    reliability: Markup | None
    rows: tuple[StrategyRow, ...]
    random_line: str
    groups: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
    confidence_lines: tuple[str, ...]
    tasks: tuple[tuple[str, ...], ...]


def evaluation_html(assessment: Assessment, command: str) -> str:
    """The whole page; the same text for the same assessment."""
    parts = page_parts("report.css", "evaluation.css")
    return page_template("evaluation.html.j2").render(page=_page(assessment, command), **parts)


def _page(found: Assessment, command: str) -> EvaluationPage:
    moments = list(found.times_ms)
    lines = [
        CurveLine(f"c{place}", row.name, _growth(row.returns))
        for place, row in enumerate(found.rows)
    ]
    drawn = CurveLine(f"c{len(lines)}", _RANDOM, _growth(found.random.median_returns))
    even = [
        CurveLine(f"c{place}", row.name, _growth(_scaled(row.returns, row.figures)))
        for place, row in enumerate(found.rows)
    ]
    below = [
        CurveLine(f"c{place}", row.name, tuple(drawdowns(row.returns).tolist()))
        for place, row in enumerate(found.rows)
    ]
    equity, deeper = [*lines, drawn], moments[:-1]
    reliability = found.reliability
    return EvaluationPage(
        title=f"Evaluation of {', '.join(found.symbols)}, {found.profile}",
        symbols=", ".join(found.symbols),
        profile=found.profile,
        span=f"{found.first:%Y-%m-%d} to {found.last:%Y-%m-%d}",
        command=command,
        verdict=found.verdict,
        facts=_facts(found),
        notes=found.notes,
        costs=found.costs,
        equity=_picture(lambda w: equity_chart(equity, moments, w, "Growth of 1, logarithmic")),
        even=_picture(lambda w: equity_chart(even, moments, w, "Growth of 1 at equal volatility")),
        drawdown=_picture(lambda w: drawdown_chart(below, deeper, w, "Drawdowns")),
        reliability=reliability_chart(reliability.bins, reliability.calibrated_bins, 420.0)
        if reliability.bins
        else None,
        rows=tuple(_row(place, row) for place, row in enumerate(found.rows)),
        random_line=_random_line(found),
        groups=_groups(found),
        confidence_lines=_confidence_lines(found),
        tasks=tuple(
            (
                one.task_id,
                number_text(one.sharpe_without),
                number_text(one.sharpe_added, 3),
                interval_text(one.interval),
                f"${one.cost_usd:.2f}",
                f"{one.seconds:g} s",
                number_text(one.per_dollar),
                number_text(one.per_second, 4),
                str(one.trades_without),
            )
            for one in found.ablation
        ),
    )


def _picture(draw: Callable[[float], Markup]) -> Picture:
    return Picture(draw(_WIDE), draw(_NARROW))


def _growth(returns: np.ndarray) -> tuple[float, ...]:
    return (1.0, *np.cumprod(1.0 + returns).tolist())


def _scaled(returns: np.ndarray, own: Figures) -> np.ndarray:
    spread = own.annual_volatility
    scaled: np.ndarray = returns * (_SAME_VOLATILITY / spread) if spread else returns
    return scaled


def _row(place: int, row: Row) -> StrategyRow:
    own = row.figures
    return StrategyRow(
        key=f"c{place}",
        name=row.name,
        annual_return=percent_text(own.annual_return),
        annual_return_interval=interval_text(row.annual_return, percent=True),
        volatility=percent_text(own.annual_volatility),
        sharpe=number_text(own.sharpe),
        sharpe_interval=interval_text(row.sharpe),
        sortino=number_text(own.sortino),
        drawdown=percent_text(own.max_drawdown),
        drawdown_interval=interval_text(row.max_drawdown, percent=True),
        exposure=percent_text(own.exposure),
        turnover=number_text(own.turnover_annual, 1),
        trades=f"{own.trades:,}" if own.trades else "",
        hits=percent_text(own.hit_rate, 1) if own.trades else "",
    )


def _facts(found: Assessment) -> tuple[tuple[str, str, str], ...]:
    deflated = found.deflated
    actions = found.actions
    return (
        ("Decisions", f"{found.decisions:,}", f"one each {_step_text(found.step_seconds)}"),
        ("BUY", f"{actions['BUY']:,}", ""),
        ("SELL", f"{actions['SELL']:,}", ""),
        ("HOLD", f"{actions['HOLD']:,}", ""),
        ("Validated", f"{found.validated:,}", "of the decisions"),
        (
            "Deflated Sharpe",
            "n/a" if deflated is None else f"{deflated.probability:.0%}",
            "" if deflated is None else f"variants tried: {deflated.trials}",
        ),
    )


def _step_text(seconds: int) -> str:
    return f"{seconds // 86_400} d" if seconds % 86_400 == 0 else f"{seconds // 3600} h"


def _random_line(found: Assessment) -> str:
    drawn = found.random
    if drawn.sharpe_median is None or drawn.better_sharpe is None:
        return "Without trades there is nothing to draw at random."
    low, high = drawn.sharpe_low or 0.0, drawn.sharpe_high or 0.0
    return (
        f"The same trades (number, size, side, holding time, costs) at random moments, "
        f"{drawn.drawings:,} drawings: Sharpe {drawn.sharpe_median:.2f} in the middle, 95 % "
        f"between {low:.2f} and {high:.2f}; {drawn.better_sharpe:.1%} reach ours, "
        f"{drawn.better_return:.1%} reach our return."
    )


def _groups(found: Assessment) -> tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]:
    kinds = dict.fromkeys(group.kind for group in found.groups)
    tables = []
    for kind in kinds:
        rows = []
        for group in found.groups:
            if group.kind != kind:
                continue
            own, whole = group.figures, not group.trades_only
            rows.append(
                (
                    group.name,
                    percent_text(own.total_return) if whole else "",
                    number_text(own.sharpe) if whole else "",
                    percent_text(own.max_drawdown) if whole else "",
                    percent_text(own.exposure) if whole else "",
                    f"{own.trades:,}",
                    percent_text(own.hit_rate),
                    percent_text(own.mean_win, 2),
                    percent_text(own.mean_loss, 2),
                )
            )
        tables.append((kind, tuple(rows)))
    return tuple(tables)


def _confidence_lines(found: Assessment) -> tuple[str, ...]:
    own = found.reliability
    lines = [
        f"{own.outcomes:,} closed trades, {percent_text(own.hit_rate)} gained after costs. Brier "
        f"score {number_text(own.brier, 4)}; always saying that share gives "
        f"{number_text(own.base_brier, 4)} (lower is better)."
    ]
    if own.unseen:
        lines.append(
            f"On {own.unseen:,} trades that the calibration had not seen: "
            f"{number_text(own.unseen_brier, 4)} as stated, "
            f"{number_text(own.calibrated_brier, 4)} calibrated, "
            f"{number_text(own.past_base_brier, 4)} for always saying the share known until then."
        )
    else:
        lines.append("Too few outcomes to calibrate on.")
    return tuple(lines)
