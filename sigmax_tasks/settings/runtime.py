"""Settings of runtime.yaml: broker, workers, engine limits, retention."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sigmax_planner.models import Message, UtcTime


class BrokerSettings(Message):
    url: str | None = Field(default=None, pattern=r"^(rediss?|unix)://\S+$")
    connect_timeout_seconds: float = Field(gt=0, le=60)
    visibility_timeout_seconds: float = Field(gt=0)


class WorkerSettings(Message):
    pool: Literal["threads", "prefork", "solo", "gevent"]
    concurrency: int = Field(ge=1, le=1000)
    reserved_turn_every: int = Field(ge=0, le=1000)


class EngineSettings(Message):
    lease_seconds: float = Field(gt=0.5)
    stall_seconds: float = Field(gt=0)
    max_redispatches: int = Field(ge=0, le=10)
    sweep_interval_seconds: float = Field(gt=0)
    front_runs: int = Field(ge=1)
    max_open_runs: int | None = Field(default=None, ge=1)
    finalize_reserve_seconds: float = Field(ge=0)
    event_stream_max_length: int = Field(ge=100)
    simulated_time_scale: float = Field(ge=0)
    lean_chords: bool


class RetentionSettings(Message):
    run_hours: float = Field(gt=0)
    working_hours: float = Field(gt=0)
    embedded_runs: int = Field(ge=1)
    journal_days: float | None = Field(default=None, gt=0)


class EmbeddedSettings(Message):
    start_timeout_seconds: float = Field(gt=0)
    concurrency: int = Field(ge=1, le=1000)


class SimulatorSettings(Message):
    seed: int = Field(ge=0)
    as_of: UtcTime


class AlertSettings(Message):
    interval_seconds: float = Field(ge=1, le=60)
    window_minutes: float = Field(ge=1, le=1440)
    queue_growth: int = Field(ge=1)
    day_budget_share: float = Field(gt=0, le=1)


class LoggingSettings(Message):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class RuntimeSettings(Message):
    """Everything of runtime.yaml; the defaults stand in the shipped file."""

    broker: BrokerSettings
    worker: WorkerSettings
    engine: EngineSettings
    retention: RetentionSettings
    embedded: EmbeddedSettings
    simulator: SimulatorSettings
    alerts: AlertSettings
    logging: LoggingSettings
