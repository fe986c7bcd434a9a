"""``sigmax-submit``: hands its work to the standby of ``sigmax up`` where there is one.

The standby (standby.py) is a process of the same user and the same program that has imported
everything; a copy of it takes over the arguments, the environment, the folder and the open files of
this process and does the same as this process would. This one passes signals on and ends with the
same exit code. Without a standby, or with one that is not quite the same, it works by itself.

Imports nothing but what is built in: this is what a warm start consists of.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys

from sigmax_tasks.data_path import data_path

TYPE_CHECKING = False  # as typing's, which takes longer to import than all else here
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

SOCKET_NAME = "standby.sock"
"""In the folder of the local cluster."""
HEADER = struct.Struct("!I")
REFUSED, BEGUN, ENDED = b"n", b"b", b"e"
ANSWER = struct.Struct("!ci")
"""An answer: :data:`BEGUN` with the process id of the copy, :data:`ENDED` with its exit code."""
GO = b"g"
"""Sent behind :data:`BEGUN`; without it a copy does nothing, so that no work is done twice."""

_ALONE = frozenset({"-h", "--help", "--version"})
_CONNECT_SECONDS = 1.0
_BEGIN_SECONDS = 10.0
_TICK_SECONDS = 0.5
_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
_FAILED = 1


def submit_main() -> NoReturn:
    """Console script ``sigmax-submit``."""
    code = hand_over(sys.argv[1:])
    if code is not None:
        sys.exit(code)
    # click, which a warm start does without.
    from sigmax_tasks.cli.main import submit_main as work_alone

    work_alone()


def socket_path() -> str:
    return os.path.join(data_path(os.environ.get("XDG_DATA_HOME")), "cluster", SOCKET_NAME)  # noqa: PTH118


def hand_over(arguments: list[str]) -> int | None:
    """The exit code of the standby's copy; None where this process must work by itself."""
    if not arguments or not _ALONE.isdisjoint(arguments) or not hasattr(socket, "AF_UNIX"):
        return None
    if None in (sys.stdin, sys.stdout, sys.stderr):  # closed by whoever started this
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        try:
            link.settimeout(_CONNECT_SECONDS)
            link.connect(socket_path())
            if not same_user(link):
                return None
            link.settimeout(_BEGIN_SECONDS)
            _send(link, arguments)
            kind, pid = _answer(link)
            if kind != BEGUN:
                return None
            link.sendall(GO)
        except OSError:  # nobody there, or not in a state to answer: nothing has begun
            return None
        return _accompany(link, pid)


def same_user(link: socket.socket) -> bool:
    """Whether who is at the other end has our user id; true where the system cannot tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    credentials = struct.Struct("3i")
    _, user, _ = credentials.unpack(link.getsockopt(socket.SOL_SOCKET, option, credentials.size))
    return bool(user == os.geteuid())


def _send(link: socket.socket, arguments: list[str]) -> None:
    import json  # not needed where nobody listens

    mask = os.umask(0)
    os.umask(mask)
    ignored = [
        name for name in _PASSED_ON if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN
    ]
    body = json.dumps(
        {
            "program": [sys.version, sys.prefix, __file__, list(sys.flags)],
            "arguments": arguments,
            "environ": dict(os.environ),
            "folder": os.getcwd(),  # noqa: PTH109  # pathlib is not imported otherwise
            "path": sys.path,
            "mask": mask,
            "ignored": ignored,
            "encodings": [[s.encoding, s.errors] for s in (sys.stdin, sys.stdout, sys.stderr)],
        }
    ).encode()
    socket.send_fds(link, [HEADER.pack(len(body))], [0, 1, 2])
    link.sendall(body)


def _answer(link: socket.socket) -> tuple[bytes, int]:
    """One answer; (refused, 0) where the other end is gone."""
    data = b""
    while len(data) < ANSWER.size:
        part = link.recv(ANSWER.size - len(data))
        if not part:
            return REFUSED, 0
        data += part
    kind, number = ANSWER.unpack(data)
    return kind, number


def _accompany(link: socket.socket, pid: int) -> int:
    """Wait for the copy that works, passing signals on; its exit code."""
    passed: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        passed.append(number)
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return

    for name in _PASSED_ON:
        number = getattr(signal, name)
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    link.settimeout(None)
    try:
        # In parts: a signal that comes just before a wait is only seen behind it.
        while not select.select([link], [], [], _TICK_SECONDS)[0]:
            pass
        kind, code = _answer(link)
    except ConnectionError:
        kind, code = REFUSED, 0
    if kind == ENDED:
        return code
    if passed:
        return 128 + passed[-1]
    sys.stderr.write("sigmax: error: the standby of sigmax up ended before its work was done\n")
    return _FAILED
