"""The flow of a submission: check, plan, start what is needed, submit, follow, print."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial

from sigmax_planner.models import AnalysisRequest, ResearchPlan
from sigmax_tasks import clock
from sigmax_tasks.cli.allocation import allocation_of, prepare_allocation
from sigmax_tasks.cli.data_server import data_server
from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cli.export_flow import Target, check_target, export_finished
from sigmax_tasks.cli.following import Follower, RunEnd
from sigmax_tasks.cli.known import known_facts
from sigmax_tasks.cli.options import config_path, parse_slot_seconds
from sigmax_tasks.cli.printer import DecisionPrinter
from sigmax_tasks.cli.submission import Submission, Typed, prepare
from sigmax_tasks.client import Client, SubmittedRun
from sigmax_tasks.cluster import Cluster, open_cluster, running_cluster
from sigmax_tasks.data_choice import SIMULATOR_URL
from sigmax_tasks.errors import ConfigurationError, RunNotFoundError, SigmaxError
from sigmax_tasks.handlers import check_handlers
from sigmax_tasks.llm.readiness import check_key
from sigmax_tasks.logs import log_to_stderr, set_levels
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.private_worker import PrivateWorker
from sigmax_tasks.report.decision_view import banner_text, run_header, runs_header
from sigmax_tasks.report.numbers import data_banner
from sigmax_tasks.report.order_words import batch_word
from sigmax_tasks.report.plan_view import plan_table
from sigmax_tasks.report.progress import RunProgress
from sigmax_tasks.report.record_view import finding_text
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.settings import Settings, load_settings


def submit_runs(
    *,
    symbols: tuple[str, ...],
    profile: str | None,
    width: str | None,
    optional: bool | None,
    max_cost: str | None,
    data: str,
    replay_dir: str | None,
    as_of: str | None,
    seed: str | None,
    deadline: str | None,
    wait_for_slot: str | None,
    watchlist: str | None,
    portfolio: str | None,
    as_json: bool,
    no_wait: bool,
    export_to: str | None,
    report_to: str | None,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
    worker: PrivateWorker | None = None,
) -> ExitCode:
    """Everything behind the options of ``sigmax-submit``; the exit code.

    ``worker`` has been started for a private cluster, should this come to need one.
    """
    settings = load_settings(config_path(config_dir), overrides).settings
    logging = settings.runtime.logging
    if logging.format == "json":
        log_to_stderr(logging.level, logging.format)
        set_levels(logging.levels)
    typed = Typed(
        symbols=symbols,
        profile=profile,
        width=width,
        optional=optional,
        data=data.lower(),
        replay_dir=replay_dir,
        as_of=as_of,
        seed=seed,
        max_cost=max_cost,
        deadline=deadline,
        watchlist=watchlist,
        portfolio=portfolio,
    )
    slot_seconds = parse_slot_seconds(wait_for_slot)
    submission = prepare(typed, settings, os.environ, clock.now())
    terminal = Terminal.of_streams(streaming=as_json)
    if settings.planning.debug.dry_run:
        with known_facts(settings, broker) as facts:
            submission = prepare(typed, settings, os.environ, clock.now(), facts)
        several = len(submission.plans) > 1
        log_plans(settings, submission.plans, terminal, several=several)
        _print_plans(submission.plans, terminal, as_json=as_json)
        return ExitCode.OK
    for plan in submission.plans:
        check_handlers(plan.tasks)
    if no_wait:
        _refuse_orphans(submission, settings, broker)
        for name, place in (("export", export_to), ("report", report_to)):
            if place is not None:
                raise ConfigurationError(
                    f"--{name} waits for the decision, and --no-wait does not",
                    advice=f"leave one out; sigmax {name} writes a run later",
                )
    running = running_cluster(settings, broker)
    if running is None:
        # The private worker gets the environment of this command; others have their own.
        check_key(settings.decision.debate)
    runs = len(submission.requests)
    export_target = report_target = None
    if export_to is not None:
        export_target = check_target(export_to, "--export", runs=runs)
    if report_to is not None:
        report_target = check_target(report_to, "--report", runs=runs)
    with data_server(submission) as served:
        if served.starts_server:
            terminal.log(f"data server started on {served.requests[0].source_root}")
        if running is None:
            terminal.log("no broker configured: starting a private Redis and worker")
        elif running.kind == "local":
            terminal.log("running on the local cluster of sigmax up")
        with (
            open_cluster(settings, broker, worker=worker) as cluster,
            closing(Client(settings, cluster.broker_url)) as client,
        ):
            client.check()
            job = _Job(
                settings,
                served,
                cluster,
                client,
                terminal,
                as_json,
                export_target,
                report_target,
                slot_seconds,
            )
            return job.submit_only() if no_wait else job.submit_and_follow()


def log_plans(
    settings: Settings, plans: Sequence[ResearchPlan], terminal: Terminal, *, several: bool
) -> None:
    """What features.verbose_planning and debug.log_execution_plan ask for, on stderr."""
    for plan in plans:
        prefix = f"{plan.symbol}: " if several else ""
        if settings.planning.features.verbose_planning:
            terminal.log(f"{prefix}{plan.summary}")
        if settings.planning.debug.log_execution_plan:
            for number, batch in enumerate(plan.execution_order, start=1):
                terminal.log(f"{prefix}{batch_word(plan)} {number}: {', '.join(batch)}")


def _print_plans(plans: Sequence[ResearchPlan], terminal: Terminal, *, as_json: bool) -> None:
    for plan in plans:
        if as_json:
            terminal.write_json(plan.to_json_dict())
        else:
            terminal.result(plan_table(plan))


def _refuse_orphans(submission: Submission, settings: Settings, broker: str | None) -> None:
    """A run that is left alone needs a cluster and a data server that outlive this command."""
    if running_cluster(settings, broker) is None:
        raise ConfigurationError(
            "--no-wait needs a running cluster: a private one ends with this command",
            advice="start one with: sigmax up, name one with --broker or SIGMAX_BROKER_URL, or "
            "leave --no-wait out",
        )
    if submission.starts_server:
        raise ConfigurationError(
            f"--no-wait with --data {submission.data_mode.value} needs a data server that runs on",
            advice=f"start one with: sigmax simulate, and set {SIMULATOR_URL} to its address",
        )


@dataclass
class _Job:
    """One submission on an open cluster."""

    settings: Settings
    submission: Submission
    cluster: Cluster
    client: Client
    terminal: Terminal
    as_json: bool
    export_to: Target | None = None
    report_to: Target | None = None
    slot_seconds: float = 0.0

    def submit_only(self) -> ExitCode:
        """Leave the runs to the cluster; one line per run on stdout."""
        for request in self.submission.requests:
            run = self._submit(request)
            self._tell_of([run.plan])
            if self.as_json:
                self.terminal.write_json(
                    {
                        "run_id": run.run_id,
                        "symbol": request.symbol,
                        "risk_profile": request.risk_profile,
                        "data_mode": request.data_mode.value,
                        "deadline_seconds": run.deadline_seconds,
                    }
                )
            else:
                self.terminal.write_line(f"{run.run_id} {request.symbol}")
        self.terminal.log("follow a run with: sigmax watch RUN")
        return ExitCode.OK

    def submit_and_follow(self) -> ExitCode:
        """Print each decision; runs that are still open when this ends early are cancelled."""
        if self.cluster.kind != "embedded":
            self.client.check_workers()  # better told at once than at the deadline
        runs: list[SubmittedRun] = []
        printer: DecisionPrinter | None = None
        try:
            for request in self.submission.requests:
                runs.append(self._submit(request))  # noqa: PERF401  # kept for the clean-up
            printer = DecisionPrinter(
                self.terminal,
                [run.run_id for run in runs],
                as_json=self.as_json,
                seed=self.submission.requests[0].seed,
                allocate=partial(allocation_of, self.client, self.settings),
            )
            self._tell_of([run.plan for run in runs])
            self._show_header(runs)
            if len(runs) > 1:
                prepare_allocation()
            follower = Follower(
                self.client,
                [RunProgress.of_plan(run.run_id, run.plan) for run in runs],
                self.terminal,
                on_end=printer.take,
                check_cluster=self.cluster.check,
            )
            with self.terminal.following():
                follower.run()
            if self.settings.planning.debug.log_task_results:
                self._log_findings(printer.ends)
        except BaseException:
            over = printer.ends if printer is not None else {}
            self._cancel([run.run_id for run in runs if run.run_id not in over])
            if printer is not None:
                printer.leave()
            raise
        code = printer.finish()
        decided = [run_id for run_id, end in printer.ends.items() if isinstance(end, RunRecord)]
        if self.export_to is not None:
            export_finished(self.client, decided, self.export_to, self.terminal)
        if self.report_to is not None:
            # jinja and the charts, which a submission without a report can do without.
            from sigmax_tasks.cli.report_flow import report_finished

            report_finished(self.client, decided, self.report_to, self.terminal)
        return code

    def _submit(self, request: AnalysisRequest) -> SubmittedRun:
        return self.client.submit(request, wait_for_slot_seconds=self.slot_seconds)

    def _tell_of(self, plans: Sequence[ResearchPlan]) -> None:
        """What is to be said of the plans that run, which know what their cluster knows."""
        several = len(self.submission.requests) > 1
        log_plans(self.settings, plans, self.terminal, several=several)
        for note in dict.fromkeys(note for plan in plans for note in plan.notes):
            self.terminal.log(f"note: {note}")

    def _show_header(self, runs: Sequence[SubmittedRun]) -> None:
        request = self.submission.requests[0]
        banner = banner_text(
            request.data_mode, data_banner(request.data_mode, request.as_of, request.seed)
        )
        deadline = runs[0].deadline_seconds
        if len(runs) == 1:
            run = runs[0]
            header = run_header(run.plan, run.run_id, banner, deadline_seconds=deadline)
        else:
            header = runs_header([r.plan for r in runs], banner, deadline_seconds=deadline)
        self.terminal.show(header)

    def _log_findings(self, ends: Mapping[str, RunEnd]) -> None:
        """One line per task and run: what it found, or why it found nothing."""
        for run_id, end in ends.items():
            if not isinstance(end, RunRecord):
                continue
            symbol = end.decision.symbol
            try:
                outcomes = self.client.dossier(run_id).outcomes
            except RunNotFoundError as error:
                self.terminal.log(f"{symbol} findings: {error}")
                continue
            for outcome in outcomes:
                self.terminal.log(f"{symbol} {outcome.task_id}: {finding_text(outcome)}")

    def _cancel(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            # The reason for ending early is on its way up; a cluster that died cannot be told.
            with suppress(SigmaxError):
                self.client.cancel(run_id)
                self.terminal.log(f"cancelled run {run_id}")
