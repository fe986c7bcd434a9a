"""The options that commands share, and the parsers of what people type.

Everything is parsed here and not by click's types, so that each mistake gives one line of ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import click

from sigmax_planner.errors import InvalidWidthError
from sigmax_tasks.asked import checked_moment, checked_seed
from sigmax_tasks.errors import ConfigurationError

MOST_SYMBOLS = 200
"""How many markets one command takes."""

_LONGEST_DEADLINE_SECONDS = 86_400.0
_MOST_USD = Decimal(1_000_000)
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_SEED = re.compile(r"[0-9]{1,18}", re.ASCII)

F = TypeVar("F", bound=Callable[..., Any])


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    # Reading the installed metadata takes longer than everything else that --help needs.
    from importlib.metadata import version

    click.echo(f"{context.info_name} {version('sigmax-tasks')}")
    context.exit()


version_option = click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
broker_option = click.option(
    "--broker", metavar="URL", help="Redis of the cluster [SIGMAX_BROKER_URL, runtime.yaml]."
)
_config_option = click.option(
    "--config",
    "config_dir",
    metavar="DIR",
    help="Folder of YAML files [SIGMAX_CONFIG_DIR, ./config, the shipped one].",
)
_set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a configuration key, e.g. task_execution.max_retries=3; repeatable.",
)
_plan_options = (
    click.option("--profile", metavar="P", help="Risk profile [planning.yaml: default_profile]."),
    click.option("--width", metavar="N", help="How many tasks may run at once."),
    click.option(
        "--optional/--no-optional",
        "optional",
        default=None,
        help="With or without optional tasks; the profile decides otherwise.",
    ),
    click.option("--max-cost", metavar="USD", help="Leave out tasks that would cost more."),
)


def settings_options(command: F) -> F:
    """--config and --set."""
    return _config_option(_set_option(command))


def plan_options(command: F) -> F:
    """--profile, --width, --optional, --max-cost."""
    for option in reversed(_plan_options):
        command = option(command)
    return command


def config_path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def parse_width(text: str | None) -> int | None:
    """A whole number of at least 1; :class:`InvalidWidthError` shows what was typed."""
    if text is None:
        return None
    if not _WHOLE.fullmatch(text.strip()):
        raise InvalidWidthError(text)
    width = int(text)
    if width < 1:
        raise InvalidWidthError(width)
    return width


def parse_count(text: str | None, option: str, most: int) -> int | None:
    """A whole number from 1 to ``most``."""
    if text is None:
        return None
    count = int(text) if _WHOLE.fullmatch(text.strip()) else 0
    if not 1 <= count <= most:
        raise ConfigurationError(f"{option} {text!r} is not a whole number from 1 to {most:,}")
    return count


def parse_max_cost(text: str | None) -> Decimal | None:
    """USD, at least 0."""
    if text is None:
        return None
    try:
        amount = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _MOST_USD:
        raise ConfigurationError(
            f"--max-cost {text!r} is not an amount of USD from 0 to {_MOST_USD:,}",
            advice="write it like --max-cost 0.15",
        )
    return amount


def parse_deadline(text: str | None) -> float | None:
    """Seconds above 0, at most a day."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST_DEADLINE_SECONDS:
        raise ConfigurationError(
            f"--deadline {text!r} is not a number of seconds above 0 and up to "
            f"{_LONGEST_DEADLINE_SECONDS:g}",
            advice="write it like --deadline 90",
        )
    return seconds


def parse_slot_seconds(text: str | None) -> float:
    """Seconds to wait for a slot, 0 where left out, at most a day."""
    if text is None:
        return 0.0
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _LONGEST_DEADLINE_SECONDS:
        raise ConfigurationError(
            f"--wait-for-slot {text!r} is not a number of seconds from 0 to "
            f"{_LONGEST_DEADLINE_SECONDS:g}",
            advice="write it like --wait-for-slot 60",
        )
    return seconds


def parse_seed(text: str | None) -> int | None:
    """A whole number of at least 0."""
    if text is None:
        return None
    return checked_seed(int(text) if _SEED.fullmatch(text.strip()) else text, "--seed")


def parse_as_of(text: str | None, now: datetime, *, option: str = "--as-of") -> datetime | None:
    """An ISO date (its first second, UTC) or date-time (naive: UTC), not later than ``now``.

    ``option`` is what errors call it.
    """
    return None if text is None else checked_moment(text, now, option)


def read_watchlist(path_text: str | None) -> tuple[str, ...]:
    """Symbols of a file, one a line; ``#`` starts a comment. Errors name the line."""
    if path_text is None:
        return ()
    # pydantic, which --help can do without.
    from sigmax_tasks.watchlist import read_symbols

    return read_symbols(Path(path_text), f"--watchlist {path_text!r}")


def parse_symbols(typed: Iterable[str], watchlist: Iterable[str] = ()) -> tuple[str, ...]:
    """Checked symbols without repeats, in the order given: those typed, then the watchlist's."""
    # pydantic, which --help can do without.
    from sigmax_planner.models import parse_symbol

    symbols = tuple(dict.fromkeys([*map(parse_symbol, typed), *watchlist]))
    if not symbols:
        raise ConfigurationError("no symbol given", advice="write one like BTC/USDT")
    if len(symbols) > MOST_SYMBOLS:
        raise ConfigurationError(
            f"{len(symbols)} symbols are more than {MOST_SYMBOLS}, the most one command takes",
            advice="submit them in parts",
        )
    return symbols
