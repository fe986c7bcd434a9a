"""What of a hand-made plan goes to the workers, and what is refused before a cluster is opened."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from sigmax_planner.errors import InvalidSymbolError, UnknownNameError
from sigmax_planner.models import DataMode, ResearchTask
from sigmax_tasks import SIGMAX, TaskExecutor
from sigmax_tasks.compat.order import check_order
from sigmax_tasks.compat.pool import PoolPart, prepare_pool_part
from sigmax_tasks.errors import ConfigurationError, HandlerError

from .builders import Crowd, task

CONTEXT = {"symbol": "btc/usdt", "risk_profile": "aggressive"}


def prepare(
    tasks: list[ResearchTask],
    context: dict[str, Any] | None = None,
    registered: Collection[str] = (),
    width: int = 2,
    *overrides: str,
) -> PoolPart:
    return prepare_pool_part(
        SIGMAX(data="simulated", seed=3, overrides=overrides),
        tasks,
        check_order(tasks, None, 99),
        CONTEXT if context is None else context,
        registered,
        width=width,
        execution={"retry_failed_tasks": True, "max_retries": 1, "retry_delay": 0.5},
    )


def test_a_task_of_the_catalogue_gets_its_handler_and_data_sources() -> None:
    part = prepare([task("technical")])
    (own,) = part.plan.tasks
    assert own.handler == "sigmax_tasks.research.technical:research"
    assert own.data_sources == ("price_data", "volume_data")
    assert part.request.symbol == part.plan.symbol == "BTC/USDT"
    assert part.request.risk_profile == part.plan.risk_profile == "aggressive"
    assert (part.request.data_mode, part.request.seed) == (DataMode.SIMULATED, 3)


def test_a_task_keeps_the_handler_it_names() -> None:
    handler = "sigmax_tasks.research.momentum:research"
    part = prepare([task("mine", handler=handler, data_sources=("price_data",))])
    assert part.plan.tasks[0].handler == handler


def test_wide_batches_are_cut_to_the_width_and_stay_in_order() -> None:
    part = prepare([task(n) for n in ("macro", "onchain", "sentiment", "technical")], width=3)
    assert [len(batch) for batch in part.plan.execution_order] == [3, 1]
    assert part.plan.width == 3


def test_the_executors_retries_are_those_of_the_run() -> None:
    execution = prepare([task("technical")]).settings.planning.task_execution
    assert (execution.max_retries, execution.retry_delay) == (1, 0.5)


def test_registered_tasks_stay_here_and_may_build_on_the_workers() -> None:
    part = prepare([task("technical"), task("mine", "technical")], registered={"mine"})
    assert [t.task_id for t in part.plan.tasks] == ["technical"]
    assert part.plan.execution_order == (("technical",),)


def test_the_workers_cannot_build_on_what_runs_here() -> None:
    with pytest.raises(ConfigurationError, match="'technical' runs on the workers, but depends"):
        prepare([task("mine"), task("technical", "mine")], registered={"mine"})


def test_what_the_workers_do_not_use_of_the_context_is_noted() -> None:
    part = prepare([task("technical")], {"symbol": "BTC/USDT", "mood": 1, "deadline_seconds": 9})
    assert part.notes == ("not used by the workers: context mood",)
    assert part.request.deadline_seconds == 9
    assert prepare([task("technical")]).notes == ()


@pytest.mark.parametrize(
    ("tasks", "context", "error", "said"),
    [
        ([task("nobody")], None, ConfigurationError, "'nobody' has no handler"),
        ([task("x", handler="no.such:thing")], None, HandlerError, "no.such"),
        ([task("technical")], {}, ConfigurationError, "the context names none"),
        ([task("technical")], {"symbol": "BTC"}, InvalidSymbolError, "BASE/QUOTE"),
        (
            [task("technical")],
            {"symbol": "BTC/USDT", "risk_profile": "reckless"},
            UnknownNameError,
            "reckless",
        ),
        ([task("technical", data_sources=("rumours",))], None, UnknownNameError, "rumours"),
    ],
)
def test_what_cannot_run_on_the_workers_is_refused(
    tasks: list[ResearchTask], context: dict[str, Any] | None, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        prepare(tasks, context)
    assert said in str(caught.value)


def test_dry_run_runs_nothing_on_the_workers() -> None:
    with pytest.raises(ConfigurationError, match="dry_run is on"):
        prepare([task("technical")], None, (), 2, "debug.dry_run=true")


def test_a_task_without_any_handler_is_an_error_before_the_others_run() -> None:
    crowd = Crowd(0)
    executor = TaskExecutor(bot=SIGMAX(data="simulated"))
    executor.register_handler("a", crowd)
    plan = executor.execute_plan([task("a"), task("b")], [["a"], ["b"]], CONTEXT)
    with pytest.raises(ConfigurationError, match="register_handler"):
        asyncio.run(plan)
    assert crowd.calls == 0


def test_more_retries_than_the_workers_take_is_an_error_that_names_the_key() -> None:
    executor = TaskExecutor(max_retries=21, bot=SIGMAX(data="simulated"))
    with pytest.raises(ConfigurationError, match=r"TaskExecutor: task_execution\.max_retries"):
        asyncio.run(executor.execute_plan([task("technical")], None, CONTEXT))
