"""The data server of a submission."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sigmax_tasks.cli.submission import Submission
from sigmax_tasks.data_server import serve_data


@contextmanager
def data_server(submission: Submission) -> Iterator[Submission]:
    """The submission with the address of its data server; see :func:`serve_data` for errors."""
    with serve_data(submission.data_mode, submission.simulator_url, submission.replay_dir) as url:
        yield submission if url is None else submission.served_from(url)
