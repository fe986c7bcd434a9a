"""A command line whose cluster is a script: nothing is started, nothing leaves the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from sigmax_planner.models import AnalysisRequest
from sigmax_planner.planner import create_plan
from sigmax_tasks.budget import DaySpend
from sigmax_tasks.cli.main import sigmax
from sigmax_tasks.cli.submit import submit
from sigmax_tasks.client import SubmittedRun
from sigmax_tasks.cluster import Cluster
from sigmax_tasks.errors import RunNotFoundError
from sigmax_tasks.journal import Journal
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.events import ProgressEvent
from sigmax_tasks.refusals import DeadLetter
from sigmax_tasks.settings import Settings
from tests.unit.report.builders import START, make_dossier, make_record, story


@dataclass
class Script:
    """What the fake cluster does, and what was asked of it.

    ``changes`` are the decision's fields by symbol; ``errors`` are raised for a symbol when its
    run should finish (an exception class that takes the run id, or a factory).
    """

    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: dict[str, Callable[[str], BaseException]] = field(default_factory=dict)
    check_error: Exception | None = None
    workers_error: Exception | None = None
    submit_errors: dict[str, BaseException] = field(default_factory=dict)
    finish_order: list[str] = field(default_factory=list)
    requests: list[AnalysisRequest] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    opened: list[str | None] = field(default_factory=list)
    closed: int = 0
    clients_closed: int = 0
    settings: Settings | None = None
    keeps_dossiers: bool = True
    live: tuple[tuple[str, float], ...] = ()
    finished: dict[str, RunRecord] = field(default_factory=dict)
    journal: Journal | None = None
    waits: list[float] = field(default_factory=list)


class FakeClient:
    """The interface of the real client, played from the script."""

    def __init__(self, script: Script, settings: Settings) -> None:
        self._script = script
        self._settings = settings
        script.settings = settings
        self._runs: dict[str, AnalysisRequest] = {}

    def check(self) -> None:
        if self._script.check_error is not None:
            raise self._script.check_error

    def check_workers(self) -> None:
        if self._script.workers_error is not None:
            raise self._script.workers_error

    def submit(
        self, request: AnalysisRequest, *, wait_for_slot_seconds: float = 0.0
    ) -> SubmittedRun:
        self._script.waits.append(wait_for_slot_seconds)
        if request.symbol in self._script.submit_errors:
            raise self._script.submit_errors[request.symbol]
        self._script.requests.append(request)
        run_id = f"20260301-120000-{len(self._script.requests):08}"
        self._runs[run_id] = request
        plan = create_plan(request, self._settings.planning, self._settings.catalog, START)
        return SubmittedRun(run_id, plan, request.deadline_seconds or 120.0)

    def follow(self, run_ids: Sequence[str]) -> Iterator[ProgressEvent | None]:
        yield None
        order = self._script.finish_order
        for run_id in sorted(run_ids, key=lambda r: order.index(self._symbol(r)) if order else 0):
            symbol = self._symbol(run_id)
            events = story(make_record(symbol).plan, run_id)
            if symbol in self._script.errors:
                yield from events[:4]
                raise self._script.errors[symbol](run_id)
            yield from events

    def _symbol(self, run_id: str) -> str:
        return self._runs[run_id].symbol if run_id in self._runs else "BTC/USDT"

    def record(self, run_id: str) -> RunRecord:
        if run_id in self._script.finished:
            return self._script.finished[run_id]
        symbol = self._symbol(run_id)
        if self._script.changes.get(symbol, {}).get("lost"):
            raise RunNotFoundError(run_id, "the run store")
        return make_record(symbol, run_id, **self._script.changes.get(symbol, {}))

    def dossier(self, run_id: str) -> Dossier:
        if not self._script.keeps_dossiers:
            raise RunNotFoundError(run_id, "the run store")
        return make_dossier(self.record(run_id), seed=23)

    def cancel(self, run_id: str) -> bool:
        self._script.cancelled.append(run_id)
        return run_id not in self._script.finished

    def finished_ids(self, limit: int) -> tuple[str, ...]:
        return tuple(self._script.finished)[:limit]

    def live_runs(self) -> tuple[tuple[str, float], ...]:
        return self._script.live

    @property
    def journal(self) -> Journal | None:
        return self._script.journal

    def spent_today(self) -> DaySpend:
        return DaySpend(Decimal("0.25"), Decimal("0.05"))

    def refused(self) -> dict[str, int]:
        return {"foreign": 3}

    def count_dead(self) -> int:
        return 0

    def dead_letters(self, limit: int) -> tuple[DeadLetter, ...]:
        return ()[:limit]

    def workers(self) -> tuple[str, ...]:
        return ("host-1:4242",)

    def close(self) -> None:
        self._script.clients_closed += 1


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """The fake cluster behind every command."""
    played = Script()

    def client(settings: Settings, _broker_url: str) -> FakeClient:
        return FakeClient(played, settings)

    @contextmanager
    def cluster(
        _settings: Settings, broker_url: str | None = None, *, worker: None = None
    ) -> Iterator[Cluster]:
        played.opened.append(broker_url)
        try:
            yield Cluster(broker_url or "redis://private", "configured")
        finally:
            played.closed += 1

    monkeypatch.setattr("sigmax_tasks.cli.submit_flow.Client", client)
    monkeypatch.setattr("sigmax_tasks.cli.submit_flow.open_cluster", cluster)
    monkeypatch.setattr("sigmax_tasks.cli.records.Client", client)
    return played


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No configuration, broker or data of whoever runs the tests."""
    for name in (
        "SIGMAX_BROKER_URL", "CELERY_BROKER_URL", "SIGMAX_CONFIG_DIR", "SIGMAX_SIMULATOR_URL",
        "SIGMAX_DEBUG", "VERBOSE_PLANNING", "NO_COLOR", "FORCE_COLOR", "COLUMNS",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


Run = Callable[..., Result]


def _runner(command: click.Command, name: str) -> Run:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(command, list(arguments), prog_name=name)

    return run


@pytest.fixture
def run_submit() -> Run:
    """``sigmax-submit`` with these arguments."""
    return _runner(submit, "sigmax-submit")


@pytest.fixture
def run_sigmax() -> Run:
    """``sigmax`` with these arguments."""
    return _runner(sigmax, "sigmax")


def error_line(result: Result) -> str:
    """The one line of the error; fails on a traceback or on a second line."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("sigmax: error: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    return lines[0].removeprefix("sigmax: error: ")


@pytest.fixture(autouse=True)
def _no_early_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of these tests run on a played cluster, which needs no process."""
    monkeypatch.setattr("sigmax_tasks.cli.early.worker_is_likely", lambda *_: False)


@pytest.fixture
def by_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is told of batches, whichever switch the tests run with."""
    monkeypatch.setenv("SIGMAX_PLANNING__BATCHING", "levels")
