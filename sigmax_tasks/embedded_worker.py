"""The worker process of the embedded cluster: Celery's worker without its command line.

``python -m celery`` imports the plugins of its commands first (Flower, an interactive shell), which
a decision would wait for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from celery.concurrency import get_implementation

from sigmax_tasks.celery import app


def main(arguments: Sequence[str] | None = None) -> int:
    """Work until a signal ends it; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--hostname", required=True)
    parser.add_argument("--loglevel", required=True)
    parser.add_argument("--logfile", required=True)
    options = parser.parse_args(arguments)
    app.set_current()
    app.set_default()
    worker = app.Worker(
        hostname=options.hostname,
        pool_cls=get_implementation(options.pool),
        concurrency=options.concurrency,
        loglevel=options.loglevel,
        logfile=options.logfile,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
