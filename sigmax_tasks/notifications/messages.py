"""What a receiver reads. Texts of strangers (headlines, reasons) are escaped for its format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.plain_text import clean_text
from sigmax_tasks.redact import redact
from sigmax_tasks.settings.notifications import ReceiverSettings

Format = Literal["text", "markdown", "html"]
_LONGEST_BODY: Final = 1_800
_LONGEST_TITLE: Final = 120
_MOST_REASONS: Final = 3
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")
_MENTION = re.compile(r"[@!](?=\w)|<(?=[!@#])")

DECISION: Final = """\
{{ decision.action }} {{ decision.symbol }} with confidence \
{{ "%.2f" | format(decision.confidence) }}{% if decision.simulated %} (simulated data){% endif +%}
{% if decision.reference_price is not none %}
Price {{ decision.reference_price | price }}, stop {{ decision.stop_price | price }}, \
target {{ decision.take_profit_price | price }}
{% endif %}
Size {{ "%.1f" | format(decision.size_fraction * 100) }} % of equity, horizon \
{{ "%g" | format(decision.horizon_hours) }} h, profile {{ decision.risk_profile }}
{% for reason in decision.reasons[:most_reasons] %}
* {{ reason }}
{% endfor %}
Run {{ run_id }}
"""
RUN_ALERT: Final = """\
Run {{ run_id }} of {{ decision.symbol }}:
{% for alert in alerts %}
* {{ alert }}
{% endfor %}
Decision: {{ decision.action }}
"""
CLUSTER_ALERT: Final = """\
{{ text }}
"""


@dataclass(frozen=True)
class Mail:
    """What is handed to apprise."""

    title: str
    body: str
    format: Format


def decision_mail(receiver: ReceiverSettings, record: RunRecord) -> Mail:
    decision = record.decision
    title = f"{decision.action.value} {decision.symbol} {decision.confidence:.2f}"
    return _mail(receiver, title, receiver.decision_template or DECISION, _facts(record))


def run_alert_mail(receiver: ReceiverSettings, record: RunRecord) -> Mail:
    facts = {**_facts(record), "alerts": list(record.research.alerts)}
    title = f"SIGMAX: run of {record.decision.symbol} above a threshold"
    return _mail(receiver, title, receiver.alert_template or RUN_ALERT, {"text": "", **facts})


def cluster_alert_mail(receiver: ReceiverSettings, facts: Mapping[str, Any]) -> Mail:
    """``facts`` are those of the notice: alert, firing, text."""
    state = "firing" if facts["firing"] else "over"
    return _mail(
        receiver,
        f"SIGMAX: {facts['alert']} {state}",
        receiver.alert_template or CLUSTER_ALERT,
        {"run_id": "", "decision": {}, "alerts": [], **facts},
    )


def trial_mail(receiver: ReceiverSettings, name: str) -> Mail:
    """What ``sigmax notify test`` sends."""
    text = f"A trial message of SIGMAX Tasks for the receiver {name}."
    return _mail(receiver, "SIGMAX: trial message", CLUSTER_ALERT, {"text": text})


def _facts(record: RunRecord) -> dict[str, Any]:
    return {
        "run_id": record.run_id,
        "decision": record.decision.model_dump(mode="json"),
        "research": record.research.model_dump(mode="json", exclude={"tasks"}),
        "cost": record.cost.model_dump(mode="json"),
        "most_reasons": _MOST_REASONS,
    }


def _mail(receiver: ReceiverSettings, title: str, template: str, facts: Mapping[str, Any]) -> Mail:
    try:
        body = _environment(receiver.format).from_string(template).render(facts)
    except TemplateError as error:
        raise ConfigurationError(
            f"a template of runtime.yaml cannot be filled in: {error.message}",
            advice="docs/OPERATIONS.md lists what a template may use",
        ) from error
    body = "\n".join(line.rstrip() for line in redact(body).text.strip().splitlines())
    if len(body) > _LONGEST_BODY:
        body = f"{body[: _LONGEST_BODY - 3]}..."
    return Mail(clean_text(_harmless(title), limit=_LONGEST_TITLE), body, receiver.format)


@lru_cache(maxsize=3)
def _environment(form: Format) -> ImmutableSandboxedEnvironment:
    finalize = {"text": _text, "markdown": _markdown, "html": _html}[form]
    environment = ImmutableSandboxedEnvironment(
        autoescape=form == "html",
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["price"] = _price
    return environment


def _price(value: float | None) -> str:
    """In the quote currency, to as many places as its size calls for."""
    if value is None:
        return "none"
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.6g}"


def _text(value: object) -> object:
    return _harmless(clean_text(value)) if isinstance(value, str) else value


def _markdown(value: object) -> object:
    if not isinstance(value, str):
        return value
    return _MARKDOWN.sub(r"\\\1", _harmless(clean_text(value)))


def _html(value: object) -> object:
    """Markup is escaped by the environment, after this."""
    return clean_text(value) if isinstance(value, str) else value


def _harmless(text: str) -> str:
    """Without mentions: a headline must not call everybody in a channel."""
    return _MENTION.sub(lambda match: f"{match.group()}\u200b", text)
