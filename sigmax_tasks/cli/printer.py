"""Prints the decisions of a command and says with which code it ends."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from sigmax_tasks.cli.exit import ExitCode, exit_code_of, worst
from sigmax_tasks.cli.following import RunEnd
from sigmax_tasks.cli.group import print_error
from sigmax_tasks.models.decision import RunRecord
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
    """Prints in the order of ``run_ids``. JSON as soon as its turn has come, text at the end.

    ``seed`` is that of the simulated market, as far as it is known by the end.
    """

    def __init__(
        self, terminal: Terminal, run_ids: Sequence[str], *, as_json: bool, seed: int | None
    ) -> None:
        self._terminal = terminal
        self._run_ids = tuple(run_ids)
        self._as_json = as_json
        self.seed = seed
        self._written = 0
        self.ends: dict[str, RunEnd] = {}

    def take(self, run_id: str, end: RunEnd) -> None:
        """A run is over."""
        self.ends[run_id] = end
        while self._as_json and self._written < len(self._run_ids):
            next_id = self._run_ids[self._written]
            if next_id not in self.ends:
                return
            self._written += 1
            ready = self.ends[next_id]
            if isinstance(ready, RunRecord):
                self._terminal.write_json(decision_line(ready))

    def finish(self) -> ExitCode:
        """Print what is left to print, then the errors; the worst exit code of all runs."""
        ends = [self.ends[run_id] for run_id in self._run_ids]
        records = [end for end in ends if isinstance(end, RunRecord)]
        if not self._as_json and records:
            self._print_text(records)
        codes = []
        for end in ends:
            if isinstance(end, RunRecord):
                passed = end.decision.validation.passed
                codes.append(ExitCode.OK if passed else ExitCode.NOT_VALIDATED)
            else:
                print_error(str(end))
                codes.append(exit_code_of(end))
        return worst(codes)

    def _print_text(self, records: Sequence[RunRecord]) -> None:
        if len(self._run_ids) == 1:
            self._terminal.result(decision_view(records[0], seed=self.seed))
            return
        first = records[0].decision
        banner = data_banner(first.data_mode, first.as_of, self.seed)
        self._terminal.result(Group(banner_text(first.data_mode, banner), Text()))
        self._terminal.result(decision_summary(records))
        for record in records:
            self._terminal.result(decision_brief(record))
