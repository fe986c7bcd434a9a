"""The flow of an evaluation: check, cut into chunks, fan out, assess, print."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import yaml

from sigmax_tasks import clock
from sigmax_tasks.candles import TIMEFRAME_SECONDS
from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cli.options import config_path, parse_as_of, parse_count, parse_symbols
from sigmax_tasks.cluster import open_cluster
from sigmax_tasks.errors import ConfigurationError, EvaluationError
from sigmax_tasks.evaluation.assess import Decided, TaskCost, assess
from sigmax_tasks.evaluation.fan_out import FanOut
from sigmax_tasks.evaluation.kept import Kept, default_folder
from sigmax_tasks.evaluation.models import ChunkDecisions, StepDecision
from sigmax_tasks.evaluation.outline import Outline, Wish, outline
from sigmax_tasks.evaluation.result import Assessment
from sigmax_tasks.evaluation.variants import Variant, note_variant
from sigmax_tasks.models.policy import CalibrationTable
from sigmax_tasks.report.evaluation_view import assessment_json, assessment_view, progress_line
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.settings import Settings, load_settings
from sigmax_tasks.whole_file import write_whole

_SHORTEST_STEP = TIMEFRAME_SECONDS["1h"]
_MOST_WORKERS = 64
_MOST_TRIALS = 1_000_000


def evaluate_history(
    *,
    symbols: tuple[str, ...],
    first: str,
    last: str,
    step: str,
    profile: str | None,
    replay_dir: str,
    only_recorded: bool,
    workers: str | None,
    no_ablation: bool,
    trials: str | None,
    report_to: str | None,
    calibration_to: str | None,
    as_json: bool,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> ExitCode:
    """Everything behind ``sigmax evaluate``; 0 where there is an assessment, whatever it says."""
    settings = load_settings(config_path(config_dir), overrides).settings
    terminal = Terminal.of_streams()
    wish = _wish(settings, symbols, first, last, step, profile, replay_dir)
    wish = Wish(**{**vars(wish), "only_recorded": only_recorded, "ablation": not no_ablation})
    processes = parse_count(workers, "--workers", _MOST_WORKERS) or os.cpu_count() or 1
    tried = parse_count(trials, "--trials", _MOST_TRIALS) or 1
    plan = outline(wish, settings)
    kept = Kept(default_folder(), settings.runtime.evaluation.cache_megabytes)
    kept.prepare()
    began = clock.monotonic()
    chunks = _gather(plan, settings, kept, terminal, broker, processes)
    kept.prune()
    total = sum(len(chunk.decisions) for chunk in chunks.values())
    terminal.log(f"{total:,} decisions in {clock.monotonic() - began:.1f} s")
    assessment = _assess(plan, settings, chunks, tried)
    command = _command(wish, overrides)
    _write_page(assessment, report_to, command, terminal)
    _write_calibration(assessment, calibration_to, command, terminal)
    if as_json:
        terminal.write_json(assessment_json(assessment))
    else:
        terminal.result(assessment_view(assessment))
    return ExitCode.OK


def _wish(
    settings: Settings,
    symbols: tuple[str, ...],
    first: str,
    last: str,
    step: str,
    profile: str | None,
    replay_dir: str,
) -> Wish:
    folder = Path(replay_dir)
    if not folder.is_dir():
        raise ConfigurationError(f"--replay-dir {replay_dir!r} is not a folder")
    seconds = TIMEFRAME_SECONDS.get(step, 0)
    if seconds < _SHORTEST_STEP:
        usable = [name for name, length in TIMEFRAME_SECONDS.items() if length >= _SHORTEST_STEP]
        raise ConfigurationError(f"--step {step!r} is none of {', '.join(usable)}")
    chosen = profile or settings.planning.default_profile
    settings.planning.profile(chosen)
    now = clock.now()
    start = parse_as_of(first, now, option="--from")
    end = parse_as_of(last, now, option="--to")
    if start is None or end is None or start > end:
        raise ConfigurationError(f"--from {first!r} is after --to {last!r}")
    return Wish(parse_symbols(symbols), start, end, seconds, chosen, folder)


def _gather(
    plan: Outline,
    settings: Settings,
    kept: Kept,
    terminal: Terminal,
    broker: str | None,
    processes: int,
) -> Mapping[int, ChunkDecisions]:
    """The decisions of every chunk; a cluster is only started where something is left to do."""
    done = plan.known(kept)
    if len(done) == len(plan.questions):
        terminal.log(f"all {len(done)} chunks are known from before")
        return done
    with open_cluster(settings, broker, computing=processes) as cluster:
        fan_out = FanOut(
            settings.runtime,
            cluster.broker_url,
            kept,
            processes=processes if cluster.kind == "embedded" else None,
            check=cluster.check,
        )
        with terminal.counting() as tell:
            return fan_out.run(
                plan.setup,
                plan.questions,
                done,
                lambda at: tell(progress_line(at), at.done, at.total),
            )


def _assess(
    plan: Outline, settings: Settings, chunks: Mapping[int, ChunkDecisions], tried: int
) -> Assessment:
    ledger = default_folder() / "variants.jsonl"

    def count_trials(ratio: float | None) -> tuple[int, float | None]:
        count, variance = note_variant(ledger, Variant(_data_key(plan), _variant_key(plan), ratio))
        return max(tried, count), variance

    return assess(
        plan.wish,
        plan.markets,
        _by_symbol(plan, chunks),
        settings.runtime.evaluation,
        count_trials=count_trials,
        task_costs=_task_costs(settings, chunks),
        notes=[f"no candle of {symbol} in this span" for symbol in plan.without_data],
    )


def _by_symbol(plan: Outline, chunks: Mapping[int, ChunkDecisions]) -> dict[str, Decided]:
    decisions: dict[str, list[StepDecision]] = defaultdict(list)
    without: dict[str, dict[str, list[StepDecision]]] = defaultdict(lambda: defaultdict(list))
    for number in sorted(chunks):
        chunk = chunks[number]
        decisions[chunk.symbol] += chunk.decisions
        for task_id, others in chunk.without.items():
            without[chunk.symbol][task_id] += others
    return {
        symbol: Decided(
            tuple(decisions[symbol]),
            {task_id: tuple(others) for task_id, others in without[symbol].items()},
        )
        for symbol in plan.markets
        if symbol in decisions
    }


def _task_costs(settings: Settings, chunks: Mapping[int, ChunkDecisions]) -> dict[str, TaskCost]:
    """Estimates of the catalogue, and the mean time of a finding here."""
    seconds: dict[str, float] = defaultdict(float)
    findings: dict[str, int] = defaultdict(int)
    for number in sorted(chunks):  # the order of arrival would show in the last digit
        chunk = chunks[number]
        for task_id, spent in chunk.task_seconds.items():
            seconds[task_id] += spent
            findings[task_id] += len(chunk.decisions)
    planning = settings.planning.planning
    catalog = settings.catalog.adjusted(
        timeouts=planning.timeouts, cost_estimates=planning.cost_estimates
    )
    return {
        template.task_id: TaskCost(
            usd=float(template.estimated_cost_usd),
            seconds=template.estimated_seconds,
            measured_seconds=(
                seconds[template.task_id] / findings[template.task_id]
                if findings[template.task_id]
                else None
            ),
        )
        for template in catalog.templates
    }


def _data_key(plan: Outline) -> str:
    wish = plan.wish
    return _hash(
        plan.setup.recordings,
        sorted(wish.symbols),
        wish.first.isoformat(),
        wish.last.isoformat(),
        wish.step_seconds,
    )


def _variant_key(plan: Outline) -> str:
    """Two evaluations are the same variant where every decision rests on the same."""
    return _hash([question.decisions_key for question in plan.questions])


def _hash(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _write_page(
    assessment: Assessment, report_to: str | None, command: str, terminal: Terminal
) -> None:
    if report_to is None:
        return
    path = Path(report_to)
    # jinja2, which is not needed without a page.
    from sigmax_tasks.report.evaluation_page import evaluation_html

    try:
        write_whole(path, evaluation_html(assessment, command).encode())
    except OSError as error:
        raise EvaluationError(f"--report {report_to!r}: {error.strerror}") from error
    terminal.log(f"report written to {path}")


def _write_calibration(
    assessment: Assessment, calibration_to: str | None, command: str, terminal: Terminal
) -> None:
    if calibration_to is None:
        return
    found = assessment.reliability
    if found.final_map is None or found.fitted_until is None:
        terminal.log(f"no calibration written: {found.outcomes} outcomes are too few")
        return
    table = CalibrationTable(
        outcomes=found.final_map.outcomes,
        fitted_until=found.fitted_until,
        points=tuple({round(x, 6): round(y, 6) for x, y in found.final_map.knots}.items()),
    )
    piece = {"profiles": {assessment.profile: {"calibration": table.model_dump(mode="json")}}}
    text = f"# {command}\n{yaml.safe_dump(piece, sort_keys=False, default_flow_style=None)}"
    try:
        write_whole(Path(calibration_to), text.encode())
    except OSError as error:
        raise EvaluationError(f"--calibration {calibration_to!r}: {error.strerror}") from error
    terminal.log(f"calibration written to {calibration_to}")


def _command(wish: Wish, overrides: tuple[str, ...]) -> str:
    """The command that gives the same assessment again, without local paths."""
    step = next(name for name, length in TIMEFRAME_SECONDS.items() if length == wish.step_seconds)
    parts = [
        "sigmax evaluate",
        *wish.symbols,
        f"--from {wish.first:%Y-%m-%d} --to {wish.last:%Y-%m-%d} --step {step}",
        f"--profile {wish.profile}",
        *(["--only-recorded"] if wish.only_recorded else []),
        *(f"--set {override}" for override in overrides),
    ]
    return " ".join(parts)
