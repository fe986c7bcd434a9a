"""The worker process of the embedded cluster: Celery's worker without its command line.

``python -m celery`` imports the plugins of its commands first (Flower, an interactive shell), which
a decision would wait for. This imports what it will need, reads one line of orders from standard
input (:class:`~sigmax_tasks.private_worker.PrivateWorker` writes it), and works.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from dataclasses import dataclass

from sigmax_tasks.importing import much_is_imported

LIBRARIES = (
    "celery.app.amqp",
    "celery.apps.worker",
    "celery.concurrency.thread",
    "celery.events.state",
    "celery.worker.components",
    "celery.worker.consumer",
    "kombu.transport.redis",
    "sigmax_tasks.application",
    "sigmax_tasks.client",
    "sigmax_tasks.finalizer",
    "sigmax_tasks.intake",
    "sigmax_tasks.result_backend",
    "sigmax_tasks.runner",
    "sigmax_tasks.slots",
    "sigmax_tasks.timetable",
)
"""What the tasks and Celery's worker import, as far as the application does not take part."""


@dataclass(frozen=True)
class Orders:
    """One line of JSON."""

    broker_url: str
    pool: str
    concurrency: int
    loglevel: str
    logfile: str


def prepare() -> None:
    """Import what does not depend on the orders."""
    with much_is_imported():
        for name in LIBRARIES:
            # What cannot be imported fails once more when it is needed, with a log to say so.
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def main() -> int:
    """Work until a signal ends it; the exit code. Without orders it has nothing to do."""
    prepare()
    line = sys.stdin.readline()
    if not line:
        return 0
    orders = Orders(**json.loads(line))
    with open(orders.logfile, "ab") as log:  # noqa: PTH123  # its descriptor is wanted
        os.dup2(log.fileno(), sys.stderr.fileno())
    return work(orders)


def work(orders: Orders) -> int:
    """Celery's worker on the application of these orders."""
    os.environ.pop("CELERY_BROKER_URL", None)
    os.environ["SIGMAX_BROKER_URL"] = orders.broker_url
    # The application takes its broker from the environment when it is imported.
    from celery.concurrency import get_implementation

    from sigmax_tasks.celery import app

    app.set_current()
    app.set_default()
    worker = app.Worker(
        hostname="sigmax@embedded",
        pool_cls=get_implementation(orders.pool),
        concurrency=orders.concurrency,
        loglevel=orders.loglevel,
        logfile=orders.logfile,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
