"""The page in a real browser: its script runs, its policy holds, nothing is asked for."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigmax_tasks.report.html import report_html
from tests.unit.report.page_builders import make_full_dossier, with_model_debate

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr", "--v=0",
)  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")


def browse(url: str, profile: Path, *flags: str) -> tuple[str, list[str]]:
    """(the page after its script ran, what the console said)."""
    done = subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", *flags, "--dump-dom", url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "HOME": str(profile)},
    )
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, console


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """(address of the page on loopback, the paths that were asked for)."""
    content = report_html(make_full_dossier()).encode()
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/report.html", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_script_runs_without_error_and_asks_for_nothing(
    served: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, asked = served
    page, console = browse(f"{url}#dark", tmp_path)
    assert console == []
    assert asked == ["/report.html"]
    assert re.search(r'<html[^>]* data-theme="dark"', page), "the script did not run"
    button = re.search(r'<button[^>]*id="theme"[^>]*>', page)
    assert button is not None
    assert "hidden" not in button.group()
    assert "<script>alert" not in page


def test_a_script_that_got_in_would_not_run(tmp_path: Path) -> None:
    page = report_html(make_full_dossier())
    evil = (
        "<script>document.title = 'taken over'</script><img src=x onerror=document.title='taken'>"
    )
    path = tmp_path / "evil.html"
    path.write_text(page.replace("<footer>", f"{evil}<footer>"), encoding="utf-8")
    shown, console = browse(path.as_uri(), tmp_path / "profile")
    assert "taken" not in re.findall(r"<title>(.*?)</title>", shown)[0]
    assert any("Content Security Policy" in line for line in console)


PROBE = """
<script>
const area = document.querySelector(".panel-1 .narrow rect.touch");
const box = area.getBoundingClientRect();
area.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + 1, bubbles: true}));
const readout = document.querySelector(".panel-1 .readout").textContent;
const right = (e) => e.getBoundingClientRect().right;
const wide = [...document.querySelectorAll("main *")]
  .filter((e) => !e.closest("nav, svg, .hidden") && right(e) > innerWidth + 1)
  .map((e) => e.tagName + "." + e.className);
const scroll = document.documentElement.scrollWidth;
document.title = [innerWidth, scroll, wide.join(), readout].join("|");
</script>
"""


def test_the_page_fits_a_phone_and_the_cross_hair_reads_candles(tmp_path: Path) -> None:
    page = report_html(with_model_debate(make_full_dossier()))
    # The probe is a script of the test's own, which the policy of the page would not run.
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    page = page.replace('<details class="long"', '<details open class="long"')
    path = tmp_path / "probe.html"
    path.write_text(page.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    shown, console = browse(path.as_uri(), tmp_path / "profile", "--window-size=390,2000")
    assert console == []
    inner, scroll, wide, readout = re.findall(r"<title>(.*?)</title>", shown)[0].split("|")
    assert int(scroll) <= int(inner) <= 500
    assert wide == ""
    # The phone's chart shows 60 candles of 4 h, which end at 2025-03-14 12:00.
    assert readout.startswith("2025-03-04 12:00")
