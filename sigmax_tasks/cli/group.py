"""The error boundary of all commands, and a group that imports a command when it is called."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click

from sigmax_tasks.cli.exit import ExitCode, exit_code_of
from sigmax_tasks.cli.signals import StoppedEarly, stop_signals
from sigmax_tasks.errors import SigmaxError
from sigmax_tasks.report.text import clean_text


def print_error(message: str) -> None:
    """One line on stderr."""
    click.echo(f"sigmax: error: {clean_text(message, limit=2000)}", err=True)


class GuardedCommand(click.Command):
    """A command whose ``main`` ends with a named exit code and one clear line, whatever happens."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        extra["standalone_mode"] = False
        _survive_odd_encodings()
        code: int
        try:
            with stop_signals():
                code = self._guarded(args, *rest, **extra)
        except KeyboardInterrupt:
            code = ExitCode.INTERRUPTED
        except StoppedEarly as stopped:
            code = stopped.code
        except BrokenPipeError:
            code = ExitCode.BROKEN_PIPE
        if code is ExitCode.BROKEN_PIPE:
            _point_stdout_nowhere()
        sys.exit(int(code))

    def invoke(self, ctx: click.Context) -> Any:
        """As click's, which has endings of its own for Ctrl-C and for a reader that went away."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise StoppedEarly(ExitCode.INTERRUPTED) from None
        except BrokenPipeError:
            raise StoppedEarly(ExitCode.BROKEN_PIPE) from None

    def _guarded(self, args: Sequence[str] | None, *rest: Any, **extra: Any) -> int:
        try:
            result = super().main(args, *rest, **extra)
            sys.stdout.flush()
        except click.exceptions.Abort:
            return ExitCode.INTERRUPTED
        except click.UsageError as error:
            print_error(f"{_sentence(error)}{_help_advice(error)}")
            return ExitCode.USAGE
        except click.ClickException as error:
            print_error(_sentence(error))
            return ExitCode.USAGE
        except SigmaxError as error:
            print_error(str(error))
            _show_traceback_if_asked()
            return exit_code_of(error)
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001  # the boundary: one line, never a traceback
            print_error(
                f"{type(error).__name__}: {error} (this is a bug; SIGMAX_DEBUG=1 shows where)"
            )
            _show_traceback_if_asked()
            return ExitCode.BUG
        return result if isinstance(result, int) else ExitCode.OK


class LazyGroup(GuardedCommand, click.Group):
    """A group from a table of name -> (``module:attribute``, one line of help).

    A command's module is imported when that command is called; the list of commands needs none.
    """

    def __init__(self, *, table: Mapping[str, tuple[str, str]], **attributes: Any) -> None:
        super().__init__(**attributes)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self._table:
            return None
        module, _, attribute = self._table[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{attribute} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._table.items()])


def _sentence(error: click.ClickException) -> str:
    """Click's message as a part of our line: no capital at the start, no full stop at the end."""
    text = error.format_message().rstrip(".")
    second = text[1:2]
    return text if second.isupper() else text[:1].lower() + text[1:]


def _help_advice(error: click.UsageError) -> str:
    return f"; see {error.ctx.command_path} --help" if error.ctx is not None else ""


def _show_traceback_if_asked() -> None:
    if os.environ.get("SIGMAX_DEBUG", "") not in {"", "0"}:
        traceback.print_exc()


def _survive_odd_encodings() -> None:
    """A character that the terminal's encoding lacks becomes ``?`` and not a crash."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            with suppress(ValueError, OSError):
                reconfigure(errors="replace")


def _point_stdout_nowhere() -> None:
    """Keep the interpreter's own flush at exit from failing on the closed pipe again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
