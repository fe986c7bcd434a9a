"""Settings of schedule.yaml: which markets are researched when, without anybody asking."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sigmax_planner.errors import InvalidSymbolError, UnknownNameError
from sigmax_planner.models import (
    DataMode,
    Message,
    Portfolio,
    Seconds,
    Symbol,
    UsdAmount,
    parse_symbol,
)
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.portfolio import read_portfolio

NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,39}$"
ScheduleName = Annotated[str, Field(pattern=NAME_PATTERN)]


def _symbol(value: object) -> str:
    try:
        return parse_symbol(value)
    except InvalidSymbolError as error:
        raise ValueError(str(error)) from error


class ScheduleEntry(Message):
    """One entry: when (``cron`` in ``timezone``), what, and how.

    ``watchlist`` is a file of symbols and ``portfolio`` one of what is held, both relative to the
    folder of the configuration. A run that is
    more than ``late_after`` seconds behind its time counts as missed.
    """

    cron: str = Field(max_length=200)
    timezone: str = "UTC"
    symbols: tuple[Annotated[Symbol, BeforeValidator(_symbol)], ...] = ()
    watchlist: str | None = Field(default=None, min_length=1)
    portfolio: str | None = Field(default=None, min_length=1)
    profile: str | None = None
    data: Literal["live", "simulated"] = "live"
    deadline: Seconds | None = None
    max_cost: UsdAmount | None = None
    overlap: Literal["skip", "queue"] = "skip"
    missed: Literal["skip", "once"] = "skip"
    late_after: float = Field(default=120.0, strict=True, ge=1, le=86_400)

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, cron: str) -> str:
        fields = cron.split()
        if len(fields) != 5:
            raise ValueError("five fields are expected: minute hour day-of-month month day-of-week")
        return " ".join(fields)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("no such time zone; write it like Europe/Berlin or UTC") from error
        return name

    @model_validator(mode="after")
    def _something_to_research(self) -> Self:
        if not self.symbols and self.watchlist is None:
            raise ValueError("symbols or a watchlist is needed")
        return self

    @property
    def data_mode(self) -> DataMode:
        return DataMode(self.data)

    def resolved(self, folder: Path) -> ScheduleEntry:
        """The same with absolute paths."""
        files = {"watchlist": self.watchlist, "portfolio": self.portfolio}
        return self.model_copy(
            update={
                name: str((folder / path).resolve())
                for name, path in files.items()
                if path is not None
            }
        )

    def holdings(self, name: str) -> Portfolio | None:
        """What is held, of the entry ``name``; :class:`ConfigurationError` for a file that is
        none."""
        if self.portfolio is None:
            return None
        called = f"the portfolio {self.portfolio!r} of schedule {name!r}"
        return read_portfolio(Path(self.portfolio), called)


def _none_is_empty(value: Any) -> Any:
    """``schedules:`` with nothing but comments below it is null in YAML."""
    return {} if value is None else value


class ScheduleSettings(Message):
    """The whole of schedule.yaml."""

    schedules: Annotated[dict[ScheduleName, ScheduleEntry], BeforeValidator(_none_is_empty)] = (
        Field(default_factory=dict)
    )

    def entry(self, name: str) -> ScheduleEntry:
        """The entry of that name; :class:`ConfigurationError` lists the known ones."""
        if name in self.schedules:
            return self.schedules[name]
        if not self.schedules:
            raise ConfigurationError(
                f"there is no schedule {name!r}: schedule.yaml has none",
                advice="describe one there; the shipped file shows how",
            )
        raise UnknownNameError("schedule", name, self.schedules)

    def check_profiles(self, known: tuple[str, ...]) -> None:
        """:class:`UnknownNameError` for a profile that planning.yaml does not have."""
        for name, entry in self.schedules.items():
            if entry.profile is not None and entry.profile not in known:
                raise UnknownNameError(f"profile in schedules.{name}", entry.profile, known)
