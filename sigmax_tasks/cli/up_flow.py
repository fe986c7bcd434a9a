"""What ``sigmax up`` starts, and what it prints."""

from __future__ import annotations

import os
import re
import threading

from rich.text import Text

from sigmax_tasks import clock
from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cli.options import config_path
from sigmax_tasks.cli.signals import StoppedEarly
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.local_cluster import (
    LocalCluster,
    LocalPlan,
    flower_login,
    local_cluster,
    override_variables,
)
from sigmax_tasks.local_state import cluster_folder
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.report.text import clean_text
from sigmax_tasks.settings import LoadedSettings, load_settings
from sigmax_tasks.timetable import check_data_server, crontab_of

_STYLES = {
    "redis": "red",
    "beat": "magenta",
    "flower": "green",
    "metrics": "yellow",
    "standby": "bright_magenta",
    "sigmax": "bold",
}
_WORKER_STYLES = ("cyan", "blue", "bright_cyan", "bright_blue")
_NAME_WIDTH = 9
_MOST_WORKERS = 64
_NUMBER = re.compile(r"[0-9]{1,5}", re.ASCII)


class LogLines:
    """Lines of several processes on stdout, each behind the name of its own."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._lock = threading.Lock()

    def __call__(self, name: str, line: str) -> None:
        """A line from outside."""
        self._write(name, clean_text(line, limit=2000))

    def own(self, line: str) -> None:
        """A line of this command, as it is."""
        self._write("sigmax", line)

    def _write(self, name: str, line: str) -> None:
        text = Text.assemble((f"{name:<{_NAME_WIDTH}}", _style(name)), ("| ", "dim"), line)
        with self._lock:
            self._terminal.result_lines([text])


def keep_up(
    *,
    workers: str,
    concurrency: str | None,
    pool: str | None,
    port: str,
    flower_port: str,
    metrics_port: str,
    no_flower: bool,
    no_beat: bool,
    no_metrics: bool,
    no_standby: bool,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> ExitCode:
    """Start, run until a signal, stop. A stop by Ctrl-C or SIGTERM is a good end."""
    loaded = load_settings(config_path(config_dir), overrides)
    worker = loaded.settings.runtime.worker
    plan = LocalPlan(
        workers=_whole("--workers", workers, 1, _MOST_WORKERS),
        concurrency=(
            worker.concurrency
            if concurrency is None
            else _whole("--concurrency", concurrency, 1, 1000)
        ),
        pool=pool or worker.pool,
        port=_whole("--port", port, 0, 65_535),
        flower_port=_whole("--flower-port", flower_port, 0, 65_535),
        metrics_port=_whole("--metrics-port", metrics_port, 0, 65_535),
        with_flower=not no_flower,
        with_beat=not no_beat,
        with_metrics=not no_metrics,
        with_standby=not no_standby,
        flower_login=flower_login(os.environ),
        environ={
            **os.environ,
            **override_variables(overrides),
            "SIGMAX_CONFIG_DIR": str(loaded.folder.resolve()),
        },
    )
    if plan.with_beat:
        check_data_server(loaded.settings.schedule, os.environ)
    say = LogLines(Terminal.of_streams())
    say.own("starting; stop with Ctrl-C")
    try:
        with local_cluster(loaded.settings, plan, say) as cluster:
            for line in ready_lines(cluster, loaded):
                say.own(line)
            try:
                cluster.run()
            except (KeyboardInterrupt, StoppedEarly):
                say.own("stopping; workers finish the tasks they are at")
                raise
    except (KeyboardInterrupt, StoppedEarly):
        say.own("stopped")
    return ExitCode.OK


def ready_lines(cluster: LocalCluster, loaded: LoadedSettings) -> list[str]:
    """What there is and how to use it. The login of Flower is shown here and nowhere else."""
    plan = cluster.plan
    address = cluster.url.rpartition("@")[2]
    lines = [
        "ready",
        f"  Redis    {address}, password in {cluster_folder() / 'password'}",
        f"  workers  {plan.workers} x {plan.concurrency} tasks at a time ({plan.pool})",
        f"  beat     {_beat_line(loaded) if plan.with_beat else 'not started'}",
    ]
    if cluster.flower_url is not None:
        lines.append(f"  Flower   {cluster.flower_url}, login {plan.flower_login}")
    if cluster.metrics_url is not None:
        lines.append(f"  metrics  {cluster.metrics_url}")
    configured = loaded.settings.runtime.broker.url
    if configured:
        lines.append(
            f"  note: {loaded.origins.get('broker.url', 'broker.url')} names another broker, which "
            "sigmax-submit prefers to this cluster"
        )
    lines.append("use it from another terminal: sigmax-submit BTC/USDT, sigmax status")
    return lines


def _beat_line(loaded: LoadedSettings) -> str:
    schedules = loaded.settings.schedule.schedules
    if not schedules:
        return "no schedules (schedule.yaml)"
    now = clock.now()
    times = [(crontab_of(name, entry).next_after(now), name) for name, entry in schedules.items()]
    at, name = min(times)
    return f"{len(schedules)} schedules, next {name} at {at:%Y-%m-%d %H:%M} UTC"


def _style(name: str) -> str:
    number = name.removeprefix("worker-")
    if number.isdigit():
        return _WORKER_STYLES[(int(number) - 1) % len(_WORKER_STYLES)]
    return _STYLES.get(name, "")


def _whole(option: str, text: str, least: int, most: int) -> int:
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise ConfigurationError(f"{option} {text!r} is not a whole number from {least} to {most}")
    return int(text)
