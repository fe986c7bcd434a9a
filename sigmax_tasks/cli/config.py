"""``sigmax config``: the effective configuration, where each value came from, is it sound."""

from __future__ import annotations

import click

from sigmax_tasks.cli.options import config_path, json_option, settings_options


@click.group()
def config() -> None:
    """Show, explain and check the configuration."""


@config.command()
@click.argument("key", required=False, metavar="[KEY]")
@json_option
@settings_options
def show(key: str | None, as_json: bool, config_dir: str | None, overrides: tuple[str, ...]) -> int:
    """Print effective values and their origins; of KEY or all below it where KEY is given."""
    # pydantic, yaml and rich, which --help can do without.
    from sigmax_tasks.cli.config_flow import effective_values
    from sigmax_tasks.report.config_view import config_lines
    from sigmax_tasks.report.terminal import Terminal
    from sigmax_tasks.settings import load_settings

    values = effective_values(load_settings(config_path(config_dir), overrides), key)
    terminal = Terminal.of_streams()
    if as_json:
        terminal.write_json({v.key: {"value": v.value, "origin": v.origin} for v in values})
    else:
        terminal.result_lines(config_lines([(v.key, v.value, v.origin) for v in values]))
    return 0


@config.command()
@click.argument("key", metavar="KEY")
@json_option
@settings_options
def explain(key: str, as_json: bool, config_dir: str | None, overrides: tuple[str, ...]) -> int:
    """Say what KEY means: its documentation, type, default, value, and how to set it."""
    # pydantic, yaml and rich, which --help can do without.
    from sigmax_tasks.cli.explain_flow import explain as explained
    from sigmax_tasks.report.config_view import explanation_lines
    from sigmax_tasks.report.terminal import Terminal
    from sigmax_tasks.settings import load_settings

    found = explained(load_settings(config_path(config_dir), overrides), key)
    terminal = Terminal.of_streams()
    if as_json:
        terminal.write_json(
            {
                "key": found.key,
                "documentation": found.comment,
                "place": found.place,
                "type": found.kind,
                "default": {v.key: v.value for v in found.default},
                "values": {v.key: {"value": v.value, "origin": v.origin} for v in found.values},
                "environment": found.variable,
            }
        )
    else:
        terminal.result_lines(explanation_lines(found))
    return 0


@config.command()
@settings_options
def check(config_dir: str | None, overrides: tuple[str, ...]) -> int:
    """Check every file and key, plan for each profile, and find the function of each task."""
    # pydantic and yaml, which --help can do without.
    from sigmax_tasks.cli.config_flow import check_configuration
    from sigmax_tasks.settings import load_settings

    for line in check_configuration(load_settings(config_path(config_dir), overrides)):
        click.echo(line)
    return 0
