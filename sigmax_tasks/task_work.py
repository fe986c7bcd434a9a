"""What one research task does with its handler, apart from where it runs and who waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sigmax_planner.models import ResearchTask, Symbol
from sigmax_tasks.errors import SigmaxError
from sigmax_tasks.handlers import Handler
from sigmax_tasks.models.observations import DataNeed
from sigmax_tasks.models.research import Finding, ResearchInputs
from sigmax_tasks.settings.sources import SourceSettings
from sigmax_tasks.sources.cross_checks import settle_cross_checks, without_idle_checks
from sigmax_tasks.sources.desk import Gathered
from sigmax_tasks.stages.privacy import Redactor


def needs_of(
    task: ResearchTask,
    handler: Handler,
    symbol: Symbol,
    watchlist: tuple[Symbol, ...],
    sources: SourceSettings,
) -> tuple[DataNeed, ...]:
    """What the handler asks for, or the default needs of its data sources where it does not say."""
    if handler.needs is not None:
        return without_idle_checks(handler.needs(symbol, watchlist), sources)
    return tuple(
        need for source in task.data_sources for need in sources.default_needs(source, symbol)
    )


def cleaned(needs: tuple[DataNeed, ...], gathered: Gathered, redactor: Redactor) -> Gathered:
    """What was gathered with its texts cleaned and the gaps of cross-checks put together."""
    return replace(
        gathered,
        missing=redactor.gaps(settle_cross_checks(needs, gathered.missing)),
        observations=redactor.observations(gathered.observations),
    )


def find(
    task: ResearchTask,
    handler: Handler,
    gathered: Gathered,
    upstream: Mapping[str, Finding],
    *,
    symbol: Symbol,
    as_of: datetime,
    watchlist: tuple[Symbol, ...],
) -> Finding:
    """The finding of the handler; :class:`SigmaxError` without data and for a foreign answer."""
    if not gathered.observations:
        raise SigmaxError(describe_missing(gathered))
    finding = handler.research(
        ResearchInputs(
            task_id=task.task_id,
            symbol=symbol,
            as_of=as_of,
            watchlist=watchlist,
            observations=gathered.observations,
            missing=gathered.missing,
            upstream=dict(upstream),
        )
    )
    if not isinstance(finding, Finding):
        raise SigmaxError(
            f"handler {task.handler} gave {type(finding).__name__} instead of a Finding"
        )
    if (finding.task_id, finding.symbol) != (task.task_id, symbol):
        raise SigmaxError(
            f"handler {task.handler} answered for {finding.task_id} of {finding.symbol}"
        )
    return finding


def failure_reason(error: Exception, redactor: Redactor) -> str:
    """What the outcome of a failed task says; a bug in a handler keeps the name of its error."""
    if isinstance(error, SigmaxError):
        return redactor.text(str(error))
    reason = redactor.text(" ".join(str(error).split()))
    return f"{type(error).__name__}: {reason[:200]}"


def describe_missing(gathered: Gathered) -> str:
    """Why there is nothing at all, short; the gaps themselves are kept in full beside it."""
    if gathered.offline:
        return "no data: no network, none of its providers could be reached"
    reasons = list(dict.fromkeys(f"{gap.need} ({gap.reason})" for gap in gathered.missing))
    if not reasons:
        return "no data: no source was asked"
    more = f" and {len(reasons) - 1} more gaps" if len(reasons) > 1 else ""
    return f"no data: {reasons[0][:160]}{more}"
