"""Observations made by hand for the tests of the families that read texts, series and numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sigmax_planner.models import DataMode
from sigmax_tasks.models.observations import (
    FearGreed,
    Lineage,
    Measure,
    Measures,
    Observation,
    Payload,
    Series,
    TextItem,
    Texts,
)
from sigmax_tasks.models.research import Finding, ResearchInputs

AS_OF = datetime(2024, 11, 15, 12, tzinfo=UTC)
DAY_MS = 86_400_000


def observed(
    data: Payload, source: str, name: str = "", at: datetime = AS_OF, endpoint: str = "/test"
) -> Observation:
    return Observation(
        lineage=Lineage(
            observation_id=f"{source}.{data.kind}.{name or 'x'}",
            source=source,
            kind=data.kind,
            provider="test",
            endpoint=endpoint,
            observed_at=at,
            fetched_at=at,
            payload_sha256="0" * 64,
            payload_bytes=1,
            data_mode=DataMode.REPLAY,
            simulated=False,
        ),
        data=data,
    )


def series(
    source: str,
    name: str,
    rows: Sequence[tuple[int, float]],
    symbol: str | None = None,
    unit: str = "unit",
) -> Observation:
    return observed(Series(name=name, unit=unit, symbol=symbol, rows=tuple(rows)), source, name)


def daily(values: Sequence[float], last: datetime | None = None) -> list[tuple[int, float]]:
    """One value a day, the last on the day before AS_OF unless given."""
    end = last or AS_OF.replace(hour=0) - timedelta(days=1)
    end_ms = int(end.timestamp() * 1000)
    return [(end_ms - (len(values) - 1 - i) * DAY_MS, v) for i, v in enumerate(values)]


def measures(
    source: str,
    subject: str,
    values: dict[str, float],
    symbol: str | None = None,
    endpoint: str = "/test",
    at: datetime = AS_OF,
) -> Observation:
    data = Measures(
        subject=subject,
        symbol=symbol,
        values=tuple(Measure(name=k, value=v, unit="u") for k, v in values.items()),
    )
    return observed(data, source, subject, at, endpoint)


def fear_greed(values: Sequence[float], last: datetime | None = None) -> Observation:
    rows = daily(values, last or AS_OF.replace(hour=0))
    return observed(FearGreed(rows=tuple(rows)), "fear_greed")


def text(title: str, hours_old: float = 1.0, outlet: str = "CoinDesk", body: str = "") -> TextItem:
    return TextItem(
        outlet=outlet, title=title, body=body, published_at=AS_OF - timedelta(hours=hours_old)
    )


def texts(items: Iterable[TextItem], channel: str = "news") -> Observation:
    return observed(Texts(channel=channel, items=tuple(items)), channel)  # type: ignore[arg-type]


def inputs(
    task_id: str,
    *observations: Observation,
    symbol: str = "BTC/USDT",
    as_of: datetime = AS_OF,
    upstream: dict[str, Finding] | None = None,
) -> ResearchInputs:
    return ResearchInputs(
        task_id=task_id,
        symbol=symbol,
        as_of=as_of,
        observations=observations,
        upstream=upstream or {},
    )


def csv_rows(path: Path, column: str, until: datetime, limit: int) -> list[tuple[int, float]]:
    """(ms, value) of a recorded daily table up to a time, blanks left out, the newest ``limit``."""
    rows: list[tuple[int, float]] = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["date"]).replace(tzinfo=UTC)
            if at <= until and row[column]:
                rows.append((int(at.timestamp() * 1000), float(row[column])))
    return rows[-limit:]


def check_finding(finding: Finding, task_id: str) -> None:
    """What every finding must hold, whatever the data."""
    assert finding.task_id == task_id
    assert -1 <= finding.score <= 1
    assert 0 <= finding.strength <= 1
    ids = [item.evidence_id for item in finding.evidence]
    assert len(ids) == len(set(ids))
    names = {metric.name for metric in finding.metrics}
    known = {lineage.observation_id for lineage in finding.lineage}
    for item in finding.evidence:
        assert set(item.metric_names) <= names
        assert set(item.observation_ids) <= known
        assert item.evidence_id.startswith(f"{task_id}.")
        assert "nan" not in item.claim.split()
