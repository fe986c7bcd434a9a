"""From what was typed to checked requests and plans, before anything is started or sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sigmax_planner.facts import NOTHING_KNOWN, PlanningFacts
from sigmax_planner.models import AnalysisRequest, DataMode, Portfolio, ResearchPlan
from sigmax_planner.planner import create_plan
from sigmax_tasks.cli.options import (
    parse_deadline,
    parse_max_cost,
    parse_seed,
    parse_symbols,
    parse_width,
    read_watchlist,
)
from sigmax_tasks.data_choice import TYPED, check_data
from sigmax_tasks.portfolio import compared_with, read_portfolio
from sigmax_tasks.settings import Settings


@dataclass(frozen=True)
class Typed:
    """The options of a submission as they were typed; None where left out."""

    symbols: tuple[str, ...]
    profile: str | None = None
    width: str | None = None
    optional: bool | None = None
    data: str = DataMode.LIVE.value
    replay_dir: str | None = None
    as_of: str | None = None
    seed: str | None = None
    max_cost: str | None = None
    deadline: str | None = None
    watchlist: str | None = None
    portfolio: str | None = None


@dataclass(frozen=True)
class Submission:
    """Checked requests in the order asked, and one plan each.

    ``simulator_url`` is a data server that runs already; ``replay_dir`` the recordings for one
    that is to be started.
    """

    requests: tuple[AnalysisRequest, ...]
    plans: tuple[ResearchPlan, ...]
    simulator_url: str | None
    replay_dir: Path | None

    @property
    def data_mode(self) -> DataMode:
        return self.requests[0].data_mode

    @property
    def starts_server(self) -> bool:
        """Whether the data come from a server that this command must start."""
        return self.data_mode is not DataMode.LIVE and self.simulator_url is None

    def served_from(self, url: str) -> Submission:
        """The same with the address of the data server in every request."""
        return replace(
            self,
            requests=tuple(r.model_copy(update={"source_root": url}) for r in self.requests),
        )


def nothing_known(_: AnalysisRequest) -> PlanningFacts:
    """The facts of every request where none are looked for."""
    return NOTHING_KNOWN


def prepare(
    typed: Typed,
    settings: Settings,
    environ: Mapping[str, str],
    now: datetime,
    facts: Callable[[AnalysisRequest], PlanningFacts] = nothing_known,
) -> Submission:
    """Check everything and plan. Raises a planning or configuration error; starts nothing.

    ``facts`` gives what is known of a request before it runs; it is asked when all else is sound.
    """
    symbols = parse_symbols(typed.symbols, read_watchlist(typed.watchlist))
    data = check_data(
        DataMode(typed.data),
        settings,
        environ,
        now,
        seed=parse_seed(typed.seed),
        as_of=typed.as_of,
        replay_dir=typed.replay_dir,
        spelling=TYPED,
    )
    profile = typed.profile if typed.profile is not None else settings.planning.default_profile
    width = parse_width(typed.width)
    max_cost = parse_max_cost(typed.max_cost)
    deadline = parse_deadline(typed.deadline)
    portfolio = _portfolio(typed.portfolio)
    requests = tuple(
        AnalysisRequest(
            symbol=symbol,
            risk_profile=profile,
            data_mode=data.mode,
            watchlist=compared_with(symbol, symbols, portfolio),
            portfolio=portfolio,
            width=width,
            include_optional=typed.optional,
            max_cost_usd=max_cost,
            deadline_seconds=deadline,
            as_of=data.as_of,
            seed=data.seed,
            source_root=data.server_url,
        )
        for symbol in symbols
    )
    plans = tuple(
        create_plan(request, settings.planning, settings.catalog, now, facts(request))
        for request in requests
    )
    return Submission(requests, plans, data.server_url, data.replay_dir)


def _portfolio(path_text: str | None) -> Portfolio | None:
    if path_text is None:
        return None
    return read_portfolio(Path(path_text), f"--portfolio {path_text!r}")
