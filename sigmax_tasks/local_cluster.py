"""The cluster of ``sigmax up``: Redis, workers and what goes with them, of one user on a machine.

Everything listens on loopback only. Redis keeps its data, and the password made for it once, in
the data folder, so that a restart goes on where it was.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import redis

from sigmax_tasks import clock
from sigmax_tasks.archive import RunArchive, default_folder
from sigmax_tasks.cluster import archive_runs, find_redis, free_port, keep_journal_in_file
from sigmax_tasks.cluster_link import connect
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.journal import FileJournal, default_file
from sigmax_tasks.local_state import (
    LocalState,
    cluster_folder,
    only_cluster,
    remove_state,
    write_state,
)
from sigmax_tasks.settings import Settings
from sigmax_tasks.store import RunStore
from sigmax_tasks.supervisor import Guardian, Service, Supervisor
from sigmax_tasks.whole_file import make_private

START_SECONDS = 60.0
WORKER_GRACE_SECONDS = 10.0
"""How long a worker may take to finish its tasks when the cluster stops."""
FLOWER_LOGIN = "SIGMAX_FLOWER_LOGIN"

_LOGIN = re.compile(r"[^:\s,]+:[^\s,]+")
_OWN_VARIABLE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+", re.ASCII)


@dataclass(frozen=True)
class LocalPlan:
    """What to start. A port of 0 is any free one; ``flower_login`` is ``user:password``.

    ``environ`` is what the processes get beside what is set for them.
    """

    workers: int
    concurrency: int
    pool: str
    port: int
    flower_port: int
    metrics_port: int
    with_flower: bool
    with_beat: bool
    with_metrics: bool
    with_standby: bool
    flower_login: str
    environ: Mapping[str, str]


@dataclass
class LocalCluster:
    """A cluster that is up. ``run`` keeps it so."""

    plan: LocalPlan
    url: str
    flower_url: str | None
    metrics_url: str | None
    started_at: datetime
    supervisor: Supervisor = field(repr=False)

    def run(self) -> None:
        """Restart what dies until an exception, such as a signal's, ends it."""
        self.supervisor.run()


def flower_login(environ: Mapping[str, str]) -> str:
    """``user:password`` from the environment, else made for this start."""
    given = environ.get(FLOWER_LOGIN, "")
    if not given:
        return f"sigmax:{secrets.token_urlsafe(12)}"
    if not _LOGIN.fullmatch(given):
        raise ConfigurationError(
            f"{FLOWER_LOGIN} is not user:password",
            advice="use neither white space nor a comma in it, and no colon in the user",
        )
    return given


def override_variables(overrides: tuple[str, ...]) -> dict[str, str]:
    """``--set`` for other processes: ``a.b=value`` as ``SIGMAX_A__B``."""
    variables = {}
    for override in overrides:
        key, _, value = override.partition("=")
        if not _OWN_VARIABLE.fullmatch(key.strip()):
            raise ConfigurationError(
                f"--set {key.strip()!r} cannot be handed on to workers",
                advice="write it into a folder of YAML files and name that with --config",
            )
        variables[f"SIGMAX_{key.strip().upper().replace('.', '__')}"] = value
    return variables


@contextmanager
def local_cluster(
    settings: Settings, plan: LocalPlan, say: Callable[[str, str], None]
) -> Iterator[LocalCluster]:
    """Start everything, wait until it answers, tell others where it is; stop it after the block.

    Raises :class:`ConfigurationError` when there is one already or a port is taken, and
    :class:`ClusterUnreachableError` when a process does not come up.
    """
    archive = RunArchive(default_folder(), keep=settings.runtime.retention.embedded_runs)
    archive.prepare()
    FileJournal(default_file()).prepare()
    with only_cluster() as lock:
        port = _usable_port(plan.port, "--port")
        flower_port = _usable_port(plan.flower_port, "--flower-port") if plan.with_flower else None
        metrics_port = (
            _usable_port(plan.metrics_port, "--metrics-port") if plan.with_metrics else None
        )
        guardian = Guardian(keep_open=(lock,))
        cluster: LocalCluster | None = None

        def announce_again() -> None:
            if cluster is not None:
                _announce(cluster)

        supervisor = Supervisor(say, guardian, announce_again)
        url = ""
        try:
            password = _password()
            supervisor.start(_redis(port, password))
            url = f"redis://:{password}@127.0.0.1:{port}/0"
            supervisor.wait_until(lambda: _answers(url), START_SECONDS, "Redis")
            keep_journal_in_file(url)
            flower_url = f"http://127.0.0.1:{flower_port}" if flower_port else None
            metrics_url = f"http://127.0.0.1:{metrics_port}/metrics" if metrics_port else None
            starting = LocalCluster(plan, url, flower_url, metrics_url, clock.now(), supervisor)
            _start_celery(settings, starting)
            cluster = starting
            _announce(cluster)
            yield cluster
        finally:
            remove_state()
            standby_socket().unlink(missing_ok=True)
            supervisor.stop([name for name in supervisor.pids() if name != "redis"])
            if url:
                archive_runs(settings, url, archive)
            supervisor.stop()
            guardian.dismiss()


def _start_celery(settings: Settings, cluster: LocalCluster) -> None:
    """Workers, beat, Flower and the metrics, on a Redis that answers."""
    plan, supervisor = cluster.plan, cluster.supervisor
    environ = {**plan.environ, "SIGMAX_BROKER_URL": cluster.url, "PYTHONUNBUFFERED": "1"}
    environ.pop("CELERY_BROKER_URL", None)
    level = ("--loglevel", settings.runtime.logging.level)
    events = ("--task-events",) if cluster.flower_url else ()
    workers = [f"worker-{number}" for number in range(1, plan.workers + 1)]
    for name in workers:
        arguments = (
            *("worker", "--hostname", f"{name}@%h", "--pool", plan.pool),
            *("--concurrency", str(plan.concurrency), *level, *events),
            *("--without-gossip", "--without-mingle"),
        )
        supervisor.start(_celery(name, arguments, environ, WORKER_GRACE_SECONDS))
    if plan.with_beat:
        supervisor.start(_celery("beat", ("beat", *level), environ))
    if cluster.flower_url:
        own = {
            **environ,
            "FLOWER_ADDRESS": "127.0.0.1",
            "FLOWER_PORT": str(urlsplit(cluster.flower_url).port),
            "FLOWER_BASIC_AUTH": plan.flower_login,
        }
        supervisor.start(_celery("flower", ("flower", "--logging=warning"), own))
    if cluster.metrics_url:
        arguments = ("metrics", "--port", str(urlsplit(cluster.metrics_url).port))
        supervisor.start(
            Service("metrics", (sys.executable, "-m", "sigmax_tasks.cli", *arguments), environ)
        )
    if plan.with_standby:
        arguments = ("-m", "sigmax_tasks.cli.standby", str(standby_socket()))
        supervisor.start(Service("standby", (sys.executable, *arguments), environ))
    with closing(connect(cluster.url, connect_timeout_seconds=1.0)) as client:
        store = RunStore(client, settings.runtime)
        supervisor.wait_until(
            lambda: _all_heard(store, [supervisor.pids().get(name, 0) for name in workers]),
            START_SECONDS,
            "the workers",
        )
    if cluster.flower_url:
        port = urlsplit(cluster.flower_url).port or 0
        supervisor.wait_until(lambda: _listens(port), START_SECONDS, "Flower")
    if cluster.metrics_url:
        metrics_port = urlsplit(cluster.metrics_url).port or 0
        supervisor.wait_until(lambda: _listens(metrics_port), START_SECONDS, "the metrics")
    supervisor.check()


def _celery(
    name: str, arguments: tuple[str, ...], environ: Mapping[str, str], grace: float = 5.0
) -> Service:
    start = (sys.executable, "-m", "celery", "-A", "sigmax_tasks", "--quiet")
    return Service(name, (*start, *arguments), environ, grace_seconds=grace)


def _redis(port: int, password: str) -> Service:
    folder = cluster_folder() / "redis"
    make_private(folder)
    # The configuration goes through a pipe, so the password is in no process list.
    lines = (
        f"port {port}",
        "bind 127.0.0.1",
        f"requirepass {password}",
        f'dir "{folder}"',
        'save ""',
        "appendonly yes",
        "appendfsync everysec",
        "maxmemory-policy noeviction",
        "daemonize no",
        "loglevel warning",
        "",
    )
    return Service("redis", (find_redis(), "-"), os.environ, "\n".join(lines).encode(), folder)


def standby_socket() -> Path:
    """Where sigmax-submit finds the process that works for it."""
    return cluster_folder() / "standby.sock"


def _password() -> str:
    """That of the kept data; made at the first start, readable by its user only."""
    path = cluster_folder() / "password"
    with suppress(FileNotFoundError):
        known = path.read_text(encoding="ascii").strip()
        if re.fullmatch(r"[\w-]{20,200}", known, re.ASCII):
            return known
        path.unlink()
    password = secrets.token_urlsafe(32)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{password}\n")
    return password


def _announce(cluster: LocalCluster) -> None:
    write_state(
        LocalState(
            url=cluster.url,
            pid=os.getpid(),
            services=cluster.supervisor.pids(),
            flower_url=cluster.flower_url,
            metrics_url=cluster.metrics_url,
            started_at=cluster.started_at,
            version=version("sigmax-tasks"),
        )
    )


def _usable_port(port: int, option: str) -> int:
    if port == 0:
        return free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port that was left a moment ago counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} of this machine cannot be used: {error.strerror}",
                advice=f"choose another with {option}; 0 takes a free one",
            ) from error
    return port


def _answers(url: str) -> bool:
    with closing(connect(url, connect_timeout_seconds=0.5)) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def _all_heard(store: RunStore, pids: list[int]) -> bool:
    heard = {int(worker.rpartition(":")[2]) for worker in store.workers()}
    return all(pid in heard for pid in pids)


def _listens(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
