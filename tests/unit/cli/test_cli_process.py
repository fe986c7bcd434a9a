"""The commands as processes: what they import, how signals and closed pipes end them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[3]
HEAVY = (
    "pydantic",
    "celery",
    "kombu",
    "redis",
    "rich",
    "numpy",
    "talib",
    "ccxt",
    "yaml",
    "requests",
)


def python(code: str, **popen: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **popen,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "call", ["submit_main(), ['sigmax-submit', '--help']", "main(), ['sigmax', '--help']"]
)
def test_help_imports_nothing_heavy(call: str) -> None:
    function, _, arguments = call.partition("(), ")
    process = python(f"""
        import sys
        from sigmax_tasks.cli.main import main, submit_main
        sys.argv = {arguments}
        try:
            {function}()
        except SystemExit as end:
            assert end.code == 0, end.code
        print("IMPORTED", [name for name in {HEAVY!r} if name in sys.modules])
    """)
    out, err = process.communicate(timeout=30)
    assert out.splitlines()[-1] == "IMPORTED []", err


WAITING = """
    import signal, sys, time
    def wait_long():  # in parts: a signal just before a wait is only seen behind it
        for _ in range(600):
            time.sleep(0.1)
    import click
    from sigmax_tasks.cli.group import GuardedCommand

    signal.signal(signal.SIGINT, signal.default_int_handler)

    @click.command(cls=GuardedCommand)
    def wait():
        try:
            print("ready", flush=True)
            wait_long()
        finally:
            print("cleaned up", flush=True)
            {after}

    wait.main([])
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_with_its_code_after_the_clean_up(number: int, code: int) -> None:
    process = python(WAITING.format(after="pass"))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (code, "cleaned up\n", "")


def test_the_second_signal_waits_for_the_clean_up_and_the_third_does_not() -> None:
    process = python(WAITING.format(after="wait_long()"))
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "cleaned up\n"
    process.send_signal(signal.SIGTERM)
    assert "press Ctrl-C once more" in process.stderr.readline()
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    process = python(
        """
        import os, signal
        import click
        from sigmax_tasks.cli.group import GuardedCommand

        signal.signal(signal.SIGHUP, signal.SIG_IGN)

        @click.command(cls=GuardedCommand)
        def once():
            os.kill(os.getpid(), signal.SIGHUP)
            print("still here")

        once.main([])
        """
    )
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "still here\n")


def test_a_reader_that_goes_away_is_no_error_message() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [sys.executable, "-c", "from sigmax_tasks.cli.main import main; main()", "config", "show"],
        cwd=REPO,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 141
    assert err == ""


def test_an_encoding_without_the_characters_does_not_crash() -> None:
    process = python(
        """
        import click
        from sigmax_tasks.cli.group import GuardedCommand

        @click.command(cls=GuardedCommand)
        def say():
            print("caf\\u00e9 \\u4e2d")

        say.main([])
        """,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "caf? ?\n", "")
