"""The findings of ``sigmax doctor`` for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from rich.console import Group, RenderableType
from rich.text import Text

from sigmax_tasks.report.layout import block, grid, indented, plain_table
from sigmax_tasks.report.text import clean_text


class Found(Protocol):
    """What is shown of a check."""

    @property
    def area(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def said(self) -> str: ...
    @property
    def advice(self) -> str: ...


class ProviderFacts(Protocol):
    """What is shown of a provider."""

    @property
    def provider(self) -> str: ...
    @property
    def simulated(self) -> bool: ...
    @property
    def reachable(self) -> bool | None: ...
    @property
    def breaker(self) -> str: ...
    @property
    def breaker_seconds(self) -> float: ...
    @property
    def cool_down_seconds(self) -> float: ...
    @property
    def limits_left(self) -> Mapping[str, int]: ...
    @property
    def requests(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def hits(self) -> int: ...
    @property
    def stale(self) -> int: ...
    @property
    def waits(self) -> int: ...
    @property
    def waited_seconds(self) -> float: ...
    @property
    def p50_ms(self) -> int | None: ...
    @property
    def p95_ms(self) -> int | None: ...
    @property
    def last_error(self) -> str: ...
    @property
    def last_error_at(self) -> datetime | None: ...


_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor_view(
    broker: str, findings: Sequence[Found], providers: Sequence[ProviderFacts], now: datetime
) -> RenderableType:
    """The checks by area, then the providers that were asked, then those that were not."""
    parts: list[RenderableType] = []
    if broker:
        parts += [Text.assemble(("Broker  ", "bold"), clean_text(broker)), Text()]
    parts.append(_checks(findings))
    counted = {state: sum(f.state == state for f in findings) for state in _STYLES}
    parts += [
        Text(),
        Text(", ".join(f"{count} {state}" for state, count in counted.items()), style="bold"),
    ]
    known = [status for status in providers if status.reachable is not None]
    for simulated, name in ((False, "Providers"), (True, "Simulated or replayed providers")):
        shown = [status for status in known if status.simulated is simulated]
        if shown:
            parts += block(name, _table(shown), note="of the last week")
    errors = [status for status in known if status.last_error and status.last_error_at is not None]
    if errors:
        parts += block("Last errors", _errors(errors, now))
    unknown = [s.provider for s in providers if s.reachable is None and not s.simulated]
    if unknown:
        parts += [Text(), Text(f"Not asked lately: {', '.join(unknown)}", style="dim")]
    return Group(*parts)


def _checks(findings: Sequence[Found]) -> RenderableType:
    """One row a check; what to do stands below what is said."""
    table = grid(4)
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    area = ""
    for finding in findings:
        said = Text(clean_text(finding.said, limit=400))
        if finding.advice:
            said.append(f"\n{clean_text(finding.advice, limit=400)}", style="italic")
        table.add_row(
            Text(finding.area if finding.area != area else "", style="bold"),
            clean_text(finding.name),
            Text(finding.state, style=_STYLES[finding.state]),
            said,
        )
        area = finding.area
    return table


def _table(providers: Sequence[ProviderFacts]) -> RenderableType:
    table = plain_table()
    table.add_column("provider", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("asked", "failed", "shared", "waits", "p50", "p95 ms"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("left of its limits", overflow="fold")
    for status in providers:
        table.add_row(
            status.provider,
            _state(status),
            str(status.requests),
            str(status.failed),
            str(status.hits + status.stale),
            f"{status.waits} ({status.waited_seconds:.0f} s)" if status.waits else "0",
            "-" if status.p50_ms is None else str(status.p50_ms),
            "-" if status.p95_ms is None else str(status.p95_ms),
            ", ".join(f"{left} of {limit}" for limit, left in status.limits_left.items()) or "-",
        )
    return table


def _state(status: ProviderFacts) -> Text:
    if status.breaker == "open":
        return Text(f"open {status.breaker_seconds:.0f} s", style="bold red")
    if status.breaker == "half-open":
        return Text("half-open", style="yellow")
    if status.cool_down_seconds > 0:
        return Text(f"wait {status.cool_down_seconds:.0f} s", style="yellow")
    return Text("answers", style="green") if status.reachable else Text("silent", style="bold red")


def _errors(providers: Sequence[ProviderFacts], now: datetime) -> RenderableType:
    table = grid(3)
    for status in providers:
        if status.last_error_at is not None:
            table.add_row(
                status.provider,
                Text(_ago((now - status.last_error_at).total_seconds()), style="dim"),
                Text(clean_text(status.last_error)),
            )
    return indented(table)


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"
