"""The standby of ``sigmax up``: does the work of ``sigmax-submit`` without its imports.

A process that has imported what a submission imports. For each one that hands over its work
(handover.py) it makes a copy of itself, which takes over the other's arguments, environment, folder
and open files, and calls what the other would have called. Nothing of the configuration or of a
cluster is kept: a copy reads all of it anew. A standby of another Python, or of another state of
the program, refuses, and the other works by itself.

Only processes of the same user reach it: the socket and its folder are theirs alone, and the system
is asked who called.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import locale
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

import click

from sigmax_planner.models import AnalysisRequest
from sigmax_planner.planner import create_plan
from sigmax_tasks import clock
from sigmax_tasks.cli import handover
from sigmax_tasks.cli.exit import ExitCode
from sigmax_tasks.cli.handover import ANSWER, BEGUN, ENDED, GO, HEADER, REFUSED, same_user
from sigmax_tasks.cli.main import submit_main
from sigmax_tasks.errors import SigmaxError
from sigmax_tasks.handlers import check_handlers
from sigmax_tasks.importing import much_is_imported
from sigmax_tasks.settings import load_settings

LIBRARIES = (
    "subprocess",
    "sigmax_tasks.cli.submit_flow",
    "sigmax_tasks.simulator.server",
    "sigmax_tasks.sources.headroom",
)
"""No numpy: it would start threads, which a copy does not have."""
_PACKAGES = ("sigmax_planner", "sigmax_tasks")
_LOOK_SECONDS = 0.5
_READ_SECONDS = 5.0
_MOST_BYTES = 8_000_000
_OPEN_FILES = 3
_STDERR = 2


@dataclass(frozen=True)
class Request:
    """What a copy takes over; one JSON object with the open files beside it."""

    program: list[Any]
    arguments: list[str]
    environ: dict[str, str]
    folder: str
    path: list[str]
    mask: int
    ignored: list[str]
    encodings: list[list[str]]


def program() -> list[Any]:
    """What must be the same in both processes: Python, its options, and where the program lies."""
    return [sys.version, sys.prefix, handover.__file__, list(sys.flags)]


State = tuple[int, int, int]


def state_of_files() -> State:
    """(number, latest change) of the program's files, latest change of what is installed beside it.

    Another state means another program, or other libraries.
    """
    installed = Path(click.__file__).parents[1].stat().st_mtime_ns
    number, latest = 0, 0
    folders = [place for name in _PACKAGES for place in sys.modules[name].__path__]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    number, latest = number + 1, max(latest, entry.stat().st_mtime_ns)
                elif entry.is_dir() and entry.name != "__pycache__":
                    folders.append(entry.path)
    return number, latest, installed


def warm_up() -> None:
    """Load what each submission loads, and keep nothing of what it finds."""
    with much_is_imported():
        for name in LIBRARIES:
            importlib.import_module(name)
    # A configuration that cannot be used is told of to whoever submits.
    with contextlib.suppress(SigmaxError):
        settings = load_settings().settings
        request = AnalysisRequest(symbol="BTC/USDT", risk_profile=settings.planning.default_profile)
        plan = create_plan(request, settings.planning, settings.catalog, clock.now())
        # Our own are as they are while this process lives; those of others are read each time.
        check_handlers(task for task in plan.tasks if task.handler.partition(".")[0] in _PACKAGES)


def serve(path: Path, stop: threading.Event) -> None:
    """Answer until ``stop``; one copy for each who calls."""
    state = state_of_files()
    warm_up()
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.listen(64)
        listener.settimeout(_LOOK_SECONDS)
        try:
            while not stop.is_set():
                try:
                    link, _ = listener.accept()
                except TimeoutError:
                    continue
                with link:
                    if os.fork() == 0:
                        listener.close()
                        _copy(link, state)
        finally:
            path.unlink(missing_ok=True)


def _copy(link: socket.socket, state: State) -> NoReturn:
    """What a copy does, from the call to its exit. Never returns to the standby's own work."""
    code: int = ExitCode.BUG
    own_stderr = os.dup(_STDERR)
    try:
        os.setsid()  # signals to the standby and its terminal are not this one's
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        link.settimeout(_READ_SECONDS)
        request = _take(link) if same_user(link) else None
        fresh = state_of_files() == state
        if request is None or not fresh:
            link.sendall(ANSWER.pack(REFUSED, 0))
            if not fresh:
                os.kill(os.getppid(), signal.SIGTERM)  # sigmax up starts one of the new state
        else:
            _become(request)
            link.sendall(ANSWER.pack(BEGUN, os.getpid()))
            if link.recv(len(GO)) == GO:
                link.settimeout(None)
                threading.Thread(target=_end_with, args=(link,), daemon=True).start()
                code = _work()
                link.sendall(ANSWER.pack(ENDED, code))
    except (ConnectionError, TimeoutError):
        code = ExitCode.BUG  # the caller left: nobody is there to be told
    except Exception as error:  # noqa: BLE001  # the boundary: one line for those who run sigmax up
        line = f"a submission could not be taken over: {type(error).__name__}: {error}\n"
        os.write(own_stderr, line.encode(errors="replace"))
    finally:
        os._exit(code)


def _take(link: socket.socket) -> Request | None:
    """The request of a caller, its files in the place of ours; None where it is another program."""
    header, files, _, _ = socket.recv_fds(link, HEADER.size, _OPEN_FILES)
    size = HEADER.unpack(header)[0]
    if size > _MOST_BYTES or len(files) != _OPEN_FILES:
        raise ValueError("not a request")
    body = bytearray()
    while len(body) < size:
        part = link.recv(min(size - len(body), 65_536))
        if not part:
            raise ConnectionError
        body += part
    request = Request(**json.loads(body))
    if request.program != program():
        return None
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    return request


def _become(request: Request) -> None:
    """Take the caller's surroundings."""
    os.environ.clear()
    os.environ.update(request.environ)
    os.chdir(request.folder)
    os.umask(request.mask)
    sys.path[:] = request.path
    sys.argv[1:] = request.arguments
    importlib.invalidate_caches()
    time.tzset()
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_CTYPE, "")
    for name in request.ignored:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    # New ones, as those there are go by what their files were like.
    sys.stdin, sys.stdout, sys.stderr = (
        _opened(number, *coding) for number, coding in enumerate(request.encodings)
    )


def _opened(number: int, encoding: str, errors: str) -> TextIO:
    """A standard stream as Python makes it for the file that is open now."""
    by_line = number == _STDERR or os.isatty(number)
    return cast(
        "TextIO",
        os.fdopen(
            number,
            "r" if number == 0 else "w",
            buffering=1 if by_line else -1,
            encoding=encoding,
            errors=errors,
            closefd=False,
        ),
    )


def _work() -> int:
    """The exit code of the command."""
    try:
        submit_main()
    except KeyboardInterrupt:  # before the command looks after signals itself
        return ExitCode.INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.BUG
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()


def _end_with(link: socket.socket) -> None:
    """End as the caller did who went without waiting: it was killed, or its machine is ending."""
    with contextlib.suppress(OSError):
        link.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    """``python -m sigmax_tasks.cli.standby SOCKET``: serve until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # copies are reaped by the system
    serve(Path(sys.argv[1]), stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
