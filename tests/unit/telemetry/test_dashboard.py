"""The dashboard and the files beside it fit together, and ask only for metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from sigmax_tasks.budget import day_spend
from sigmax_tasks.settings import Settings
from sigmax_tasks.telemetry.families import families
from sigmax_tasks.telemetry.reading import ProviderReading, Reading

REPO = Path(__file__).resolve().parents[3]
GRAFANA = REPO / "ops" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "sigmax.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
PROMTOOL = shutil.which("promtool")


def test_it_asks_only_for_metrics_that_there_are(settings: Settings) -> None:
    reading = Reading(
        answers_in_seconds=0.001,
        task_tally={"technical|failed": "1"},
        spend={"live": day_spend(("1", "2"))},
        day_limit_usd=5.0,
        queued={("sigmax.research", 0): 1},
        providers=(ProviderReading("kraken", simulated=False, counts={}),),
    )
    targets = settings.planning.monitoring.targets
    shown = {s.name for family in families(reading, targets) for s in family.samples}
    figures = {name for name, _ in targets}
    for title, expression in EXPRESSIONS:
        asked = set(re.findall(r"\bsigmax_\w+", expression))
        assert asked <= shown, title
        assert asked or "ALERTS" in expression, title
        assert set(re.findall(r'figure="(\w+)"', expression)) <= figures


def test_what_has_to_be_seen_is_there() -> None:
    asked = " ".join(expression for _, expression in EXPRESSIONS)
    for metric in (
        *("sigmax_decisions_total", "sigmax_run_seconds_bucket", "sigmax_run_speedup_sum"),
        *("sigmax_decision_cost_usd_sum", "sigmax_tasks_not_completed_total"),
        *("sigmax_cache_lookups_total", "sigmax_quota_wait_seconds_total"),
        *("sigmax_queue_messages", "sigmax_workers", "sigmax_provider_seconds_bucket"),
        *("sigmax_provider_breaker", "sigmax_open_runs", "sigmax_today_usd", "sigmax_target"),
    ):
        assert metric in asked, metric


def test_panels_are_numbered_described_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert all(
        panel["description"] and panel["fieldConfig"]["defaults"]["unit"] for panel in PANELS
    )
    places = [panel["gridPos"] for panel in PANELS]
    assert all(p["x"] + p["w"] <= 24 for p in places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
    sources = {t["datasource"]["uid"] for panel in PANELS for t in panel["targets"]}
    assert sources == {"${datasource}"}


def test_provisioning_names_what_compose_mounts() -> None:
    compose = yaml.safe_load((REPO / "docker-compose.yml").read_text())["services"]
    mounts = dict(v.rsplit(":", 2)[:2] for v in compose["grafana"]["volumes"])
    folder = GRAFANA / "provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards" / "sigmax.yml").read_text())["providers"]
    assert provider["options"]["path"] == mounts["./ops/grafana/dashboards"]
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    scraped = yaml.safe_load((REPO / "ops" / "prometheus" / "prometheus.yml").read_text())
    targets = [t for job in scraped["scrape_configs"] for t in job["static_configs"][0]["targets"]]
    assert targets == ["metrics:9464", "flower:5555"]
    assert compose["metrics"]["command"][-1] == "9464"


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here")
def test_every_query_is_promql(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    rules = [
        {
            "record": f"panel:query:{number}",
            "expr": expression.replace("$window", "15m").replace("$__rate_interval", "1m"),
        }
        for number, (_, expression) in enumerate(EXPRESSIONS)
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        [PROMTOOL, "check", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
