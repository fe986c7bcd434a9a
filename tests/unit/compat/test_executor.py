"""Hand-made plans with registered handlers: limits, attempts, skips, summary."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from typing import Any

import pytest

from sigmax_planner.errors import PlanningError
from sigmax_planner.models import ResearchTask
from sigmax_tasks import TaskExecutor, TaskStatus
from sigmax_tasks.errors import ConfigurationError, PermanentSourceError, SigmaxError

from .builders import Crowd, Flaky, quick_executor, task

Summary = dict[str, Any]


def execute(executor: TaskExecutor, *arguments: Any) -> Summary:
    summary = asyncio.run(executor.execute_plan(*arguments))
    counted = summary["completed"] + summary["failed"] + summary["skipped"]
    assert counted == summary["total_tasks"] == len(summary["task_details"])
    return summary


def run_one(handler: Any, *, seconds: float = 20, **options: Any) -> Summary:
    executor = quick_executor(**options)
    executor.register_handler("a", handler)
    return execute(executor, [task("a", seconds=seconds)], [["a"]], {})


@pytest.mark.parametrize("value", [0, -1])
def test_a_width_below_one_is_a_value_error(value: int) -> None:
    with pytest.raises(ValueError, match="max_parallel"):
        TaskExecutor(max_parallel=value)


@pytest.mark.parametrize("value", ["2", True, 2.5, None])
def test_a_width_that_is_no_whole_number_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="max_parallel"):
        TaskExecutor(max_parallel=value)


def test_the_other_numbers_are_checked_as_strictly() -> None:
    with pytest.raises(ValueError, match="max_retries"):
        TaskExecutor(max_retries=-1)
    with pytest.raises(ValueError, match="retry_delay"):
        TaskExecutor(retry_delay=-0.1)
    for wrong in ({"max_retries": "2"}, {"max_retries": False}, {"retry_delay": "1"}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            TaskExecutor(**wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="retry_failed"):
        TaskExecutor(retry_failed=1)  # type: ignore[arg-type]


def test_a_handler_is_something_that_can_be_called() -> None:
    with pytest.raises(TypeError, match="not callable"):
        TaskExecutor().register_handler("a", "handler")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="task_id"):
        TaskExecutor().register_handler("", print)


def test_four_tasks_at_width_two_never_run_more_than_two_at_a_time() -> None:
    crowd = Crowd(0.3)
    executor = TaskExecutor(max_parallel=2)
    for name in "abcd":
        executor.register_handler(name, crowd)
    summary = execute(executor, [task(n) for n in "abcd"], [list("abcd")], {})
    assert summary["completed"] == 4
    assert crowd.most == 2


def test_plain_functions_run_side_by_side_too_and_keep_to_the_width() -> None:
    meeting = threading.Barrier(2)

    def handler(task: ResearchTask, context: dict[str, Any]) -> int:
        return meeting.wait(timeout=10)  # breaks unless two run at once

    executor = TaskExecutor(max_parallel=2, retry_failed=False)
    for name in "abcd":
        executor.register_handler(name, handler)
    assert execute(executor, [task(n) for n in "abcd"], [list("abcd")], {})["completed"] == 4


def test_a_batch_begins_when_the_one_before_has_ended() -> None:
    seen: list[str] = []

    async def handler(task: ResearchTask, context: dict[str, Any]) -> None:
        seen.append(f"{task.task_id} starts")
        await asyncio.sleep(0.02 if task.task_id == "a" else 0)
        seen.append(f"{task.task_id} ends")

    executor = TaskExecutor()
    for name in "abc":
        executor.register_handler(name, handler)
    execute(executor, [task("a"), task("b"), task("c")], [["a", "b"], ["c"]], {})
    assert seen.index("c starts") > max(seen.index("a ends"), seen.index("b ends"))


def test_a_task_that_fails_once_is_completed_with_two_attempts() -> None:
    summary = run_one(Flaky(ConnectionError("reset")))
    assert summary["task_details"]["a"]["status"] == TaskStatus.COMPLETED
    assert summary["task_details"]["a"]["attempts"] == 2
    assert summary["results"] == {"a": "done"}


def test_a_task_that_always_fails_has_three_attempts() -> None:
    flaky = Flaky(always=ValueError("no such thing"))
    summary = run_one(flaky)
    detail = summary["task_details"]["a"]
    assert (detail["status"], detail["attempts"], flaky.calls) == ("failed", 3, 3)
    assert detail["reason"] == "ValueError: no such thing"
    assert summary["results"] == {}
    assert summary["success_rate"] == 0.0


def test_three_attempts_fit_into_a_short_limit_also_with_the_default_delay() -> None:
    executor = TaskExecutor(jitter=lambda: 1.0)
    executor.register_handler("a", Flaky(always=ValueError("no")))
    summary = execute(executor, [task("a", seconds=1)], [["a"]], {})
    assert summary["task_details"]["a"]["attempts"] == 3


@pytest.mark.parametrize(
    ("options", "attempts"), [({"max_retries": 0}, 1), ({"retry_failed": False}, 1)]
)
def test_retries_can_be_switched_off(options: dict[str, Any], attempts: int) -> None:
    summary = run_one(Flaky(always=ValueError("no")), **options)
    assert summary["task_details"]["a"]["attempts"] == attempts


@pytest.mark.parametrize(
    "error", [PermanentSourceError("kraken", "404"), ConfigurationError("wrong key")]
)
def test_permanent_errors_are_not_tried_again(error: SigmaxError) -> None:
    detail = run_one(Flaky(always=error))["task_details"]["a"]
    assert (detail["attempts"], detail["reason"]) == (1, str(error))


@pytest.mark.parametrize(
    "error", [SigmaxError(""), SystemExit(3), StopIteration("x"), asyncio.CancelledError()]
)
def test_whatever_a_plain_handler_raises_is_a_failure_with_a_reason(error: BaseException) -> None:
    detail = run_one(Flaky(always=error), max_retries=0)["task_details"]["a"]
    assert detail["status"] == "failed"
    assert type(error).__name__ in detail["reason"]


def test_a_handler_that_is_cancelled_from_inside_has_failed_and_stops_no_other() -> None:
    async def cancelled(task: ResearchTask, context: dict[str, Any]) -> None:
        raise asyncio.CancelledError

    executor = quick_executor(max_retries=0)
    executor.register_handler("a", cancelled)
    executor.register_handler("b", Crowd(0.01))
    summary = execute(executor, [task("a"), task("b")], [["a", "b"]], {})
    assert summary["task_details"]["a"]["reason"] == "the handler was cancelled from inside"
    assert summary["task_details"]["b"]["status"] == "completed"


def test_a_dependent_of_a_failed_task_is_skipped_with_its_reason() -> None:
    crowd = Crowd(0)
    executor = quick_executor()
    executor.register_handler("bad", Flaky(always=ValueError("no")))
    for name in ("after", "later", "other"):
        executor.register_handler(name, crowd)
    tasks = [task("bad"), task("after", "bad"), task("later", "after"), task("other")]
    summary = execute(executor, tasks, [["bad", "other"], ["after"], ["later"]], {})
    details = summary["task_details"]
    assert details["after"]["reason"] == "dependency bad failed"
    assert details["later"]["reason"] == "dependency after skipped"
    assert details["after"]["attempts"] == details["later"]["attempts"] == 0
    assert (summary["completed"], summary["failed"], summary["skipped"]) == (1, 1, 2)
    assert summary["success_rate"] == 0.25
    assert crowd.calls == 1


def test_an_async_handler_past_its_limit_is_cancelled() -> None:
    crowd = Crowd(60)
    detail = run_one(crowd, seconds=0.05)["task_details"]["a"]
    assert (detail["status"], detail["reason"]) == ("failed", "timed out after 0.05 s")
    assert (detail["attempts"], crowd.now) == (1, 0)


def test_a_handler_that_goes_on_past_its_limit_has_timed_out_all_the_same() -> None:
    async def stubborn(task: ResearchTask, context: dict[str, Any]) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "late"
        return "early"

    summary = run_one(stubborn, seconds=0.05)
    assert summary["task_details"]["a"]["reason"] == "timed out after 0.05 s"
    assert summary["results"] == {}


def test_a_plain_handler_past_its_limit_is_given_up_and_holds_nothing_up() -> None:
    let_go = threading.Event()

    def handler(task: ResearchTask, context: dict[str, Any]) -> bool:
        return let_go.wait(30)

    summary = run_one(handler, seconds=0.05)
    let_go.set()
    assert summary["task_details"]["a"]["reason"] == "timed out after 0.05 s"


def test_a_time_out_inside_a_handler_is_an_ordinary_failure() -> None:
    flaky = Flaky(TimeoutError("the other side"))
    assert run_one(flaky)["task_details"]["a"]["attempts"] == 2


def test_handlers_get_the_task_a_context_and_what_they_depend_on() -> None:
    seen: dict[str, dict[str, Any]] = {}

    def handler(task: ResearchTask, context: dict[str, Any]) -> str:
        seen[task.task_id] = dict(context)
        context["symbol"] = "changed"
        return f"result of {task.task_id}"

    executor = TaskExecutor()
    for name in "abc":
        executor.register_handler(name, handler)
    context = {"symbol": "BTC/USDT"}
    execute(executor, [task("a"), task("b"), task("c", "b")], [["a"], ["b"], ["c"]], context)
    assert context == {"symbol": "BTC/USDT"}
    assert seen["a"] == seen["b"] == context
    assert seen["c"] == {**context, "upstream": {"b": "result of b"}}


def test_each_attempt_gets_a_context_of_its_own() -> None:
    seen: list[dict[str, Any]] = []

    def handler(task: ResearchTask, context: dict[str, Any]) -> str:
        seen.append(dict(context))
        context["dirty"] = True
        if len(seen) == 1:
            raise ConnectionError
        return "done"

    run_one(handler)
    assert seen == [{}, {}]


def test_handlers_may_be_partials_objects_and_functions_that_give_awaitables() -> None:
    async def add(extra: int, task: ResearchTask, context: dict[str, Any]) -> int:
        return 1 + extra

    executor = TaskExecutor()
    executor.register_handler("partial", functools.partial(add, 1))
    executor.register_handler("object", Crowd(0))
    executor.register_handler("function", lambda task, context: add(2, task, context))
    names = ["partial", "object", "function"]
    summary = execute(executor, [task(name) for name in names], [names], {})
    assert summary["results"] == {"partial": 2, "object": "object", "function": 3}


def test_the_key_of_upstream_results_belongs_to_the_executor() -> None:
    executor = TaskExecutor()
    executor.register_handler("a", Crowd(0))
    executor.register_handler("b", Crowd(0))
    tasks = [task("a"), task("b", "a")]
    with pytest.raises(ConfigurationError, match="upstream"):
        execute(executor, tasks, [["a"], ["b"]], {"upstream": 1})


def test_a_wrong_order_is_found_before_anything_runs() -> None:
    crowd = Crowd(0)
    executor = TaskExecutor()
    executor.register_handler("a", crowd)
    executor.register_handler("b", crowd)
    with pytest.raises(PlanningError, match="'b' no later than 'a'"):
        execute(executor, [task("a"), task("b", "a")], [["a", "b"]], {})
    assert crowd.calls == 0


def test_an_empty_plan_has_an_empty_summary() -> None:
    summary = execute(TaskExecutor(), [], [], {})
    assert summary["total_tasks"] == 0
    assert summary["success_rate"] == 0.0
    assert summary["results"] == {}


def test_the_summary_of_plain_results_is_json() -> None:
    summary = run_one(Flaky(ConnectionError("reset")))
    assert json.loads(json.dumps(summary)) == summary
    assert set(summary) >= {
        *("total_tasks", "completed", "failed", "skipped", "success_rate", "duration_seconds"),
        *("sequential_seconds", "speedup", "results", "task_details"),
    }


def test_two_executors_share_no_handler() -> None:
    first, second = TaskExecutor(), TaskExecutor()
    first.register_handler("a", lambda task, context: "first")
    second.register_handler("a", lambda task, context: "second")

    async def both() -> list[Summary]:
        plans = [e.execute_plan([task("a")], [["a"]], {}) for e in (first, second)]
        return await asyncio.gather(*plans)

    assert [s["results"]["a"] for s in asyncio.run(both())] == ["first", "second"]


def test_plans_at_once_on_one_executor_do_not_mix() -> None:
    executor = quick_executor(max_parallel=1, max_retries=0)

    async def handler(task: ResearchTask, context: dict[str, Any]) -> str:
        await asyncio.sleep(0.02)
        if context["symbol"] == "ETH/USDT" and task.task_id == "a":
            raise ValueError("no ether")
        return f"{context['symbol']} {task.task_id}"

    executor.register_handler("a", handler)
    executor.register_handler("b", handler)
    tasks = [task("a"), task("b", "a")]

    async def both() -> list[Summary]:
        return await asyncio.gather(
            *(
                executor.execute_plan(tasks, [["a"], ["b"]], {"symbol": symbol})
                for symbol in ("BTC/USDT", "ETH/USDT")
            )
        )

    bitcoin, ether = asyncio.run(both())
    assert bitcoin["results"] == {"a": "BTC/USDT a", "b": "BTC/USDT b"}
    assert bitcoin["completed"] == 2
    assert ether["results"] == {}
    assert ether["task_details"]["b"]["reason"] == "dependency a failed"


def test_nothing_of_a_plan_is_left_for_the_next() -> None:
    executor = quick_executor(max_retries=0)
    executor.register_handler("a", Flaky(ValueError("first time")))
    executor.register_handler("b", Crowd(0))
    tasks, order = [task("a"), task("b", "a")], [["a"], ["b"]]
    assert execute(executor, tasks, order, {})["skipped"] == 1
    again = execute(executor, tasks, order, {})
    assert (again["completed"], again["skipped"]) == (2, 0)


def test_cancelling_the_waiting_task_cancels_what_runs() -> None:
    crowd = Crowd(60)
    executor = TaskExecutor(max_parallel=2)
    for name in "abc":
        executor.register_handler(name, crowd)

    async def cancel() -> None:
        plan = executor.execute_plan([task(n) for n in "abc"], [list("abc")], {})
        waiting = asyncio.create_task(plan)
        while crowd.now < 2:
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(cancel())
    assert crowd.now == 0
    assert crowd.calls == 2, "the third had not begun and does not begin"
