"""Finished runs, wherever they are kept: in the Redis of a cluster or in the data folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Protocol

from sigmax_tasks.archive import RunArchive, default_folder
from sigmax_tasks.client import Client
from sigmax_tasks.errors import ClusterUnreachableError, ConfigurationError, RunNotFoundError
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.redact import redact_url
from sigmax_tasks.settings import Settings

MOST_RUNS = 10_000
LAST = "last"
_REFERENCE = re.compile(r"[0-9A-Za-z-]{4,40}", re.ASCII)
_MOST_SHOWN = 4


class Records(Protocol):
    """What commands read of finished runs."""

    where: str

    def ids(self, limit: int) -> tuple[str, ...]:
        """Newest first."""
        ...

    def record(self, run_id: str) -> RunRecord: ...

    def dossier(self, run_id: str) -> Dossier: ...


class ArchivedRecords:
    """Runs of embedded clusters."""

    def __init__(self, archive: RunArchive, where: str) -> None:
        self._archive = archive
        self.where = where

    def ids(self, limit: int) -> tuple[str, ...]:
        return self._archive.ids()[:limit]

    def record(self, run_id: str) -> RunRecord:
        return self._archive.load(run_id)

    def dossier(self, run_id: str) -> Dossier:
        return self._archive.dossier(run_id)


class ClusterRecords:
    """Runs of a cluster."""

    def __init__(self, client: Client, where: str) -> None:
        self._client = client
        self.where = where

    def ids(self, limit: int) -> tuple[str, ...]:
        return self._client.finished_ids(limit)

    def record(self, run_id: str) -> RunRecord:
        return self._client.record(run_id)

    def dossier(self, run_id: str) -> Dossier:
        return self._client.dossier(run_id)


@contextmanager
def open_records(settings: Settings, broker: str | None) -> Iterator[Records]:
    """The runs of the cluster that is named or configured, else those of the data folder."""
    url = broker or settings.runtime.broker.url
    if url is None:
        folder = default_folder()
        yield ArchivedRecords(RunArchive(folder), str(folder))
        return
    with closing(Client(settings, url)) as client:
        client.check()
        yield ClusterRecords(client, redact_url(url))


@contextmanager
def open_client(settings: Settings, broker: str | None) -> Iterator[Client]:
    """A client of the cluster that is named or configured; there is no private one to ask."""
    url = broker or settings.runtime.broker.url
    if url is None:
        raise ClusterUnreachableError(
            "no cluster is configured, and a private one lives only as long as its command",
            advice="name its Redis with --broker or SIGMAX_BROKER_URL",
        )
    with closing(Client(settings, url)) as client:
        client.check()
        yield client


def find_run(reference: str, ids: Sequence[str], where: str) -> str:
    """The run that ``last``, a whole id, its start or its last part stands for.

    ``ids`` are newest first. Raises :class:`RunNotFoundError`, or :class:`ConfigurationError` for
    a reference that is malformed or fits several runs.
    """
    if not _REFERENCE.fullmatch(reference):
        raise ConfigurationError(
            f"invalid run {reference[:50]!r}: give its id, at least 4 characters of it, or 'last'",
            advice="list the runs with: sigmax history",
        )
    if reference == LAST:
        if not ids:
            raise RunNotFoundError(LAST, where)
        return ids[0]
    if reference in ids:
        return reference
    fits = [i for i in ids if i.startswith(reference) or i.endswith(f"-{reference}")]
    if not fits:
        raise RunNotFoundError(reference, where)
    if len(fits) > 1:
        more = ", ..." if len(fits) > _MOST_SHOWN else ""
        raise ConfigurationError(
            f"{reference!r} fits {len(fits)} runs: {', '.join(fits[:_MOST_SHOWN])}{more}",
            advice="give more of the id",
        )
    return fits[0]
