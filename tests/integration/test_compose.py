"""docker-compose.yml without Docker: its services as processes of this machine.

Each service is started with its own command line and environment. Only what a container brings is
put in its place: host names, ports, folders and programs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import psutil
import pytest
import yaml

from sigmax_tasks.cluster import find_redis
from sigmax_tasks.simulator.server import SimulatorServer
from tests.processes import free_port, processes
from tests.switches import switch_environ

from .conftest import Pool
from .test_local_cluster import ask_flower, wait_for
from .test_main_job import run_cli

pytestmark = pytest.mark.integration
REPO = Path(__file__).resolve().parents[2]
COMPOSE = REPO / "docker-compose.yml"
LOGIN = "trader:flower-login-of-this-test"
PASSWORD = "redis-password-of-this-test"
USERS = ("WORKER", "SUBMITTER", "BEAT", "VIEWER", "FLOWER")
SECRETS = {
    "SIGMAX_FLOWER_LOGIN": LOGIN,
    "GRAFANA_PASSWORD": "grafana-password-of-this-test",
    **{f"REDIS_{user}_PASSWORD": f"{PASSWORD}-{user.lower()}" for user in USERS},
}
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:[-?])([^}]*))?\})")


def interpolate(value: Any, environ: Mapping[str, str]) -> Any:
    """The values of ``.env`` in a part of the file, as compose fills them in."""

    def fill(match: re.Match[str]) -> str:
        dollar, name, operator, rest = match.groups()
        if dollar:
            return "$"
        found = environ.get(name, "")
        if not found and operator == ":?":
            raise LookupError(f"{name}: {rest}")
        return found or (rest if operator == ":-" else "")

    if isinstance(value, str):
        return _VARIABLE.sub(fill, value)
    if isinstance(value, list):
        return [interpolate(item, environ) for item in value]
    if isinstance(value, dict):
        return {key: interpolate(item, environ) for key, item in value.items()}
    return value


def services(environ: Mapping[str, str] = SECRETS) -> dict[str, Any]:
    content = yaml.safe_load(COMPOSE.read_text())
    found: dict[str, Any] = interpolate(content, environ)["services"]
    return found


class Stand:
    """Starts services in the place of containers."""

    def __init__(self, pool: Pool, ports: Mapping[str, int]) -> None:
        self._pool = pool
        folder = pool.folder
        self._places = {
            "redis:6379": f"127.0.0.1:{ports['redis']}",
            "6379": str(ports["redis"]),
            "5555": str(ports["flower"]),
            "9464": str(ports["metrics"]),
            "0.0.0.0": "127.0.0.1",
            "/etc/redis": str(folder / "etc"),
            "/tmp/users.acl": str(folder / "users.acl"),  # noqa: S108  # the container's
            "/etc/sigmax": str(REPO / "config"),
            "/data": str(folder / "data"),
        }
        longest_first = sorted(self._places, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        programs = folder / "bin"
        programs.mkdir()
        (folder / "data").mkdir()
        shutil.copytree(REPO / "ops" / "redis", folder / "etc")
        script = folder / "etc" / "start.sh"
        script.write_text(self.placed(script.read_text()))
        (programs / "redis-server").symlink_to(find_redis())
        for name, target in (("celery", "celery"), ("sigmax", "sigmax"), ("python", "python")):
            (programs / name).symlink_to(Path(sys.executable).with_name(target))
        self._path = f"{programs}:/usr/bin:/bin"

    def placed(self, text: str) -> str:
        return self._pattern.sub(lambda match: self._places[match.group()], text)

    def start(self, name: str, service: Mapping[str, Any], number: int = 1) -> psutil.Process:
        arguments = [
            self.placed(part).replace("%h", f"{name}-{number}") for part in service["command"]
        ]
        environ = {key: self.placed(value) for key, value in service["environment"].items()}
        home = self._pool.folder / f"home-{name}-{number}"
        home.mkdir()
        with (self._pool.folder / f"{name}-{number}.log").open("wb") as log:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **switch_environ(),
                    "XDG_DATA_HOME": str(home),
                    **environ,
                    "PATH": self._path,
                    "HOME": str(home),
                },
                cwd=home,
                start_new_session=True,
            )
        self._pool.started.adopt(process)
        return psutil.Process(process.pid)

    def checked(self, service: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Run a health check given as a command line."""
        kind, *arguments = [self.placed(part) for part in service["healthcheck"]["test"]]
        assert kind == "CMD"
        environ = {**os.environ, "PATH": self._path}
        return subprocess.run(
            arguments, env=environ, capture_output=True, text=True, check=False, timeout=60
        )


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    port = free_port()
    with processes(kill=True) as started:
        yield Pool(f"redis://worker:{PASSWORD}-worker@127.0.0.1:{port}/0", tmp_path, started)


def port_of(pool: Pool) -> int:
    return int(pool.url.rpartition(":")[2].partition("/")[0])


def test_nothing_is_open_to_other_hosts_and_no_secret_has_a_default() -> None:
    found = services()
    assert set(found) == {
        *("redis", "worker", "control", "beat", "flower", "metrics", "prometheus", "grafana")
    }
    published = {name: service["ports"] for name, service in found.items() if "ports" in service}
    assert published == {
        "flower": ["127.0.0.1:5555:5555"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    for missing in SECRETS:
        with pytest.raises(LookupError, match=missing):
            services({key: value for key, value in SECRETS.items() if key != missing})
    assert found["control"]["profiles"] == ["team"]
    assert found["prometheus"]["profiles"] == found["grafana"]["profiles"] == ["laptop", "team"]
    with_profile = {name for name, service in found.items() if "profiles" in service}
    assert with_profile == {"control", "prometheus", "grafana"}
    for service in found.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert "container_name" not in service, "it could not be scaled"


def test_the_example_environment_names_every_variable() -> None:
    used = {match[1] for match in _VARIABLE.findall(COMPOSE.read_text()) if match[1]}
    example = (REPO / "ops" / ".env.example").read_text()
    named = dict(re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", example, re.MULTILINE))
    assert set(named) == used | {"COMPOSE_PROFILES"}
    assert all(named[secret] == "" for secret in SECRETS)


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="no docker-compose here")
def test_compose_reads_the_file_as_this_test_does() -> None:
    command = ["docker-compose", "--file", str(COMPOSE), "config"]
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **SECRETS}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)["services"]
    for name, service in services().items():
        command_read = [part.replace("$$", "$") for part in read[name].get("command", [])]
        assert command_read == service.get("command", [])
        assert read[name].get("environment", {}) == service.get("environment", {})
        assert read[name].get("profiles", []) == service.get("profiles", [])


def test_the_services_work_together(pool: Pool, simulator: SimulatorServer, tmp_path: Path) -> None:
    found = services()
    ports = {"redis": port_of(pool), "flower": free_port(), "metrics": free_port()}
    stand = Stand(pool, ports)
    redis_process = stand.start("redis", found["redis"])
    workers = [stand.start("worker", found["worker"], number) for number in (1, 2, 3)]
    control = stand.start("control", found["control"])
    beat = stand.start("beat", found["beat"])
    flower = stand.start("flower", found["flower"])
    metrics = stand.start("metrics", found["metrics"])
    wait_for((tmp_path / "data" / "appendonlydir").exists, 60)
    started = [redis_process, *workers, control, beat, flower, metrics]
    pool.wait_for_workers(4)

    done = run_cli(
        *("BTC/USDT", "ETH/USDT", "SOL/USDT", "--data", "simulated", "--json"),
        home=tmp_path,
        SIGMAX_BROKER_URL=pool.url.replace("worker", "submitter"),
        SIGMAX_SIMULATOR_URL=simulator.url,
    )
    decisions = [json.loads(line) for line in done.stdout.splitlines()]
    assert [d["research"]["completed"] for d in decisions] == [6, 6, 6], done.stderr
    ran_on = {task["worker"] for d in decisions for task in d["research"]["tasks"]}
    numbers = {int(worker.rpartition(":")[2]) for worker in ran_on}
    assert len(numbers) >= 2
    assert numbers <= {process.pid for process in workers}, "control does no research"

    url = f"http://127.0.0.1:{ports['flower']}"
    opener = build_opener(ProxyHandler({}))
    for path in ("/", "/api/workers", "/api/tasks"):
        with pytest.raises(HTTPError, match="401"):
            opener.open(f"{url}{path}", timeout=10)
    with pytest.raises(HTTPError, match="401"):
        ask_flower(url, "/api/workers", "trader:wrong")
    names = {"worker@worker-1", "worker@worker-2", "worker@worker-3", "worker@control-1"}
    wait_for(lambda: set(ask_flower(url, "/api/workers?refresh=1", LOGIN)) == names, 60)
    seen = ask_flower(url, "/api/tasks?limit=1000", LOGIN)
    assert {"sigmax.run_research"} <= {task["name"] for task in seen.values()}
    assert stand.checked(found["flower"]).returncode == 0

    assert stand.checked(found["metrics"]).returncode == 0
    with opener.open(f"http://127.0.0.1:{ports['metrics']}/metrics", timeout=10) as answer:
        figures = answer.read().decode()
    assert "sigmax_workers 4.0" in figures
    assert 'sigmax_tasks_total{status="completed"} 18.0' in figures

    assert all(process.is_running() for process in started)
    assert not [p for p in started if PASSWORD in " ".join(p.cmdline())], "in no process list"
    assert (tmp_path / "data" / "sigmax" / "beat.json").is_file()
    listening = {
        c.laddr.ip for p in started for c in p.net_connections("inet") if c.status == "LISTEN"
    }
    assert listening == {"127.0.0.1"}
