"""Following many runs: events that come twice, runs that fail, a cluster that dies."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import cast

import pytest
from rich.console import Console

from sigmax_tasks.cli.following import Follower, RunEnd
from sigmax_tasks.client import Client
from sigmax_tasks.errors import ClusterUnreachableError, RunCancelledError, RunNotFoundError
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.events import ProgressEvent
from sigmax_tasks.report.progress import RunProgress
from sigmax_tasks.report.terminal import Terminal
from tests.unit.report.builders import make_plan, make_record, story

FIRST, SECOND = "20260301-120000-aaaaaaaa", "20260301-120000-bbbbbbbb"


class Replaying:
    """Begins each following at the first event again; the first run fails half-way."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.not_there: str | None = None

    def follow(self, run_ids: Sequence[str]) -> Iterator[ProgressEvent | None]:
        self.asked.append(tuple(run_ids))
        yield None
        if self.not_there in run_ids:
            raise RunNotFoundError(str(self.not_there), "the run store")
        yield from story(make_plan(), SECOND)[: 5 if FIRST in run_ids else None]
        if FIRST in run_ids:
            raise RunCancelledError(FIRST)

    def record(self, run_id: str) -> RunRecord:
        return make_record(run_id=run_id)


def follower(
    client: Replaying, err: io.StringIO, **options: object
) -> tuple[Follower, dict[str, RunEnd]]:
    ends: dict[str, RunEnd] = {}
    terminal = Terminal(Console(file=io.StringIO()), Console(file=err, width=200), live=False)
    runs = [RunProgress.of_plan(run_id, make_plan()) for run_id in (FIRST, SECOND)]
    made = Follower(
        cast("Client", client),
        runs,
        terminal,
        on_end=ends.__setitem__,
        **options,  # type: ignore[arg-type]
    )
    return made, ends


def test_the_others_go_on_and_no_event_is_told_twice() -> None:
    client, err = Replaying(), io.StringIO()
    following, ends = follower(client, err)
    following.run()
    assert client.asked == [(FIRST, SECOND), (SECOND,)]
    assert isinstance(ends[FIRST], RunCancelledError)
    assert isinstance(ends[SECOND], RunRecord)
    assert ends == following.ends
    lines = err.getvalue().splitlines()
    assert lines
    assert len(lines) == len(set(lines))


def test_a_run_that_vanished_is_lost() -> None:
    client = Replaying()
    client.not_there = FIRST
    following, ends = follower(client, io.StringIO())
    following.run()
    assert "was lost" in str(ends[FIRST])
    assert isinstance(ends[SECOND], RunRecord)


def test_a_cluster_that_died_ends_the_following() -> None:
    def dead() -> None:
        raise ClusterUnreachableError("a process of the private cluster ended")

    following, ends = follower(Replaying(), io.StringIO(), check_cluster=dead)
    with pytest.raises(ClusterUnreachableError):
        following.run()
    assert ends == {}
