"""A Redis with TLS and the users of ops/redis/users.acl: each does its part, and no more."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
import trustme

from sigmax_tasks.cluster import find_redis
from sigmax_tasks.simulator.server import SimulatorServer
from tests.processes import Processes, free_port

from .conftest import Pool
from .test_local_cluster import ask_flower, wait_for
from .test_main_job import SIGMAX, SUBMIT, run_cli
from .test_schedule_beats import SCHEDULE, start_beat

pytestmark = pytest.mark.integration
REPO = Path(__file__).resolve().parents[2]
USERS = ("worker", "submitter", "beat", "viewer", "flower")
CHIEF = "user chief on >chief-of-this-test ~* &* +@all\n"
LOGIN = "trader:flower-login-of-this-test"


def password(user: str) -> str:
    return f"password-of-{user}-in-this-test"


class Secured(Pool):
    """A Redis started by ops/redis/start.sh with TLS; ``of`` gives the address of a user."""

    def of(self, user: str) -> str:
        return self.url.replace("rediss://", f"rediss://{user}:{password(user)}@", 1)

    def chief(self) -> redis.Redis:
        """May do all; such a user is not in the file."""
        address = self.url.replace("rediss://", "rediss://chief:chief-of-this-test@", 1)
        return redis.Redis.from_url(address, decode_responses=True)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    port = free_port()
    etc = folder / "etc"
    shutil.copytree(REPO / "ops" / "redis", etc)
    (etc / "tls").mkdir()
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(etc / "tls" / "ca.crt")
    certificate.cert_chain_pems[0].write_to_path(etc / "tls" / "redis.crt")
    certificate.private_key_pem.write_to_path(etc / "tls" / "redis.key")
    for name in ("start.sh", "tls.conf", "redis.conf"):
        text = (etc / name).read_text().replace("/etc/redis", str(etc))
        text = text.replace("/tmp/users.acl", str(folder / "users.acl"))  # noqa: S108
        (etc / name).write_text(text.replace("tls-port 6379", f"tls-port {port}"))
    with (etc / "redis.conf").open("a") as file:
        file.write(f"include {etc}/tls.conf\n")
    with (etc / "users.acl").open("a") as file:
        file.write(CHIEF)
    programs = folder / "bin"
    programs.mkdir()
    (programs / "redis-server").symlink_to(find_redis())
    secrets = {f"REDIS_{user.upper()}_PASSWORD": password(user) for user in USERS}
    log = folder / "redis.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["sh", str(etc / "start.sh"), "--dir", str(folder), "--bind", "127.0.0.1"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={"PATH": f"{programs}:/usr/bin:/bin", **secrets},
            start_new_session=True,
        )
    url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={etc}/tls/ca.crt"
    pool = Secured(url, folder, Processes())
    pool.started.adopt(process)

    def up() -> bool:
        with suppress(redis.RedisError):
            return bool(pool.chief().ping())
        return process.poll() is not None

    try:
        wait_for(up, 60)
        if process.poll() is not None:
            said = log.read_text()
            if "tls" in said.lower():
                reason = f"{find_redis()} was built without TLS, so none of this was tested"
                pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
            raise AssertionError(said)
        yield pool
    finally:
        pool.started.stop_all(at_once=True)


def start(pool: Secured, user: str, name: str, *arguments: str, **environ: str) -> psutil.Process:
    with (pool.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "sigmax_tasks", "--quiet", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "XDG_DATA_HOME": str(pool.folder / name),
                "SIGMAX_BROKER_URL": pool.of(user),
                **environ,
            },
            start_new_session=True,
        )
    pool.started.adopt(process)
    return psutil.Process(process.pid)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("sigmax: error:")]
    return line


@pytest.mark.timeout(240)  # about twenty commands, on a busy machine
def test_each_user_does_its_part_and_no_more(
    secured: Secured, simulator: SimulatorServer, tmp_path: Path
) -> None:
    def ask(user: str, *arguments: str, program: Path = SIGMAX, **env: str) -> Any:
        environ = {"SIGMAX_BROKER_URL": secured.of(user), "SIGMAX_SIMULATOR_URL": simulator.url}
        return run_cli(*arguments, home=tmp_path, program=program, **environ, **env)

    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "schedule.yaml").write_text(SCHEDULE)
    simulated = {
        "SIGMAX_CONFIG_DIR": str(tmp_path / "own"),
        "SIGMAX_SIMULATOR_URL": simulator.url,
        "SIGMAX_DEBUG__SIMULATE_EXECUTION": "true",
        "SIGMAX_ENGINE__SIMULATED_TIME_SCALE": "0.001",
    }
    port = free_port()
    alone = ("--without-gossip", "--without-mingle", "--task-events", "-c", "8", "-n", "one@test")
    processes = [
        start(secured, "worker", "worker", "worker", *alone, **simulated),
        start(
            secured,
            "flower",
            "flower",
            *("flower", "--logging=warning", "--address=127.0.0.1", f"--port={port}"),
            FLOWER_BASIC_AUTH=LOGIN,
        ),
        psutil.Process(
            start_beat(
                secured, tmp_path, "beat", **simulated, SIGMAX_BROKER_URL=secured.of("beat")
            ).pid
        ),
    ]
    chief = secured.chief()
    wait_for(lambda: chief.zcard("sigmax:workers"), 60)

    # submitter: the whole job, and a cancellation.
    done = ask("submitter", "BTC/USDT", "--data", "simulated", "--json", program=SUBMIT)
    assert done.returncode == 0, done.stderr
    decision = json.loads(done.stdout)
    assert decision["research"]["completed"] == 6
    run_id = decision["run_id"]
    waiting = ("--no-wait", "--set", "debug.simulate_execution=true")
    slow = ask("submitter", "ETH/USDT", "--data", "simulated", *waiting, program=SUBMIT)
    slow_id = slow.stdout.split()[0]

    # viewer: reads everything, writes nothing.
    reads = [
        ("show", run_id, "--json"),
        ("history", "--json"),
        ("watch", run_id, "--json"),
        ("status", "--json"),
        ("report", run_id, "--output", "page.html"),
    ]
    with ThreadPoolExecutor(2) as pool:
        shown = dict(
            zip([r[0] for r in reads], pool.map(lambda r: ask("viewer", *r), reads), strict=True)
        )
    assert [name for name, read in shown.items() if read.returncode] == []
    assert json.loads(shown["show"].stdout)["run_id"] == run_id
    assert run_id in shown["history"].stdout
    assert json.loads(shown["watch"].stdout)["decision_hash"] == decision["decision_hash"]
    assert json.loads(shown["status"].stdout)["workers"]
    assert (tmp_path / "page.html").stat().st_size > 10_000
    writes = (("submit", "BTC/USDT", "--data", "simulated"), ("cancel", slow_id))
    with ThreadPoolExecutor(2) as pool:
        refusals_of_viewer = list(pool.map(lambda w: ask("viewer", *w), writes))
    for refused in refusals_of_viewer:
        assert refused.returncode == 4
        assert "may not do this (no permissions" in one_line(refused)
        assert password("viewer") not in refused.stderr + refused.stdout
    assert chief.hget(f"sigmax:run:{slow_id}", "state") == "open"
    assert ask("submitter", "cancel", slow_id).returncode == 0

    # beat: its messages arrive. flower: it sees the worker, behind its login.
    wait_for(lambda: chief.keys("sigmax:slotruns:often:*"), 60)
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: ask_flower(url, "/api/workers?refresh=1", LOGIN), 60)

    # No user may administrate, and none of them was ever refused what it needed.
    # The submitter tries the queue of research once per process and then leaves it to a worker.
    refusals = {
        (e["username"], e["object"])
        for e in chief.acl_log()
        if e["username"] in {*USERS, "default"} - {"viewer"}
    }
    assert refusals <= {("submitter", "sigmax.research")}
    for user in USERS:
        with redis.Redis.from_url(secured.of(user)) as client:
            forbidden = ["FLUSHALL", "CONFIG GET *", "ACL LIST", "KEYS *", "CLIENT LIST"]
            if user != "worker":
                forbidden.append("SET sigmax:cache:kraken:x {}")
            if user in {"beat", "viewer", "flower"}:
                forbidden.append("HSET sigmax:run:x state open")
            if user in {"submitter", "beat", "viewer"}:
                forbidden.append("LPUSH sigmax.research {}")
            for command in forbidden:
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*command.split())
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(secured.url).get("sigmax:live")

    # No password in a process list, a log or an error.
    words = [password(user) for user in USERS] + [LOGIN.partition(":")[2]]
    listed = " ".join(
        " ".join(p.cmdline()) for p in [psutil.Process(secured.started.first.pid), *processes]
    )
    logs = "".join(path.read_text(errors="replace") for path in secured.folder.glob("*.log"))
    assert not [word for word in words if word in listed or word in logs]
    assert "Traceback" not in logs
    chief.close()


@pytest.mark.parametrize(
    ("address", "code", "sentence"),
    [
        ("rediss://viewer:{p}@127.0.0.1:{port}/0", 4, "TLS certificate .* is not trusted"),
        ("rediss://viewer:{p}@localhost:{port}/0?ssl_ca_certs={ca}", 4, "is not trusted"),
        ("rediss://viewer:wrong-{p}@127.0.0.1:{port}/0?ssl_ca_certs={ca}", 4, "the password"),
    ],
)
def test_a_connection_that_is_not_safe_is_one_clear_line(
    secured: Secured, tmp_path: Path, address: str, code: int, sentence: str
) -> None:
    port = re.search(r":(\d+)/", secured.url)
    assert port is not None
    authority = secured.url.partition("ssl_ca_certs=")[2]
    url = address.format(p=password("viewer"), port=port[1], ca=authority)
    done = run_cli("status", home=tmp_path, program=SIGMAX, SIGMAX_BROKER_URL=url)
    assert done.returncode == code
    assert re.search(sentence, one_line(done)), done.stderr
    assert password("viewer") not in done.stderr + done.stdout
