"""Handlers are found before anything runs."""

from __future__ import annotations

import ast
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sigmax_planner.models import ResearchTask
from sigmax_tasks.errors import HandlerError
from sigmax_tasks.handlers import check_handlers, load_handler
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.settings import load_settings

from .builders import task


def with_handler(path: str) -> ResearchTask:
    return task("technical").model_copy(update={"handler": path})


def test_every_task_of_the_catalogue_has_a_handler_that_says_what_it_needs() -> None:
    catalog = load_settings(shipped_folder(), environ={}).settings.catalog
    assert len(catalog.templates) == 10
    for template in catalog.templates:
        check_handlers([with_handler(template.handler)])
        handler = load_handler(template.task_id, template.handler)
        assert handler.needs is not None
        needs = handler.needs("BTC/USDT", ())
        known = set(load_settings(shipped_folder(), environ={}).settings.sources.data_sources)
        assert needs
        assert {need.source for need in needs} <= known


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("no_such_package.mod:run", "not installed"),
        ("sigmax_tasks.research.technical:no_such", "defines no 'no_such'"),
        ("json:dumpz", "defines no 'dumpz'"),
    ],
)
def test_a_handler_that_is_not_there_is_named(path: str, problem: str) -> None:
    with pytest.raises(HandlerError) as caught:
        check_handlers([with_handler(path)])
    assert problem in str(caught.value)
    assert "'technical'" in str(caught.value)


def test_checking_does_not_import_the_handler() -> None:
    sys.modules.pop("sigmax_tasks.research.liquidity", None)
    check_handlers([with_handler("sigmax_tasks.research.liquidity:research")])
    assert "sigmax_tasks.research.liquidity" not in sys.modules


def test_two_threads_never_parse_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"one_of_many_{number}:research" for number in range(4)]
    for path in paths:
        (tmp_path / f"{path.partition(':')[0]}.py").write_text("def research(inputs): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    at_it, most = [0], [0]
    parse = ast.parse

    def slow_parse(source: str) -> ast.Module:
        at_it[0] += 1
        most[0] = max(most[0], at_it[0])
        time.sleep(0.02)
        at_it[0] -= 1
        return parse(source)

    monkeypatch.setattr("sigmax_tasks.handlers.ast.parse", slow_parse)
    with ThreadPoolExecutor(4) as pool:
        checks = pool.map(lambda path: check_handlers([with_handler(path)]), paths)
        assert list(checks) == [None] * len(paths)
    assert most == [1]
