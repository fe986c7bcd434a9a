"""The tasks of a hand-made plan that run on the workers, as one run of the cluster."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sigmax_planner.catalog import Catalog
from sigmax_planner.errors import UnknownNameError
from sigmax_planner.models import AnalysisRequest, ResearchPlan, ResearchTask
from sigmax_tasks import clock
from sigmax_tasks.client import Client, SubmittedRun
from sigmax_tasks.compat.asked import make_request, settings_with
from sigmax_tasks.compat.bot import SIGMAX, at
from sigmax_tasks.compat.order import Order
from sigmax_tasks.compat.place import Opened
from sigmax_tasks.compat.runs import run_to_end
from sigmax_tasks.compat.threads import in_thread
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.handlers import check_handlers
from sigmax_tasks.models.research import TaskOutcome
from sigmax_tasks.settings import Settings

REQUEST_KEYS = ("risk_profile", "watchlist", "deadline_seconds")
"""What of a context the workers use, beside ``symbol``."""


@dataclass(frozen=True)
class PoolPart:
    """A checked run, ready to be submitted. ``notes`` say what of the context it does not use."""

    bot: SIGMAX
    settings: Settings
    request: AnalysisRequest
    plan: ResearchPlan
    notes: tuple[str, ...]

    async def run(self) -> tuple[TaskOutcome, ...]:
        """The outcomes in plan order; on the bot's cluster if it is open, else on one for this."""

        def submit(client: Client, opened: Opened) -> SubmittedRun:
            return client.submit_plan(at(self.request, opened), self.plan)

        def read(client: Client, run_id: str) -> tuple[TaskOutcome, ...]:
            return client.dossier(run_id).outcomes

        place = self.bot.place
        if place is not None:
            return await run_to_end(place, self.settings, submit, read)
        place = self.bot.new_place()
        try:
            await in_thread(place.open)
            return await run_to_end(place, self.settings, submit, read)
        finally:
            await in_thread(place.close)


def prepare_pool_part(
    bot: SIGMAX,
    tasks: Sequence[ResearchTask],
    order: Order,
    context: Mapping[str, Any],
    registered: Container[str],
    *,
    width: int,
    execution: Mapping[str, Any],
) -> PoolPart:
    """The run of those of the tasks that have no registered handler.

    ``execution`` are keys of ``task_execution``. Raises :class:`ConfigurationError` (no handler
    anywhere, no symbol, a dependency that runs elsewhere), :class:`UnknownNameError` (a data
    source, the profile) or :class:`InvalidSymbolError`.
    """
    settings = settings_with(bot.settings, {"task_execution": execution}, "TaskExecutor")
    own = [_complete(t, settings.catalog) for t in tasks if t.task_id not in registered]
    check_handlers(own)
    names = ", ".join(task.task_id for task in own)
    for task in own:
        here = next((d for d in task.dependencies if d in registered), None)
        if here is not None:
            raise ConfigurationError(
                f"task {task.task_id!r} runs on the workers, but depends on {here!r}, whose "
                "handler is registered in this process",
                advice=f"register a handler for {task.task_id!r} too",
            )
        for source in task.data_sources:
            if source not in settings.sources.data_sources:
                kind = f"data source of task {task.task_id!r}:"
                raise UnknownNameError(kind, source, settings.sources.data_sources)
    if settings.planning.debug.dry_run:
        raise ConfigurationError(f"debug.dry_run is on, so the workers do not run {names}")
    if "symbol" not in context:
        raise ConfigurationError(
            f"the workers run {names} for a market, and the context names none",
            advice="give context={'symbol': 'BTC/USDT'}, or register handlers",
        )
    options = {key: context[key] for key in REQUEST_KEYS if key in context}
    profile = settings.planning.profile(options.pop("risk_profile", bot.risk_profile)).name
    request = make_request(context["symbol"], profile, bot.data, **options)
    ids = {task.task_id for task in own}
    plan = ResearchPlan(
        symbol=request.symbol,
        risk_profile=profile,
        tasks=tuple(own),
        execution_order=_narrow(order, ids, width),
        width=width,
        created_at=clock.now(),
    )
    unused = sorted(str(key) for key in context if key not in {"symbol", *REQUEST_KEYS})
    notes = (f"not used by the workers: context {', '.join(unused)}",) if unused else ()
    return PoolPart(bot, settings, request, plan, notes)


def _complete(task: ResearchTask, catalog: Catalog) -> ResearchTask:
    """The task with the handler, and the data sources, of the catalogue where it names none."""
    if task.handler:
        return task
    template = catalog.by_id.get(task.task_id)
    if template is None:
        raise ConfigurationError(
            f"task {task.task_id!r} has no handler: none is registered with the executor, the "
            "task names none, and the catalogue has no task of that id",
            advice=f"call register_handler({task.task_id!r}, ...) first",
        )
    sources = task.data_sources or template.data_sources
    return task.model_copy(update={"handler": template.handler, "data_sources": sources})


def _narrow(order: Order, task_ids: Container[str], width: int) -> Order:
    """The batches of those tasks, each cut into batches of at most ``width``."""
    batches = []
    for batch in order:
        kept = [task_id for task_id in batch if task_id in task_ids]
        batches += [tuple(kept[i : i + width]) for i in range(0, len(kept), width)]
    return tuple(batches)
