"""``sigmax notify``: who is told of decisions and alerts."""

from __future__ import annotations

import click

from sigmax_tasks.cli.options import broker_option, json_option, settings_options


@click.group()
def notify() -> None:
    """Show and try who is told of decisions and alerts (runtime.yaml: notifications)."""


@notify.command("test")
@click.argument("receivers", nargs=-1, metavar="[RECEIVER]...")
@settings_options
def trial(receivers: tuple[str, ...], config_dir: str | None, overrides: tuple[str, ...]) -> int:
    """Send a trial message to each RECEIVER (default: all), now and from here.

    The addresses are read from the environment of this command. Exit code 4 when one did not take
    its message.
    """
    # jinja2, which --help can do without.
    from sigmax_tasks.cli.notify_flow import send_trials

    return send_trials(receivers, config_dir, overrides)


@notify.command("list")
@json_option
@broker_option
@settings_options
def list_receivers(
    as_json: bool, broker: str | None, config_dir: str | None, overrides: tuple[str, ...]
) -> int:
    """List the receivers, what each is told of, and what has become of earlier messages."""
    # The engine, which --help can do without.
    from sigmax_tasks.cli.notify_flow import show_receivers

    return show_receivers(broker, config_dir, overrides, as_json=as_json)
