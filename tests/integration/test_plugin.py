"""docs/EXTENDING.md as it stands: a source and a task of the user's own, by YAML and a package."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .test_main_job import SIGMAX, run_cli

pytestmark = pytest.mark.integration
PAGE = Path(__file__).resolve().parents[2] / "docs" / "EXTENDING.md"
NAMED = re.compile(r"^File `([\w./]+)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """The code of that language on the page, in its order."""
    return [code for name, code in BLOCK.findall(PAGE.read_text()) if name == language]


def files_of_the_page() -> dict[str, str]:
    """File name to content: Python under its stated name, YAML by its first key."""
    text = PAGE.read_text()
    found = {}
    for match in NAMED.finditer(text):
        found[f"packages/{match[1]}"] = match[2]
    sources, tasks = blocks("yaml")
    found["my-config/sources.yaml"] = sources
    found["my-config/tasks.yaml"] = tasks
    return found


@pytest.fixture
def api() -> Iterator[tuple[str, list[str]]]:
    """The example's API: its base address, and the targets asked for."""
    (answer,) = blocks("json")
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
            pass

        def do_GET(self) -> None:
            asked.append(self.path)
            body = answer.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.server_address[1]}", asked
    listener.shutdown()
    listener.server_close()
    thread.join()


@pytest.fixture
def plugin(tmp_path: Path, api: tuple[str, list[str]]) -> Path:
    """A folder with the page's package and configuration, its API at the local server."""
    for name, content in files_of_the_page().items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content.replace("http://127.0.0.1:8099", api[0]))
    return tmp_path


def test_the_page_runs_as_it_stands(plugin: Path, api: tuple[str, list[str]]) -> None:
    given = ("--config", str(plugin / "my-config"))
    env = {"PYTHONPATH": str(plugin / "packages")}
    done = run_cli("BTC/USDT", "--data", "simulated", "--json", *given, home=plugin, **env)
    assert done.returncode == 0, done.stderr
    decision = json.loads(done.stdout)
    tasks = {task["task_id"]: task for task in decision["research"]["tasks"]}
    assert tasks["whales"]["status"] == "completed"
    assert tasks["whales"]["providers"] == ["whale_feed"]
    assert "large_transfers" in decision["validation"]["sources_seen"]
    arguments = decision["debate"]["bull"]["arguments"] + decision["debate"]["bear"]["arguments"]
    assert "whales.net_flow" in {argument["evidence_id"] for argument in arguments}
    assert api[1] == ["/v1/transfers?coin=BTC"]
    assert float(decision["cost"]["actual_usd"]) == 0.002

    shown = run_cli("show", "last", "--lineage", *given, home=plugin, program=SIGMAX, **env)
    assert shown.returncode == 0, shown.stderr
    assert "whale_feed: Transfers from Whale Feed; own use" in " ".join(shown.stdout.split())
    assert "net_off_exchanges_usd" in shown.stdout
    check_lineage(plugin, given, env, decision)


def check_lineage(
    home: Path, given: tuple[str, ...], env: dict[str, str], decision: dict[str, Any]
) -> None:
    """Every metric and every argument of the run leads to answers with all their facts."""
    done = run_cli("show", "last", "--lineage", "--json", *given, home=home, program=SIGMAX, **env)
    record = json.loads(done.stdout)
    lineage = record["lineage"]
    numbers = 0
    for task in lineage["tasks"]:
        for item in (*task["metrics"], *task["evidence"]):
            numbers += 1
            assert item["answers"], item
            for number in item["answers"]:
                answer = lineage["answers"][str(number)]
                assert re.fullmatch(r"[0-9a-f]{64}", answer["payload_sha256"])
                assert answer["provider"]
                assert answer["endpoint"].startswith("/")
                assert answer["observed_at"] <= answer["fetched_at"]
                assert answer["cache_age_seconds"] >= 0
    assert numbers > 100
    known = {item["evidence_id"] for task in lineage["tasks"] for item in task["evidence"]}
    for side in ("bull", "bear"):
        for argument in decision["debate"][side]["arguments"]:
            assert argument["evidence_id"] in known
    (whales,) = [task for task in lineage["tasks"] if task["task_id"] == "whales"]
    (net,) = whales["metrics"]
    assert (net["name"], net["value"]) == ("net_off_exchanges_usd", 17_000_000)
    (number,) = net["answers"]
    assert lineage["answers"][str(number)]["endpoint"] == "/v1/transfers?coin=BTC"


def test_a_handler_that_cannot_be_imported_is_an_error_before_anything_runs(
    plugin: Path, api: tuple[str, list[str]]
) -> None:
    done = run_cli(
        *("BTC/USDT", "--data", "simulated", "--config", str(plugin / "my-config")), home=plugin
    )
    assert done.returncode == 2
    assert "whales" in done.stderr
    assert "Traceback" not in done.stderr
    assert not api[1]
