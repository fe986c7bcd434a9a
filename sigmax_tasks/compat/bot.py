"""``SIGMAX``: analyse markets from Python. It decides; it never trades."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sigmax_planner.models import AnalysisRequest
from sigmax_planner.planner import create_plan
from sigmax_tasks import clock
from sigmax_tasks.client import Client, SubmittedRun
from sigmax_tasks.compat.asked import Held, data_mode, make_request, read_settings
from sigmax_tasks.compat.place import Opened, Place
from sigmax_tasks.compat.runs import run_to_end
from sigmax_tasks.compat.threads import in_thread
from sigmax_tasks.data_choice import FROM_PYTHON, DataOptions, check_data
from sigmax_tasks.errors import ClusterUnreachableError
from sigmax_tasks.planning_facts import FactFinder
from sigmax_tasks.redact import redact_url
from sigmax_tasks.report.json_line import decision_line
from sigmax_tasks.settings import Settings
from sigmax_tasks.settings.layers import environment

MODES: Final = ("paper", "analysis", "research")
"""Words for the one thing it does: decide without trading. They differ in nothing else."""


class SIGMAX:
    """Research and decisions on a cluster: one that runs already, or a private one of its own.

    ``config_dir`` and ``overrides`` (``"task_execution.max_retries=3"``) are those of the command
    line; ``broker_url`` names a Redis. ``data`` is ``"live"``, ``"simulated"`` or ``"replay"``,
    with ``seed`` (simulated), ``as_of`` (an ISO text or an aware ``datetime``) and ``replay_dir``.

    Everything that can be checked is checked here: ``ValueError`` for a ``mode``, else a
    :class:`SigmaxError`. ``settings`` and ``data`` are what was made of the arguments.
    """

    def __init__(
        self,
        mode: str = "paper",
        risk_profile: str | None = None,
        *,
        config_dir: str | Path | None = None,
        overrides: Sequence[str] = (),
        broker_url: str | None = None,
        data: str = "live",
        seed: int | None = None,
        as_of: datetime | str | None = None,
        replay_dir: str | Path | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(
                f"mode {mode!r} is not available: SIGMAX decides and never trades; "
                f"modes are {', '.join(MODES)}"
            )
        self.mode: Final = mode
        self.settings: Final[Settings] = read_settings(config_dir, overrides)
        self.data: Final[DataOptions] = check_data(
            data_mode(data),
            self.settings,
            environment(),
            clock.now(),
            seed=seed,
            as_of=as_of,
            replay_dir=replay_dir,
            spelling=FROM_PYTHON,
        )
        planning = self.settings.planning
        self.risk_profile: Final = planning.profile(
            planning.default_profile if risk_profile is None else risk_profile
        ).name
        self._broker_url = broker_url
        self._place = self.new_place()

    def new_place(self) -> Place:
        """A closed place with these options, for its caller alone."""
        return Place(self.settings, self._broker_url, self.data)

    @property
    def place(self) -> Place | None:
        """Where its runs go; None while it is not open."""
        return self._place if self._place.opened is not None else None

    async def initialize(self) -> None:
        """Open the cluster, and a data server for simulated or replayed data.

        Without a running cluster a private Redis and worker start. Once open, do nothing. Raises
        :class:`ClusterUnreachableError` or :class:`ConfigurationError`.
        """
        await in_thread(self._place.open)

    async def close(self) -> None:
        """Cancel what is still in work and stop all that was started; may be called twice."""
        await in_thread(self._place.close)

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def analyze_symbol(
        self,
        symbol: str,
        *,
        risk_profile: str | None = None,
        watchlist: Iterable[str] = (),
        width: int | None = None,
        include_optional: bool | None = None,
        max_cost_usd: Decimal | float | str | None = None,
        deadline_seconds: float | None = None,
        portfolio: Held | None = None,
    ) -> dict[str, Any]:
        """The decision on one market: the JSON object that ``sigmax-submit --json`` prints.

        ``portfolio`` is what is held already: a file as ``--portfolio`` takes it, or a mapping with
        its keys. Research that does not pass validation gives HOLD with ``validation.passed``
        false, not an error. With ``debug.dry_run`` the object is the plan. Any number may be
        awaited at once.

        Raises a planning or configuration error before anything is sent, then
        :class:`ClusterUnreachableError`, :class:`RunCancelledError`, :class:`RunLostError` or
        :class:`NoDecisionError`. Cancelling the awaiting task cancels the run.
        """
        request = make_request(
            symbol,
            self.risk_profile if risk_profile is None else risk_profile,
            self.data,
            watchlist=watchlist,
            width=width,
            include_optional=include_optional,
            max_cost_usd=max_cost_usd,
            deadline_seconds=deadline_seconds,
            portfolio=portfolio,
        )
        planning = self.settings.planning
        facts = await in_thread(FactFinder(self.settings, None).of, request)
        plan = create_plan(request, planning, self.settings.catalog, clock.now(), facts)
        if planning.debug.dry_run:
            return plan.to_json_dict()

        def submit(client: Client, opened: Opened) -> SubmittedRun:
            return client.submit(at(request, opened))  # plans with what its cluster knows

        record = await run_to_end(self._place, self.settings, submit, Client.record)
        return decision_line(record)

    async def get_status(self) -> dict[str, Any]:
        """How it is set up and whether its cluster is there; never raises for a dead cluster.

        ``planning`` are the effective values of its risk profile. ``agents.researcher`` is active
        while a worker is connected. ``cluster.state`` is closed, up or unreachable.
        """
        policy = self.settings.planning
        profile = policy.profile(self.risk_profile)
        features = policy.features
        cluster = await in_thread(self._cluster_status)
        return {
            "mode": self.mode,
            "risk_profile": self.risk_profile,
            "data_mode": self.data.mode.value,
            "planning": {
                "enable_parallel_tasks": policy.planning.enable_parallel_tasks
                and features.enable_parallel
                and features.enable_planning,
                "max_parallel_tasks": profile.max_parallel_tasks,
                "include_optional_tasks": profile.include_optional_tasks,
            },
            "agents": {
                "planner": "active" if features.enable_planning else "disabled",
                "researcher": "active" if cluster["workers"] else "inactive",
            },
            "cluster": cluster,
        }

    def _cluster_status(self) -> dict[str, Any]:
        opened = self._place.opened
        status: dict[str, Any] = {"state": "closed", "kind": None, "broker": None, "workers": []}
        if opened is None:
            return status
        url = opened.cluster.broker_url
        status |= {"kind": opened.cluster.kind, "broker": redact_url(url)}
        try:
            opened.cluster.check()
            client = Client(self.settings, url)
            try:
                workers = client.workers()
            finally:
                client.close()
        except ClusterUnreachableError as error:
            return status | {"state": "unreachable", "problem": str(error)}
        return status | {"state": "up", "workers": list(workers)}


def at(request: AnalysisRequest, opened: Opened) -> AnalysisRequest:
    """The request with the address of the data server of an open place."""
    return request.model_copy(update={"source_root": opened.source_root})
