"""Prints the decisions of a command and says with which code it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Group
from rich.text import Text

from sigmax_tasks.cli.exit import ExitCode, exit_code_of, worst
from sigmax_tasks.cli.following import RunEnd
from sigmax_tasks.cli.group import print_error
from sigmax_tasks.errors import AllocationError, EngineError
from sigmax_tasks.models.allocation import Allocation
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.report.allocation_view import allocation_view
from sigmax_tasks.report.decision_view import (
    banner_text,
    decision_brief,
    decision_summary,
    decision_view,
)
from sigmax_tasks.report.json_line import decision_line
from sigmax_tasks.report.numbers import data_banner
from sigmax_tasks.report.terminal import Terminal


class DecisionPrinter:
    """Prints in the order of ``run_ids``, when all runs are over.

    ``seed`` is that of the simulated market, as far as it is known by the end. ``allocate`` says
    how several decisions share the equity, which is why none of them is printed before the last.
    """

    def __init__(
        self,
        terminal: Terminal,
        run_ids: Sequence[str],
        *,
        as_json: bool,
        seed: int | None,
        allocate: Callable[[Sequence[RunRecord]], Allocation] | None = None,
    ) -> None:
        self._terminal = terminal
        self._run_ids = tuple(run_ids)
        self._as_json = as_json
        self.seed = seed
        self._allocate = allocate
        self.ends: dict[str, RunEnd] = {}

    def take(self, run_id: str, end: RunEnd) -> None:
        """A run is over."""
        self.ends[run_id] = end

    def leave(self) -> None:
        """The command ends early: what is decided is not lost, but shares out nothing."""
        if self._as_json:
            self._print_json(self._records(), None)

    def finish(self) -> ExitCode:
        """Print what is left to print, then the errors; the worst exit code of all runs."""
        ends = [self.ends[run_id] for run_id in self._run_ids]
        records = self._records()
        allocation = self._share_out(records)
        if self._as_json:
            self._print_json(records, allocation)
        elif records:
            self._print_text(records, allocation)
        codes = []
        for end in ends:
            if isinstance(end, RunRecord):
                passed = end.decision.validation.passed
                codes.append(ExitCode.OK if passed else ExitCode.NOT_VALIDATED)
            else:
                print_error(str(end))
                codes.append(exit_code_of(end))
        return worst(codes)

    def _share_out(self, records: Sequence[RunRecord]) -> Allocation | None:
        if self._allocate is None or len(self._run_ids) < 2 or not records:
            return None
        try:
            return self._allocate(records)
        except (
            AllocationError,
            EngineError,
        ) as error:  # the decisions are there; what is missing is said
            self._terminal.log(f"no allocation: {error}")
            return None

    def _records(self) -> list[RunRecord]:
        ends = [self.ends.get(run_id) for run_id in self._run_ids]
        return [end for end in ends if isinstance(end, RunRecord)]

    def _print_json(self, records: Sequence[RunRecord], allocation: Allocation | None) -> None:
        for record in records:
            self._terminal.write_json(decision_line(record, allocation))

    def _print_text(self, records: Sequence[RunRecord], allocation: Allocation | None) -> None:
        if len(self._run_ids) == 1:
            self._terminal.result(decision_view(records[0], seed=self.seed))
            return
        first = records[0].decision
        banner = data_banner(first.data_mode, first.as_of, self.seed)
        self._terminal.result(Group(banner_text(first.data_mode, banner), Text()))
        self._terminal.result(decision_summary(records))
        if allocation is not None:
            self._terminal.result(allocation_view(allocation, records))
        for record in records:
            self._terminal.result(decision_brief(record))
