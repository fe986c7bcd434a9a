"""The outside world: providers, asked through one client, answering in typed observations."""

from sigmax_tasks.sources.addresses import Addresses, check_source_root
from sigmax_tasks.sources.call import Adapter, Call
from sigmax_tasks.sources.desk import FetchContext, Gathered, RetryPolicy, SourceDesk

__all__ = [
    "Adapter",
    "Addresses",
    "Call",
    "FetchContext",
    "Gathered",
    "RetryPolicy",
    "SourceDesk",
    "check_source_root",
]
