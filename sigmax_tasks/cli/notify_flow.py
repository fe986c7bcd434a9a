"""What ``sigmax notify`` sends and prints."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any

from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cli.options import config_path
from sigmax_tasks.cluster import running_cluster
from sigmax_tasks.cluster_link import connect, reachable
from sigmax_tasks.errors import ConfigurationError, SigmaxError
from sigmax_tasks.notifications.messages import trial_mail
from sigmax_tasks.notifications.receivers import Sender, address_of
from sigmax_tasks.outbox import Outbox
from sigmax_tasks.report.notify_view import receivers_view, trials_view
from sigmax_tasks.report.terminal import Terminal
from sigmax_tasks.settings import Settings, load_settings
from sigmax_tasks.tally import TALLY_KEY


def send_trials(
    wanted: tuple[str, ...], config_dir: str | None, overrides: tuple[str, ...]
) -> ExitCode:
    """A trial message to each; unreachable when one did not take it."""
    settings = load_settings(config_path(config_dir), overrides).settings
    notifications = settings.runtime.notifications
    known = notifications.receivers
    unknown = [name for name in wanted if name not in known]
    if unknown or not known:
        raise ConfigurationError(
            f"no receiver {unknown[0]!r}" if unknown else "there are no receivers",
            advice="runtime.yaml: notifications.receivers has "
            + (", ".join(sorted(known)) or "none; its comments show an example"),
        )
    sender = Sender(notifications.timeout_seconds)
    found: list[tuple[str, str]] = []
    for name in wanted or tuple(known):
        try:
            url = address_of(name, known[name], os.environ)
            problem = sender.send(url, trial_mail(known[name], name))
        except SigmaxError as error:
            problem = str(error)
        found.append((name, problem))
    Terminal.of_streams().result(trials_view(found))
    return ExitCode.UNREACHABLE if any(problem for _, problem in found) else ExitCode.OK


def show_receivers(
    broker: str | None, config_dir: str | None, overrides: tuple[str, ...], *, as_json: bool
) -> ExitCode:
    """The receivers, and the outbox of the cluster where there is one."""
    settings = load_settings(config_path(config_dir), overrides).settings
    receivers = []
    for name, receiver in settings.runtime.notifications.receivers.items():
        try:
            address_of(name, receiver, os.environ)
            ready = True
        except ConfigurationError:
            ready = False
        receivers.append({"name": name, "address_known_here": ready, **receiver.model_dump()})
    counts = _counts(settings, broker)
    terminal = Terminal.of_streams()
    if as_json:
        terminal.write_json({"receivers": receivers, "outbox": counts})
    else:
        terminal.result(receivers_view(receivers, counts))
    return ExitCode.OK


def _counts(settings: Settings, broker: str | None) -> dict[str, int] | None:
    cluster = running_cluster(settings, broker)
    if cluster is None:
        return None
    url = cluster.broker_url
    seconds = settings.runtime.broker.connect_timeout_seconds
    with closing(connect(url, connect_timeout_seconds=seconds)) as client, reachable(url):
        waiting = Outbox(client, settings.runtime.notifications.outbox_length).waiting()
        results = ("sent", "failed", "dropped")
        values: Any = client.hmget(TALLY_KEY, [f"notices|{result}" for result in results])
    return {
        "waiting": waiting,
        **{result: int(value or 0) for result, value in zip(results, values, strict=True)},
    }
