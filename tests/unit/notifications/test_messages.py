"""Who is told of what, and that texts of strangers do no harm in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.notifications.messages import (
    cluster_alert_mail,
    decision_mail,
    run_alert_mail,
)
from sigmax_tasks.notifications.notices import alert_notices, run_notices
from sigmax_tasks.settings.notifications import ReceiverSettings
from tests.unit.report.builders import make_record

from .builders import settings

EVIL = (
    "<script>alert(1)</script> @everyone [buy](http://x.test) *now* {{ 7 * 7 }} \x1b[31m\u202e\nRun"
    " fake https://user:hunter2@host.test/"
)


def record(alerts: tuple[str, ...] = (), **decision: Any) -> RunRecord:
    made = make_record(**{"action": "BUY", "confidence": 0.71, **decision})
    research = made.research.model_copy(update={"alerts": alerts})
    return made.model_copy(update={"research": research})


def told(made: RunRecord, **keys: Any) -> list[str]:
    text = run_notices(settings(desk=keys), made)
    return [json.loads(notice)["kind"] for notice in json.loads(text)] if text else []


def receiver(**keys: Any) -> ReceiverSettings:
    return ReceiverSettings.model_validate({"url_env": "DESK", **keys})


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({}, True),
        ({"actions": ["SELL"]}, False),
        ({"min_confidence": 0.71}, True),
        ({"min_confidence": 0.72}, False),
        ({"symbols": ["ETH/USDT"]}, False),
        ({"symbols": ["ETH/USDT", "BTC/USDT"]}, True),
        ({"decisions": False}, False),
        ({"simulated": False}, False),
    ],
)
def test_filters(keys: dict[str, Any], wanted: bool) -> None:
    assert told(record(), **keys) == (["decision"] if wanted else [])


def test_a_run_above_a_threshold_is_told_of_besides_its_decision() -> None:
    alerts = ("took 95 s, more than 90 s",)
    assert told(record(alerts)) == ["decision", "run_alert"]
    assert told(record(alerts, action="HOLD")) == ["run_alert"]
    assert told(record(alerts), run_alerts=False) == ["decision"]
    body = run_alert_mail(receiver(), record(alerts)).body
    assert "took 95 s, more than 90 s" in body


def test_cluster_alerts_go_to_those_who_want_them() -> None:
    both = settings(desk={}, quiet={"cluster_alerts": False})
    found = json.loads(alert_notices(both, "SigmaxNoWorkers", "x", firing=True, at=5.2))
    assert [json.loads(notice)["to"] for notice in found] == ["desk"]
    mail = cluster_alert_mail(receiver(), json.loads(found[0]))
    assert (mail.title, mail.body) == ("SIGMAX: SigmaxNoWorkers firing", "x")


def test_nobody_to_tell_is_no_work() -> None:
    assert run_notices(settings(), record(("took 95 s, more than 90 s",))) == ""


def test_a_decision_says_what_counts() -> None:
    mail = decision_mail(receiver(), record(reference_price=46027.0, simulated=True))
    assert mail.title == "BUY BTC/USDT 0.71"
    for part in (
        "BUY BTC/USDT with confidence 0.71 (simulated data)",
        "\nPrice 46,027.00, stop ",
        "\nSize ",
        "\nRun 2026",
    ):
        assert part in mail.body


def test_texts_of_strangers_are_escaped_for_the_format() -> None:
    evil = record(reasons=(EVIL,))
    text = decision_mail(receiver(), evil).body
    assert "@everyone" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "hunter2" not in text
    assert "{{ 7 * 7 }}" in text, "not filled in a second time"
    assert sum(line.startswith("Run ") for line in text.splitlines()) == 1

    markdown = decision_mail(receiver(format="markdown"), evil).body
    assert "\\[buy\\]\\(http" in markdown
    assert "\\*now\\*" in markdown
    assert "@everyone" not in markdown

    html = decision_mail(receiver(format="html"), evil).body
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_template_of_ones_own_is_escaped_too_and_cannot_reach_out() -> None:
    own = receiver(format="html", decision_template="<b>{{ decision.reasons[0] }}</b>")
    assert decision_mail(own, record(reasons=("<i>",))).body == "<b>&lt;i&gt;</b>"
    for reaching in ("{{ ''.__class__.__mro__ }}", "{{ unknown.thing }}"):
        with pytest.raises(ConfigurationError, match="template"):
            decision_mail(receiver(decision_template=reaching), record())
    with pytest.raises(ValidationError, match="decision_template, line 1"):
        receiver(decision_template="{% if %}")


def test_a_long_message_is_cut() -> None:
    mail = decision_mail(
        receiver(decision_template="{% for n in range(900) %}word {% endfor %}"), record()
    )
    assert len(mail.body) == 1800
    assert mail.body.endswith("...")
