"""What a command knows before research runs: that of the running cluster, else the data folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sigmax_planner.facts import PlanningFacts
from sigmax_planner.models import AnalysisRequest
from sigmax_tasks.cluster import running_cluster
from sigmax_tasks.cluster_link import connect, reachable
from sigmax_tasks.errors import ClusterUnreachableError
from sigmax_tasks.planning_facts import FactFinder
from sigmax_tasks.settings import Settings

Facts = Callable[[AnalysisRequest], PlanningFacts]


@contextmanager
def known_facts(settings: Settings, broker: str | None = None) -> Iterator[Facts]:
    """A function from a request to its facts, for the block.

    A cluster that does not answer is only a note in the plan: it can be made without.
    """
    running = running_cluster(settings, broker)
    if running is None:
        yield FactFinder(settings, None).of
        return
    url = running.broker_url
    client = connect(url, connect_timeout_seconds=settings.runtime.broker.connect_timeout_seconds)
    try:
        try:
            with reachable(url):
                client.ping()
        except ClusterUnreachableError as error:
            note = f"nothing learned or left of quotas is known: {error}"
            yield lambda _: PlanningFacts(notes=(note,))
            return
        finder = FactFinder(settings, client)

        def facts(request: AnalysisRequest) -> PlanningFacts:
            with reachable(url):
                return finder.of(request)

        yield facts
    finally:
        client.close()
