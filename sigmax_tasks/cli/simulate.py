"""``sigmax simulate``: a data server for several commands or for workers on this machine."""

from __future__ import annotations

import re
from pathlib import Path

import click

from sigmax_tasks.errors import ConfigurationError

TICK_SECONDS = 0.5


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", default="8799", show_default=True, metavar="N", help="0: any free port.")
@click.option("--replay-dir", metavar="DIR", help="Recordings to serve as well, for --data replay.")
def simulate(host: str, port: str, replay_dir: str | None) -> int:
    """Serve simulated market data (any seed and time) until Ctrl-C."""
    # Start-up of --help must not pay for the server.
    from threading import Event

    from sigmax_tasks.simulator.server import SimulatorServer

    if not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or int(port) > 65_535:
        raise ConfigurationError(f"--port {port!r} is not a port from 0 to 65535")
    if replay_dir is not None and not Path(replay_dir).is_dir():
        raise ConfigurationError(f"--replay-dir {replay_dir!r} is not a folder")
    folder = None if replay_dir is None else Path(replay_dir).resolve()
    try:
        server = SimulatorServer(host, int(port), folder)
        server.start()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the data server cannot be started on {host} port {port}: {error}",
            advice="choose another --port; 0 takes a free one",
        ) from error
    try:
        click.echo(f"data server on {server.url}")
        click.echo("use it from another shell of this machine:")
        click.echo(f"  export SIGMAX_SIMULATOR_URL={server.url}")
        click.echo("  sigmax-submit BTC/USDT --data simulated")
        if folder is not None:
            click.echo("  sigmax-submit BTC/USDT --data replay --as-of TIME")
        click.echo("stop it with Ctrl-C")
        # In parts: a signal that comes just before a wait is only seen behind it.
        while not Event().wait(TICK_SECONDS):
            pass
    finally:
        server.stop()
    return 0
