"""Starts the private worker of a submission before anything heavy is imported.

Both import for most of a second, side by side this way. Whether a private cluster is needed is
decided later and for certain; here it is only looked for signs that one is not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.places import STATE_NAME, choose_folder, data_folder
from sigmax_tasks.private_worker import PrivateWorker

_OF_A_BROKER = ("CELERY_BROKER_URL", "SIGMAX_BROKER_URL", "SIGMAX_BROKER__URL")
_MOST_BYTES = 100_000


@contextmanager
def early_worker(options: Mapping[str, Any]) -> Iterator[PrivateWorker | None]:
    """A worker that waits for its orders, for the block; None where it is not likely needed."""
    if not worker_is_likely(options, os.environ):
        yield None
        return
    worker = PrivateWorker()
    try:
        yield worker
    finally:
        worker.discard()


def worker_is_likely(options: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    """Whether nothing at hand says that there is a cluster, or that none will be used."""
    if not options["symbols"] and options["watchlist"] is None:
        return False
    if options["broker"] or options["no_wait"] or any(map(environ.get, _OF_A_BROKER)):
        return False
    if any(override.startswith("broker.") for override in options["overrides"]):
        return False
    if (data_folder(environ) / STATE_NAME).exists():
        return False
    chosen = options["config_dir"]
    try:
        folder = choose_folder(None if chosen is None else Path(chosen), environ)
        with (folder / "runtime.yaml").open("rb") as file:
            return not _names_a_broker(file.read(_MOST_BYTES).decode(errors="replace"))
    except FileNotFoundError:
        return True  # all of it is as shipped
    except (OSError, ConfigurationError):
        return False  # told in full by whoever reads it in earnest


def _names_a_broker(runtime_yaml: str) -> bool:
    """Whether its section ``broker`` holds an address, or is written in a way not read here."""
    inside = False
    for line in runtime_yaml.splitlines():
        key, _, rest = line.partition(":")
        name, value = key.strip("\"' \t"), rest.partition("#")[0].strip()
        if line.strip() and not line.startswith((" ", "\t", "#")):
            inside = name == "broker"
            if inside and value:
                return True
        elif inside and name == "url" and value not in {"", "null", "~"}:
            return True
    return False
