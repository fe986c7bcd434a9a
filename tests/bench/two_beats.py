"""Two beats with a schedule of every minute: ``python -m tests.bench.two_beats [MINUTES]``.

Counts the submissions of each minute, then kills the beat that submitted last with KILL and looks
when the next minute is submitted. It takes a minute or two longer than MINUTES (5).
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import redis

from sigmax_tasks.simulator.server import SimulatorServer
from sigmax_tasks.slots import LOCK_SECONDS
from tests.processes import Processes, await_workers, free_port, processes, redis_url, wait_until

SCHEDULE = """
schedules:
  often: {cron: "* * * * *", symbols: [BTC/USDT], data: simulated}
"""


def main(minutes: int) -> int:
    with (
        tempfile.TemporaryDirectory() as name,
        SimulatorServer() as simulator,
        processes() as started,
    ):
        folder = Path(name)
        (folder / "own").mkdir()
        (folder / "own" / "schedule.yaml").write_text(SCHEDULE)
        port = free_port()
        started.start_redis(port, folder)
        environ = {
            "SIGMAX_CONFIG_DIR": str(folder / "own"),
            "SIGMAX_SIMULATOR_URL": simulator.url,
            "SIGMAX_BROKER_URL": redis_url(port),
            "SIGMAX_DEBUG__SIMULATE_EXECUTION": "true",
            "SIGMAX_ENGINE__SIMULATED_TIME_SCALE": "0.01",
        }
        started.start_worker(redis_url(port), "one@here", folder, environ=environ)
        await_workers(redis_url(port), 1)
        time.sleep(60 - time.time() % 60 + 5)  # begin just behind a minute
        with closing(redis.Redis.from_url(redis_url(port), decode_responses=True)) as client:
            return watch(started, folder, environ, client, minutes)


def watch(
    started: Processes, folder: Path, environ: dict[str, str], client: redis.Redis, minutes: int
) -> int:
    beats = {
        name: started.start(
            *(sys.executable, "-m", "celery", "-A", "sigmax_tasks", "--quiet", "beat"),
            *("--loglevel", "INFO"),
            environ={**environ, "XDG_DATA_HOME": str(folder / name)},
            log=folder / f"{name}.log",
        )
        for name in ("first", "second")
    }

    def taken() -> list[int]:
        return sorted(int(key.rpartition(":")[2]) for key in client.keys("sigmax:slotruns:often:*"))

    wait_until(lambda: len(taken()) >= minutes, minutes * 60 + 30, f"{minutes} submissions")
    time.sleep(5)  # for a second submission of the same minute, if there were one
    sent = {name: (folder / f"{name}.log").read_text().count("Sending due") for name in beats}
    runs = sum(client.hlen(f"sigmax:slotruns:often:{slot}") for slot in taken())
    say(f"{minutes} minutes, two beats: {sent} messages, {len(taken())} times, {runs} submissions")
    if runs != minutes or min(sent.values()) < minutes:
        return 1
    started.stop(beats["first"], at_once=True)
    following = (int(time.time()) // 60 + 1) * 60
    say(f"killed one beat {following - time.time():.0f} s before the next time")
    wait_until(lambda: following in taken(), 60 + LOCK_SECONDS + 5, "the next submission")
    late = time.time() - following
    say(f"the next time was submitted {late:.1f} s after it; a lock lasts {LOCK_SECONDS:.0f} s")
    return 0 if late <= LOCK_SECONDS else 1


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
