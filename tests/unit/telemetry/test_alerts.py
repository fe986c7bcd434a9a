"""Each alert fires when it should and rests after: in our own evaluation, and in Prometheus."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from sigmax_tasks.clock import SystemClock, use_clock
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.settings import Settings, load_settings
from sigmax_tasks.telemetry.alert_book import AlertBook
from sigmax_tasks.telemetry.alert_rules import AlertRule, alert_rules, rules_text
from sigmax_tasks.telemetry.conditions import Series, values_of
from sigmax_tasks.telemetry.families import families
from sigmax_tasks.telemetry.reading import Reading
from sigmax_tasks.telemetry.watch import AlertWatch, sentence

from .alert_scenarios import SCENARIOS, Scenario, minutes_of

METRICS_DOWN = Scenario(
    "SigmaxMetricsDown",
    {("up", (("job", "sigmax"),)): "1x4 0x9 1x20"},
    rests_at=(0, 4, 6, 20),
    fires_at=(9, 13),
)
START = datetime(2025, 3, 14, 12, tzinfo=UTC)
OPS = Path(__file__).resolve().parents[3] / "ops"
PROMTOOL = shutil.which("promtool")


def settings_of(scenario: Scenario) -> Settings:
    return load_settings(shipped_folder(), scenario.overrides, {}).settings


def all_rules(settings: Settings) -> dict[str, Any]:
    groups = yaml.safe_load(rules_text(settings))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_every_rule_has_a_scenario(settings: Settings) -> None:
    assert {scenario.alert for scenario in SCENARIOS} == {r.name for r in alert_rules(settings)}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.alert)
def test_it_fires_and_rests(scenario: Scenario) -> None:
    settings = settings_of(scenario)
    window = timedelta(minutes=settings.runtime.alerts.window_minutes)
    book = AlertBook(alert_rules(settings), window)
    lines = {
        (name, frozenset(labels)): minutes_of(text)
        for (name, labels), text in scenario.series.items()
    }
    fired: dict[int, bool] = {}
    changes = []
    for minute in range(max(map(len, lines.values()))):
        values = {key: line[minute] for key, line in lines.items() if minute < len(line)}
        changes += book.step(START + timedelta(minutes=minute), values)
        fired[minute] = scenario.alert in book.firing
    assert {m: fired[m] for m in scenario.fires_at} == dict.fromkeys(scenario.fires_at, True)
    assert {m: fired[m] for m in scenario.rests_at} == dict.fromkeys(scenario.rests_at, False)
    told = [(change.rule.name, change.firing) for change in changes]
    assert told == [(scenario.alert, True), (scenario.alert, False)], "told once each"


def test_a_counter_that_began_again_has_grown_by_what_it_counts_now() -> None:
    book = AlertBook((), timedelta(minutes=15))
    key = ("sigmax_tasks_total", frozenset({("status", "failed")}))
    for minute, number in enumerate((100.0, 104.0, 3.0)):
        book.step(START + timedelta(minutes=minute), {key: number})
    grown = Series("sigmax_tasks_total").increase(book._history, timedelta(minutes=15))
    assert grown == 7


def test_nothing_fires_on_an_empty_cluster_or_without_readings(settings: Settings) -> None:
    reading = Reading(answers_in_seconds=0.001, workers=1)
    book = AlertBook(alert_rules(settings), timedelta(minutes=15))
    values = values_of(families(reading, settings.planning.monitoring.targets))
    for minute in range(30):
        assert book.step(START + timedelta(minutes=minute), values) == ()


def test_the_watch_tells_of_a_change_and_shows_what_fires(settings: Settings) -> None:
    told: list[str] = []
    readings = iter([Reading(0.001, workers=1), *[Reading(0.001)] * 3, Reading(0.001, workers=2)])
    watch = AlertWatch(settings, lambda: next(readings), lambda c: told.append(sentence(c)))
    ticking = Ticking()
    with use_clock(ticking):
        for _ in range(5):
            watch.look()
            ticking.at += timedelta(minutes=1)
    assert [line.partition(":")[0] for line in told] == [
        "SigmaxNoWorkers",
        "SigmaxNoWorkers is over",
    ]
    assert not any(watch.firing.values())


class Ticking(SystemClock):
    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at


def test_every_series_of_a_rule_is_a_metric_that_is_shown(settings: Settings) -> None:
    limited = load_settings(shipped_folder(), ("performance.max_cost_per_day=5",), {}).settings
    shown = {
        sample.name
        for family in families(_busy_reading(), settings.planning.monitoring.targets)
        for sample in family.samples
    }
    for rule in alert_rules(limited):
        assert _names(rule) <= shown, rule.name


def test_the_file_for_prometheus_is_that_of_the_shipped_configuration() -> None:
    shipped = load_settings(shipped_folder(), (), {}).settings
    assert (OPS / "prometheus" / "rules.yml").read_text() == rules_text(shipped)


def test_thresholds_of_the_configuration_reach_the_rules() -> None:
    rules = all_rules(
        load_settings(
            shipped_folder(),
            (
                "monitoring.alerts.high_failure_rate=0.42",
                "monitoring.alerts.slow_execution=33",
                "monitoring.alerts.high_cost_per_decision=0.07",
                "alerts.window_minutes=20",
            ),
            {},
        ).settings
    )
    assert rules["SigmaxHighFailureRate"]["expr"].endswith("[20m])) > 0.42")
    assert rules["SigmaxSlowRuns"]["expr"].endswith("> 33")
    assert rules["SigmaxHighCost"]["expr"].endswith("> 0.07")
    shipped = all_rules(load_settings(shipped_folder(), (), {}).settings)
    wanted = {"SigmaxHighFailureRate": "0.3", "SigmaxSlowRuns": "90", "SigmaxHighCost": "0.3"}
    for name, threshold in wanted.items():
        assert shipped[name]["expr"].endswith(f"> {threshold}")


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here; the same scenarios ran above")
def test_prometheus_agrees_with_us(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    tests = []
    for scenario in (*SCENARIOS, METRICS_DOWN):
        name = f"{scenario.alert}.yml"
        settings = settings_of(scenario)
        (tmp_path / name).write_text(rules_text(settings))
        rule = all_rules(settings)[scenario.alert]
        expected = {"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}
        content = {
            "rule_files": [name],
            "evaluation_interval": "1m",
            "tests": [
                {
                    "interval": "1m",
                    "input_series": [
                        {"series": _selector(*key), "values": _expanded(text)}
                        for key, text in scenario.series.items()
                    ],
                    "alert_rule_test": [
                        {
                            "eval_time": f"{minute}m",
                            "alertname": scenario.alert,
                            "exp_alerts": [expected] if fires else [],
                        }
                        for minutes, fires in (
                            (scenario.fires_at, True),
                            (scenario.rests_at, False),
                        )
                        for minute in minutes
                    ],
                }
            ],
        }
        path = tmp_path / f"test-{name}"
        path.write_text(yaml.safe_dump(content))
        tests.append(str(path))
    done = subprocess.run(
        [PROMTOOL, "test", "rules", *tests], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("SUCCESS") == len(SCENARIOS) + 1


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here")
def test_promtool_accepts_the_configuration() -> None:
    assert PROMTOOL is not None
    command = [PROMTOOL, "check", "config", str(OPS / "prometheus" / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def _busy_reading() -> Reading:
    """One in which everything has a value."""
    from sigmax_tasks.budget import DaySpend, day_spend
    from sigmax_tasks.telemetry.reading import ProviderReading

    day: DaySpend = day_spend(("1", "2"))
    return Reading(
        answers_in_seconds=0.001,
        spend={"live": day},
        day_limit_usd=5.0,
        queued={("sigmax.research", 0): 1},
        providers=(ProviderReading("kraken", simulated=False, counts={}),),
    )


def _names(rule: AlertRule) -> set[str]:
    found = vars(rule.condition).values()
    return {part.name for part in found if isinstance(part, Series)}


def _selector(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    return f"{name}{{{','.join(f'{key}={value!r}' for key, value in labels)}}}".replace("'", '"')


def _expanded(text: str) -> str:
    return " ".join(f"{value:g}" for value in minutes_of(text))
