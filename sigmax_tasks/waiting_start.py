"""Processes that do nothing until they are let go.

Whoever starts a process may end before anybody else knows of it: killed, or by a signal whose
exception comes out of the middle of the start. So a process is started waiting, told to those who
stop it, and then let go. What is never let go ends by itself when its standard input does.
"""

from __future__ import annotations

import contextlib
import subprocess  # starts what the caller names
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_WAIT = 'read -r go && exec "$@"'
_GO = b"go\n"


def start_waiting(
    arguments: Sequence[str],
    *,
    stdout: int | IO[bytes],
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """A shell that becomes that program, under the same process id, when it is let go.

    It leads a process group of its own. What it prints on standard error goes where its standard
    output does. A program that cannot be run ends it with code 126 or 127.
    """
    return subprocess.Popen(  # noqa: S603  # the caller's fixed arguments, none read by the shell
        ["/bin/sh", "-c", _WAIT, "sh", *arguments],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        env=None if environ is None else dict(environ),
        cwd=cwd,
        start_new_session=True,
    )


def let_go(process: subprocess.Popen[bytes], stdin: bytes = b"") -> None:
    """Begin, with this on standard input and then its end. A dead process is left to its keeper."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(_GO + stdin)
            process.stdin.close()
