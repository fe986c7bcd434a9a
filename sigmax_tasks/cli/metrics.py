"""``sigmax metrics``: the figures of a cluster, for Prometheus and for people."""

from __future__ import annotations

import click

from sigmax_tasks.cli.options import broker_option, settings_options


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default="9464", show_default=True, metavar="N", help="0: any free port.")
@click.option("--once", is_flag=True, help="Print the metrics once and serve nothing.")
@click.option("--summary", is_flag=True, help="Print the main figures beside their targets.")
@click.option("--rules", is_flag=True, help="Print the alert rules for Prometheus.")
@broker_option
@settings_options
def metrics(
    host: str,
    port: str,
    once: bool,
    summary: bool,
    rules: bool,
    broker: str | None,
    config_dir: str | None,
    overrides: tuple[str, ...],
) -> int:
    """Serve the figures of the cluster to Prometheus until Ctrl-C.

    They are counted by the workers in Redis, so one of these is enough for all of them, and it may
    be stopped and started at any time. Nothing asks for a login: keep it on a loopback address, or
    where only Prometheus reaches it.
    """
    # Redis, prometheus_client and rich, which --help can do without.
    from sigmax_tasks.cli.metrics_flow import print_metrics, print_rules, print_summary, serve

    if rules:
        return print_rules(config_dir, overrides)
    if once:
        return print_metrics(broker, config_dir, overrides)
    if summary:
        return print_summary(broker, config_dir, overrides)
    return serve(host, port, broker, config_dir, overrides)
