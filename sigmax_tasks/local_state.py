"""Where ``sigmax up`` says that a cluster runs on this machine, and everybody else finds it.

``cluster.json`` in the data folder holds the address with its password, for its user only. A lock
beside it, which ends with its holder, tells a cluster that runs from one that has died.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from pydantic import ValidationError

from sigmax_planner.models import Message, UtcTime
from sigmax_tasks import clock
from sigmax_tasks.clock import Deadline
from sigmax_tasks.cluster_link import connect
from sigmax_tasks.errors import ConfigurationError, SigmaxError
from sigmax_tasks.guardian import alive
from sigmax_tasks.places import STATE_NAME, data_folder
from sigmax_tasks.whole_file import make_private

logger = logging.getLogger(__name__)

_ANSWER_SECONDS = 1.0
_LEAVING_SECONDS = 5.0
"""How long a cluster that was killed may take to be cleaned up behind."""


class LocalState(Message):
    """A cluster of ``sigmax up``: its Redis, its processes by name, when and by what it began."""

    url: str
    pid: int
    services: dict[str, int]
    flower_url: str | None
    metrics_url: str | None = None
    started_at: UtcTime
    version: str


def cluster_folder() -> Path:
    """What the local cluster keeps: the data and the password of its Redis."""
    return data_folder() / "cluster"


def state_file() -> Path:
    return data_folder() / STATE_NAME


def find_local() -> LocalState | None:
    """The cluster of ``sigmax up``, if its process lives and its Redis answers.

    What one that is gone left behind is removed, with a line in the log.
    """
    text = _read()
    if text is None:
        return None
    state = _parse(text)
    running = state is not None and alive(state.pid)
    if state is not None and running and _answers(state.url):
        return state
    with _try_lock() as free:
        if free and _read() == text:
            state_file().unlink(missing_ok=True)
            logger.warning("removed %s: the cluster it names is gone", state_file())
        elif state is not None and running:
            logger.warning("the local cluster (process %d) does not answer", state.pid)
    return None


def write_state(state: LocalState) -> None:
    """Put the state in place at once, readable by its user only."""
    path = state_file()
    # A temporary file is made with mode 0600.
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=".cluster", suffix=".tmp", delete=False
    ) as file:
        file.write(state.model_dump_json(indent=2))
    Path(file.name).replace(path)


def remove_state() -> None:
    state_file().unlink(missing_ok=True)


@contextmanager
def only_cluster() -> Iterator[int]:
    """Be the one cluster of this user; the descriptor of the lock, for the guardian to hold too.

    :class:`ConfigurationError` when there is one already.
    """
    patience = Deadline.after(_LEAVING_SECONDS)
    while True:
        with _try_lock() as descriptor:
            if descriptor is not None:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                yield descriptor
                return
        holder = _holder()
        if patience.passed or (holder is not None and alive(holder)):
            who = f" (process {holder})" if holder is not None else ""
            raise ConfigurationError(
                f"a local cluster runs already{who}",
                advice="sigmax status shows it; Ctrl-C where it runs stops it",
            )
        clock.sleep(0.1)


@contextmanager
def _try_lock() -> Iterator[int | None]:
    """The descriptor of the lock within the block; None while another has it."""
    import fcntl  # not on Windows, where there is no local cluster

    folder = cluster_folder()
    try:
        make_private(folder)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"the data folder {folder} cannot be used: {error.strerror}",
            advice="set XDG_DATA_HOME to a folder you may write to",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def _holder() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int((cluster_folder() / "lock").read_text())
    return None


def _read() -> str | None:
    try:
        return state_file().read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        logger.warning("%s cannot be read: %s", state_file(), error)
        return None


def _parse(text: str) -> LocalState | None:
    try:
        return LocalState.model_validate_json(text)
    except ValidationError:
        return None


def _answers(url: str) -> bool:
    try:
        client = connect(url, connect_timeout_seconds=_ANSWER_SECONDS)
    except SigmaxError:
        return False
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
