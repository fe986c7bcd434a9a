"""Settings of runtime.yaml: broker, workers, engine limits, retention."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sigmax_planner.models import Message, UtcTime
from sigmax_tasks.settings.notifications import NotificationSettings


class BrokerSettings(Message):
    url: str | None = Field(default=None, pattern=r"^(rediss?|unix)://\S+$")
    connect_timeout_seconds: float = Field(gt=0, le=60)
    visibility_timeout_seconds: float = Field(gt=0)
    max_message_bytes: int = Field(ge=16_384, le=64 * 1024 * 1024)


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
    max_kept_runs: int | None = Field(default=None, ge=1)
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


class EvaluationSettings(Message):
    """Costs of a trade and extent of the statistics of ``sigmax evaluate``."""

    fee_bps: float = Field(ge=0, le=1000)
    slippage_bps: float = Field(ge=0, le=1000)
    short_cost_bps_per_day: float = Field(ge=0, le=1000)
    chunk_steps: int = Field(ge=1, le=1000)
    chunks_under_way: int = Field(ge=1, le=1000)
    chunk_timeout_seconds: float = Field(gt=0)
    cache_megabytes: float = Field(gt=0)
    random_seeds: int = Field(ge=10, le=100_000)
    bootstrap_resamples: int = Field(ge=100, le=100_000)
    bootstrap_block_steps: float = Field(ge=1)
    calibration_min_outcomes: int = Field(ge=20)
    seed: int = Field(ge=0)


Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class LoggingSettings(Message):
    level: Level
    format: Literal["pretty", "json"]
    levels: dict[str, Level] = Field(default_factory=dict)


class RuntimeSettings(Message):
    """Everything of runtime.yaml; the defaults stand in the shipped file."""

    broker: BrokerSettings
    worker: WorkerSettings
    engine: EngineSettings
    retention: RetentionSettings
    embedded: EmbeddedSettings
    simulator: SimulatorSettings
    alerts: AlertSettings
    evaluation: EvaluationSettings
    notifications: NotificationSettings
    logging: LoggingSettings
