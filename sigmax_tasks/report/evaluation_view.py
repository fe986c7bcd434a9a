"""An evaluation for the terminal and for scripts."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from sigmax_tasks.evaluation.fan_out import Progress
from sigmax_tasks.evaluation.metrics import Figures
from sigmax_tasks.evaluation.result import Ablated, Assessment, Reliability, Row
from sigmax_tasks.evaluation.uncertainty import Interval
from sigmax_tasks.report.layout import block, plain_table
from sigmax_tasks.report.numbers import MISSING


def progress_line(progress: Progress) -> str:
    """``12 of 40 chunks, 192 decisions (8 chunks from before)``."""
    before = f" ({progress.cached:,} chunks from before)" if progress.cached else ""
    return (
        f"{progress.done:,} of {progress.total:,} chunks, {progress.decisions:,} decisions{before}"
    )


def percent_text(fraction: float | None, decimals: int = 1) -> str:
    return MISSING if fraction is None else f"{fraction * 100:.{decimals}f} %"


def number_text(value: float | None, decimals: int = 2) -> str:
    return MISSING if value is None else f"{value:.{decimals}f}"


def interval_text(interval: Interval | None, *, percent: bool = False) -> str:
    if interval is None:
        return MISSING
    show = percent_text if percent else number_text
    return f"{show(interval.low)} to {show(interval.high)}"


def assessment_view(assessment: Assessment) -> RenderableType:
    """The verdict, the table of strategies, the parts, the confidence and the tasks."""
    first = f"{assessment.first:%Y-%m-%d} to {assessment.last:%Y-%m-%d}"
    head = Text(
        f"{', '.join(assessment.symbols)}  {assessment.profile}  {first}  "
        f"{assessment.decisions:,} decisions"
    )
    parts: list[RenderableType] = [
        head,
        Text(),
        Text(assessment.verdict),
        Text(),
        Text(
            "; ".join(f"{name} {count:,}" for name, count in assessment.actions.items())
            + f"; validated {assessment.validated:,}"
        ),
    ]
    parts += [Text(f"note: {note}") for note in assessment.notes]
    parts += block("After costs", _strategies(assessment))
    parts += block("By symbol, year and regime", _groups(assessment))
    parts += block("Confidence", _confidence(assessment.reliability))
    if assessment.ablation:
        parts += block("Without one task's opinion", _tasks(assessment.ablation))
    return Group(*parts)


def _strategies(assessment: Assessment) -> RenderableType:
    table = plain_table()
    for name in ("", "a year", "Sharpe", "95 %", "drawdown", "exposure", "trades"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for row in assessment.rows:
        own = row.figures
        table.add_row(
            row.name,
            percent_text(own.annual_return),
            number_text(own.sharpe),
            interval_text(row.sharpe),
            percent_text(own.max_drawdown),
            percent_text(own.exposure),
            str(own.trades) if own.trades else "",
        )
    drawn = assessment.random
    low, high = drawn.sharpe_low, drawn.sharpe_high
    table.add_row(
        f"random x {drawn.drawings:,}",
        "",
        number_text(drawn.sharpe_median),
        interval_text(None if low is None or high is None else Interval(low, high)),
    )
    return table


def _groups(assessment: Assessment) -> RenderableType:
    table = plain_table()
    for name in ("", "return", "Sharpe", "drawdown", "exposure", "trades", "hits", "win", "loss"):
        table.add_column(name, justify="left" if not name else "right")
    for group in assessment.groups:
        own, whole = group.figures, not group.trades_only
        table.add_row(
            group.name,
            percent_text(own.total_return) if whole else "",
            number_text(own.sharpe) if whole else "",
            percent_text(own.max_drawdown) if whole else "",
            percent_text(own.exposure) if whole else "",
            str(own.trades),
            percent_text(own.hit_rate, 0),
            percent_text(own.mean_win, 2),
            percent_text(own.mean_loss, 2),
        )
    return table


def _confidence(found: Reliability) -> RenderableType:
    lines = [
        f"{found.outcomes:,} closed trades, {percent_text(found.hit_rate)} gained after costs; "
        f"Brier {number_text(found.brier, 4)}, always saying that share "
        f"{number_text(found.base_brier, 4)}"
    ]
    if found.unseen:
        lines.append(
            f"{found.unseen:,} unseen by the calibration: Brier "
            f"{number_text(found.unseen_brier, 4)} as stated, "
            f"{number_text(found.calibrated_brier, 4)} calibrated, "
            f"{number_text(found.past_base_brier, 4)} for always saying the share known so far"
        )
    for name, bins in (("as stated", found.bins), ("calibrated", found.calibrated_bins)):
        lines += [
            f"{name} {one.low:.1f} to {one.high:.1f}: {one.n:,} trades, said "
            f"{one.mean_confidence:.2f}, gained {one.hit_rate:.2f}"
            for one in bins
        ]
    return Group(*map(Text, lines))


def _tasks(ablation: tuple[Ablated, ...]) -> RenderableType:
    table = plain_table()
    names = ("task", "Sharpe without", "adds", "95 % interval", "per $", "per s", "trades without")
    for name in names:
        table.add_column(name, justify="left" if name == "task" else "right")
    for one in ablation:
        table.add_row(
            one.task_id,
            number_text(one.sharpe_without),
            number_text(one.sharpe_added, 3),
            interval_text(one.interval),
            number_text(one.per_dollar),
            number_text(one.per_second, 4),
            str(one.trades_without),
        )
    return table


def assessment_json(assessment: Assessment) -> dict[str, Any]:
    """One object for scripts, without the curves."""
    drawn, deflated = assessment.random, assessment.deflated
    confidence = assessment.reliability
    return {
        "symbols": list(assessment.symbols),
        "profile": assessment.profile,
        "from": assessment.first.isoformat(),
        "to": assessment.last.isoformat(),
        "step_seconds": assessment.step_seconds,
        "only_recorded": assessment.only_recorded,
        "decisions": assessment.decisions,
        "actions": assessment.actions,
        "validated": assessment.validated,
        "verdict": assessment.verdict,
        "strategies": [_row_json(row) for row in assessment.rows],
        "groups": [
            {"kind": g.kind, "name": g.name, **_figures_json(g.figures)} for g in assessment.groups
        ],
        "random": {
            "drawings": drawn.drawings,
            "sharpe_median": drawn.sharpe_median,
            "sharpe_low": drawn.sharpe_low,
            "sharpe_high": drawn.sharpe_high,
            "share_at_least_sharpe": drawn.better_sharpe,
            "share_at_least_return": drawn.better_return,
        },
        "sharpe_minus_buy_and_hold": _interval_json(assessment.against_hold),
        "deflated_sharpe": None
        if deflated is None
        else {"trials": deflated.trials, "probability": deflated.probability},
        "confidence": {
            "outcomes": confidence.outcomes,
            "hit_rate": confidence.hit_rate,
            "brier": confidence.brier,
            "base_brier": confidence.base_brier,
            "unseen": confidence.unseen,
            "unseen_brier": confidence.unseen_brier,
            "calibrated_brier": confidence.calibrated_brier,
            "past_base_brier": confidence.past_base_brier,
            "bins": [vars(one) for one in confidence.bins],
            "calibrated_bins": [vars(one) for one in confidence.calibrated_bins],
        },
        "ablation": [
            {
                "task_id": one.task_id,
                "sharpe_added": one.sharpe_added,
                "interval": _interval_json(one.interval),
                "per_dollar": one.per_dollar,
                "per_second": one.per_second,
                "measured_seconds": one.measured_seconds,
            }
            for one in assessment.ablation
        ],
        "costs": list(assessment.costs),
        "notes": list(assessment.notes),
    }


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        **_figures_json(row.figures),
        "annual_return_interval": _interval_json(row.annual_return),
        "sharpe_interval": _interval_json(row.sharpe),
        "max_drawdown_interval": _interval_json(row.max_drawdown),
    }


def _figures_json(figures: Figures) -> dict[str, Any]:
    return {
        name: value if value is None or math.isfinite(value) else None
        for name, value in vars(figures).items()
    }


def _interval_json(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]
