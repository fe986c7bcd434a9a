"""Finished runs, wherever they are kept: in the Redis of a cluster or in the data folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Protocol

from sigmax_tasks.archive import RunArchive, default_folder
from sigmax_tasks.client import Client
from sigmax_tasks.cluster import running_cluster
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


class LocalRecords:
    """Runs of the cluster of ``sigmax up``, and before them those of the data folder."""

    def __init__(self, cluster: Records, archived: Records) -> None:
        self._both = (cluster, archived)
        self.where = f"the local cluster and {archived.where}"

    def ids(self, limit: int) -> tuple[str, ...]:
        found = {run_id for records in self._both for run_id in records.ids(limit)}
        # An id begins with its time.
        return tuple(sorted(found, reverse=True)[:limit])

    def record(self, run_id: str) -> RunRecord:
        cluster, archived = self._both
        try:
            return cluster.record(run_id)
        except RunNotFoundError:
            return archived.record(run_id)

    def dossier(self, run_id: str) -> Dossier:
        cluster, archived = self._both
        try:
            return cluster.dossier(run_id)
        except RunNotFoundError:
            return archived.dossier(run_id)


@contextmanager
def open_records(settings: Settings, broker: str | None) -> Iterator[Records]:
    """The runs of the cluster that is named or configured, else those of this machine's user.

    These are in the cluster of ``sigmax up``, where it runs, and in the data folder.
    """
    folder = default_folder()
    archived = ArchivedRecords(RunArchive(folder), str(folder))
    cluster = running_cluster(settings, broker)
    if cluster is None:
        yield archived
        return
    url = cluster.broker_url
    with closing(Client(settings, url)) as client:
        client.check()
        records = ClusterRecords(client, redact_url(url))
        yield LocalRecords(records, archived) if cluster.kind == "local" else records


@contextmanager
def open_client(settings: Settings, broker: str | None) -> Iterator[Client]:
    """A client of the cluster that is named, configured or kept by ``sigmax up``."""
    cluster = running_cluster(settings, broker)
    if cluster is None:
        raise ClusterUnreachableError(
            "no cluster runs here, and a private one lives only as long as its command",
            advice="start one with: sigmax up, or name its Redis with --broker or "
            "SIGMAX_BROKER_URL",
        )
    with closing(Client(settings, cluster.broker_url)) as client:
        client.check()
        yield client


def cancel_run(settings: Settings, broker: str | None, reference: str) -> tuple[str, bool]:
    """Id of the run meant, and whether it was still open and is cancelled now."""
    with open_client(settings, broker) as client:
        live = [run_id for run_id, _ in client.live_runs()]
        try:
            run_id = find_run(reference, live, "the open runs")
        except RunNotFoundError:
            with open_records(settings, broker) as records:
                over = records.ids(MOST_RUNS)
            if reference == LAST or reference not in over:
                raise
            return reference, False
        return run_id, client.cancel(run_id)


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
