"""Which data a decision is made on: what of the options goes together, and what is filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sigmax_planner.models import DataMode
from sigmax_tasks.asked import checked_moment, checked_seed
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.settings import Settings

SIMULATOR_URL = "SIGMAX_SIMULATOR_URL"


@dataclass(frozen=True)
class DataOptions:
    """Where the data come from. ``server_url`` is a data server that runs already."""

    mode: DataMode
    seed: int | None = None
    as_of: datetime | None = None
    replay_dir: Path | None = None
    server_url: str | None = None


@dataclass(frozen=True)
class Spelling:
    """How errors write the name of an option, and the choice of data."""

    option: Callable[[str], str]
    data: Callable[[DataMode], str]


TYPED = Spelling(lambda name: f"--{name.replace('_', '-')}", lambda mode: f"--data {mode.value}")
FROM_PYTHON = Spelling(lambda name: name, lambda mode: f"data={mode.value!r}")


def check_data(
    mode: DataMode,
    settings: Settings,
    environ: Mapping[str, str],
    now: datetime,
    *,
    seed: int | None,
    as_of: datetime | str | None,
    replay_dir: str | Path | None,
    spelling: Spelling,
) -> DataOptions:
    """The options of the data as a whole; :class:`ConfigurationError` where they do not fit.

    The clock of the simulated market stands still, also where ``as_of`` is None.
    """
    option, data = spelling.option, spelling.data
    moment = None if as_of is None else checked_moment(as_of, now, option("as_of"))
    for given, name, wanted in (
        (seed, "seed", DataMode.SIMULATED),
        (replay_dir, "replay_dir", DataMode.REPLAY),
    ):
        if given is not None and mode is not wanted:
            raise ConfigurationError(
                f"{option(name)} does not go with {data(mode)}", advice=f"use {data(wanted)}"
            )
    if mode is DataMode.LIVE:
        if moment is not None:
            raise ConfigurationError(
                f"{option('as_of')} does not go with {data(mode)}, which is about now",
                advice=f"use {data(DataMode.REPLAY)} or {data(DataMode.SIMULATED)}",
            )
        return DataOptions(mode)
    server_url = data_server_url(environ)
    if mode is DataMode.SIMULATED:
        if moment is not None:
            _check_simulated_time(moment, option("as_of"))
        simulator = settings.runtime.simulator
        own_seed = simulator.seed if seed is None else checked_seed(seed, option("seed"))
        return DataOptions(mode, own_seed, moment or simulator.as_of, None, server_url)
    if moment is None:
        raise ConfigurationError(
            f"{data(mode)} needs {option('as_of')}, the moment to replay",
            advice="write it like 2025-03-14T12:00Z",
        )
    if replay_dir is None and server_url is None:
        raise ConfigurationError(
            f"{data(mode)} needs {option('replay_dir')}, the folder of recordings",
            advice=f"or {SIMULATOR_URL}, a server of recordings that runs already",
        )
    folder = None if replay_dir is None else Path(replay_dir).resolve()
    if folder is not None and not folder.is_dir():
        raise ConfigurationError(f"{option('replay_dir')} {str(replay_dir)!r} is not a folder")
    return DataOptions(mode, None, moment, folder, server_url)


def data_server_url(environ: Mapping[str, str]) -> str | None:
    """The address of a data server that runs already, None where none is named."""
    url = environ.get(SIMULATOR_URL, "").strip().rstrip("/")
    if not url:
        return None
    check_server_url(url)
    return url


def check_server_url(url: str) -> None:
    """:class:`ConfigurationError` unless it is an http address."""
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{SIMULATOR_URL} {url!r} is not an http address",
            advice="give it the address that sigmax simulate prints",
        )


def _check_simulated_time(moment: datetime, called: str) -> None:
    from sigmax_tasks.simulator.market import FIRST_MS  # builds tables; other modes need none

    first = datetime.fromtimestamp(FIRST_MS / 1000, UTC)
    if moment < first:
        raise ConfigurationError(
            f"{called} {moment:%Y-%m-%d %H:%M} UTC is before the simulated market, which can be "
            f"asked about from {first:%Y-%m-%d %H:%M} UTC on"
        )
