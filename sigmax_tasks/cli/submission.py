"""From what was typed to checked requests and plans, before anything is started or sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sigmax_planner.facts import NOTHING_KNOWN, PlanningFacts
from sigmax_planner.models import AnalysisRequest, DataMode, Portfolio, ResearchPlan
from sigmax_planner.planner import create_plan
from sigmax_tasks.cli.options import (
    parse_as_of,
    parse_deadline,
    parse_max_cost,
    parse_seed,
    parse_symbols,
    parse_width,
    read_watchlist,
)
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.portfolio import read_portfolio
from sigmax_tasks.report.numbers import time_text
from sigmax_tasks.settings import Settings

SIMULATOR_URL = "SIGMAX_SIMULATOR_URL"


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
    mode = DataMode(typed.data)
    simulator_url = None if mode is DataMode.LIVE else data_server_url(environ)
    replay_dir = _replay_dir(typed, mode, simulator_url)
    as_of, seed = _market_time(typed, mode, settings, now)
    profile = typed.profile if typed.profile is not None else settings.planning.default_profile
    width = parse_width(typed.width)
    max_cost = parse_max_cost(typed.max_cost)
    deadline = parse_deadline(typed.deadline)
    portfolio = _portfolio(typed.portfolio)
    held = [holding.symbol for holding in portfolio.holdings] if portfolio is not None else []
    # What is held comes first: research compares with a limited number of markets.
    compared = tuple(dict.fromkeys((*held, *symbols)))
    requests = tuple(
        AnalysisRequest(
            symbol=symbol,
            risk_profile=profile,
            data_mode=mode,
            watchlist=tuple(other for other in compared if other != symbol),
            portfolio=portfolio,
            width=width,
            include_optional=typed.optional,
            max_cost_usd=max_cost,
            deadline_seconds=deadline,
            as_of=as_of,
            seed=seed,
            source_root=simulator_url,
        )
        for symbol in symbols
    )
    plans = tuple(
        create_plan(request, settings.planning, settings.catalog, now, facts(request))
        for request in requests
    )
    return Submission(requests, plans, simulator_url, replay_dir)


def _portfolio(path_text: str | None) -> Portfolio | None:
    if path_text is None:
        return None
    return read_portfolio(Path(path_text), f"--portfolio {path_text!r}")


def data_server_url(environ: Mapping[str, str]) -> str | None:
    """The address of a data server that runs already, None where none is named."""
    url = environ.get(SIMULATOR_URL, "").strip().rstrip("/")
    if not url:
        return None
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{SIMULATOR_URL} {url!r} is not an http address",
            advice="give it the address that sigmax simulate prints",
        )
    return url


def _replay_dir(typed: Typed, mode: DataMode, simulator_url: str | None) -> Path | None:
    if mode is not DataMode.REPLAY:
        if typed.replay_dir is not None:
            raise ConfigurationError(
                f"--replay-dir does not go with --data {mode.value}", advice="add --data replay"
            )
        return None
    if typed.as_of is None:
        raise ConfigurationError(
            "--data replay needs --as-of, the moment to replay",
            advice="write it like --as-of 2025-03-14T12:00Z",
        )
    if typed.replay_dir is None:
        if simulator_url is not None:
            return None
        raise ConfigurationError(
            "--data replay needs --replay-dir, the folder of recordings",
            advice=f"or {SIMULATOR_URL}, a server of recordings that runs already",
        )
    folder = Path(typed.replay_dir)
    if not folder.is_dir():
        raise ConfigurationError(f"--replay-dir {typed.replay_dir!r} is not a folder")
    return folder.resolve()


def _market_time(
    typed: Typed, mode: DataMode, settings: Settings, now: datetime
) -> tuple[datetime | None, int | None]:
    """(as_of, seed). The clock of the simulated market stands still, also without --as-of."""
    as_of = parse_as_of(typed.as_of, now)
    seed = parse_seed(typed.seed)
    if mode is DataMode.LIVE and as_of is not None:
        raise ConfigurationError(
            "--as-of does not go with --data live, which is about now",
            advice="add --data replay or --data simulated",
        )
    if mode is not DataMode.SIMULATED:
        if seed is not None:
            raise ConfigurationError(
                f"--seed does not go with --data {mode.value}", advice="add --data simulated"
            )
        return as_of, None
    if as_of is not None:
        _check_simulated_time(as_of)
    simulator = settings.runtime.simulator
    return as_of or simulator.as_of, simulator.seed if seed is None else seed


def _check_simulated_time(as_of: datetime) -> None:
    from sigmax_tasks.simulator.market import FIRST_MS  # builds tables; other modes need none

    first = datetime.fromtimestamp(FIRST_MS / 1000, UTC)
    if as_of < first:
        raise ConfigurationError(
            f"--as-of {time_text(as_of)} is before the simulated market, which can be asked "
            f"about from {time_text(first)} on"
        )
