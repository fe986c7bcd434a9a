"""Log lines: of one form, about their run and task also in other threads, without secrets."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest

from sigmax_tasks.logs import Format, about, carried, dress, set_levels

LOG = logging.getLogger("sigmax_tasks.tests.logs")


class Lines:
    """A handler that keeps text, on a logger of its own."""

    def __init__(self, form: Format) -> None:
        self._stream = StringIO()
        self.handler = logging.StreamHandler(self._stream)
        LOG.handlers = [self.handler]
        LOG.propagate = False
        LOG.setLevel(logging.DEBUG)
        dress(LOG, form)

    def all(self) -> list[str]:
        return self._stream.getvalue().splitlines()


@pytest.fixture(autouse=True)
def _leave_no_trace() -> Iterator[None]:
    yield
    LOG.handlers, LOG.propagate = [], True
    LOG.setLevel(logging.NOTSET)
    logging.getLogger("sigmax_planner").setLevel(logging.NOTSET)


def test_json_lines_name_run_and_task() -> None:
    lines = Lines("json")
    with about("run-1", "technical"):
        LOG.warning("asked %d times", 3)
    LOG.warning("outside")
    first, second = (json.loads(line) for line in lines.all())
    assert (first["run_id"], first["task_id"]) == ("run-1", "technical")
    assert (first["message"], first["level"]) == ("asked 3 times", "WARNING")
    assert first["logger"] == LOG.name
    assert first["at"].endswith("+00:00")
    assert (second["run_id"], second["task_id"]) == ("", "")


def test_pretty_lines_name_them_too() -> None:
    lines = Lines("pretty")
    with about("run-1"):
        LOG.error("one")
        with about("run-1", "macro"):
            LOG.error("two")
        LOG.error("three")
    LOG.error("four")
    ends = [line.partition("ERROR ")[2] for line in lines.all()]
    name = LOG.name
    assert ends == [
        *(f"{name} [run-1] one", f"{name} [run-1 macro] two"),
        *(f"{name} [run-1] three", f"{name} four"),
    ]


def test_other_threads_are_about_the_same_and_only_where_it_was_carried() -> None:
    lines = Lines("json")
    with about("run-1", "technical"):
        thread = threading.Thread(target=carried(LOG.warning), args=("carried",))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(carried(LOG.warning), "pooled").result()
            pool.submit(LOG.warning, "plain").result()
    found = {json.loads(line)["message"]: json.loads(line)["task_id"] for line in lines.all()}
    assert found == {"carried": "technical", "pooled": "technical", "plain": ""}


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_secrets_are_in_neither_form_also_not_in_a_traceback(form: Format) -> None:
    lines = Lines(form)
    url = "redis://:hunter2hunter2@10.0.0.5/0"
    try:
        int(url)
    except ValueError:
        LOG.exception("asking %s", url)
    text = "\n".join(lines.all())
    assert "hunter2" not in text
    assert "ValueError" in text
    if form == "json":
        (line,) = lines.all()
        assert "Traceback" in json.loads(line)["trace"]


def test_a_message_of_several_lines_is_one_json_line() -> None:
    lines = Lines("json")
    LOG.warning('first\nsecond "quoted"')
    (line,) = lines.all()
    assert json.loads(line)["message"] == 'first\nsecond "quoted"'


def test_levels_of_single_loggers_and_of_the_planner() -> None:
    set_levels({LOG.name: "ERROR"}, verbose_planning=True)
    assert LOG.getEffectiveLevel() == logging.ERROR
    assert logging.getLogger("sigmax_planner.planner").getEffectiveLevel() == logging.INFO
    set_levels({"sigmax_planner": "ERROR"}, verbose_planning=True)
    assert logging.getLogger("sigmax_planner").level == logging.ERROR, "what is named wins"
