"""The flow of a replay: read the file, decide again, compare, print."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict

from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cli.options import config_path
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.replay import Replay, needs_own_configuration, replay
from sigmax_tasks.report.decision_view import decision_view
from sigmax_tasks.report.json_line import decision_line
from sigmax_tasks.report.replay_view import replay_lines
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.run_file import read_run_file
from sigmax_tasks.settings import load_settings


def replay_file(
    file: str,
    *,
    as_json: bool,
    overrides: tuple[str, ...],
    from_observations: bool,
    config_dir: str | None,
) -> ExitCode:
    """Everything behind ``sigmax replay``; the exit code is that of the decision."""
    dossier = read_run_file(file)
    done = replay(
        dossier,
        overrides,
        from_observations=from_observations,
        trusted_handlers=_trusted(dossier, config_dir) if from_observations else (),
    )
    terminal = Terminal.of_streams()
    done.check()
    if as_json:
        extra = {"replay": replay_facts(done)} if overrides or from_observations else {}
        terminal.write_json({**decision_line(done.record), **extra})
        for line in replay_lines(done):
            terminal.log(line.plain)
    else:
        terminal.result(decision_view(done.record, seed=dossier.request.seed))
        terminal.result_lines(replay_lines(done))
    passed = done.record.decision.validation.passed
    return ExitCode.OK if passed else ExitCode.NOT_VALIDATED


def replay_facts(done: Replay) -> dict[str, object]:
    """What the JSON says beside the decision where the replay was not a plain one."""
    return {
        "identical": done.identical,
        "recorded_hash": done.recorded.decision_hash,
        "settings_changed": list(done.overrides),
        "changes": [asdict(change) for change in done.changes],
        "research": [
            {"task_id": rerun.task_id, "state": rerun.state.value, "detail": rerun.detail}
            for rerun in done.reruns
        ],
    }


def _trusted(dossier: Dossier, config_dir: str | None) -> Collection[str]:
    """Handlers of this machine's own configuration, asked for only where the file needs them."""
    if not needs_own_configuration(dossier):
        return ()
    catalog = load_settings(config_path(config_dir)).settings.catalog
    return frozenset(template.handler for template in catalog.templates)
