"""Settings of ``notifications`` in runtime.yaml: who is told of what."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sigmax_planner.models import Message, Symbol

ReceiverName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


class ReceiverSettings(Message):
    """One receiver. Its address is a secret, so it stands in the environment."""

    url_env: str = Field(pattern=r"^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$", max_length=80)
    decisions: bool = True
    actions: tuple[Literal["BUY", "SELL", "HOLD"], ...] = ("BUY", "SELL")
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    symbols: tuple[Symbol, ...] = ()
    simulated: bool = False
    run_alerts: bool = True
    cluster_alerts: bool = True
    format: Literal["text", "markdown", "html"] = "text"
    decision_template: str | None = Field(default=None, max_length=10_000)
    alert_template: str | None = Field(default=None, max_length=10_000)

    @model_validator(mode="after")
    def _templates_can_be_read(self) -> Self:
        if self.decision_template is None and self.alert_template is None:
            return self
        # Most configurations have no template, and must not pay for jinja2.
        from jinja2 import Environment, TemplateSyntaxError

        for name in ("decision_template", "alert_template"):
            try:
                Environment(autoescape=True).parse(getattr(self, name) or "")
            except TemplateSyntaxError as error:
                raise ValueError(f"{name}, line {error.lineno}: {error.message}") from error
        return self


class NotificationSettings(Message):
    """All receivers, and how hard to try."""

    receivers: dict[ReceiverName, ReceiverSettings] = Field(default_factory=dict, max_length=20)
    timeout_seconds: float = Field(gt=0, le=60)
    max_attempts: int = Field(ge=1, le=20)
    retry_seconds: float = Field(gt=0, le=3600)
    outbox_length: int = Field(ge=1, le=100_000)
