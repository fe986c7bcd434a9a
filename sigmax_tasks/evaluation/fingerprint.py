"""What a result rests on, as a hash: recordings, code, settings. Same hash, same result."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sigmax_planner.models import ResearchPlan, RiskProfile, Symbol
from sigmax_tasks.errors import EvaluationError
from sigmax_tasks.settings import Settings

_FOLDERS = ("ohlcv", "fear_greed", "onchain", "derivatives", "macro")
_RESEARCH_CODE = (
    "sigmax_tasks.research",
    "sigmax_tasks.sources",
    "sigmax_tasks.simulator",
    "sigmax_tasks.evaluation.recorded_desk",
    "sigmax_tasks.evaluation.tables",
    "sigmax_tasks.evaluation.walk",
    "sigmax_tasks.task_work",
    "sigmax_tasks.candles",
    "sigmax_tasks.redact",
    "sigmax_tasks.models.observations",
    "sigmax_tasks.models.research",
)
_DECISION_CODE = (
    "sigmax_tasks.stages",
    "sigmax_tasks.models.decision",
    "sigmax_tasks.models.policy",
    "sigmax_tasks.evaluation.walk",
    "sigmax_tasks.evaluation.models",
)
_LIBRARIES = ("numpy", "TA-Lib", "vaderSentiment", "yake", "ccxt", "pydantic")


def digest_of(folder: Path) -> str:
    """SHA-256 of the recordings in a folder, names and contents."""
    digest = hashlib.sha256()
    for name in _FOLDERS:
        for path in sorted((folder / name).rglob("*.csv")):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            try:
                digest.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError as error:
                raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def research_base(settings: Settings, recordings: str) -> str:
    """What every finding rests on, besides its task, symbol and moments."""
    return _hash(
        recordings,
        code_digest(_RESEARCH_CODE),
        settings.sources.model_dump(mode="json"),
        settings.decision.privacy.model_dump(mode="json"),
    )


def task_keys(
    base: str,
    plan: ResearchPlan,
    symbol: Symbol,
    steps: Iterable[str],
    scope: Mapping[str, Sequence[str]] | None,
) -> dict[str, str]:
    """The key of each task's findings over some steps; it holds those of its dependencies."""
    keys: dict[str, str] = {}
    span = list(steps)
    for task_id in (task_id for batch in plan.execution_order for task_id in batch):
        task = plan.task(task_id)
        needs = None if _states_needs(task.handler) else list(task.data_sources)
        keys[task_id] = _hash(
            base,
            task_id,
            task.handler,
            handler_digest(task.handler),
            needs,
            None if scope is None else list(scope.get(task_id, ())),
            [keys[name] for name in task.dependencies],
            symbol,
            span,
        )
    return keys


def decisions_key(
    keys: Mapping[str, str],
    plan: ResearchPlan,
    profile: RiskProfile,
    settings: Settings,
    *,
    ablation: bool,
) -> str:
    """The key of the decisions on these findings."""
    policy = settings.decision
    rules = policy.model_dump(mode="json", exclude={"profiles"})
    tasks = [
        (task.task_id, task.priority.value, task.data_sources, task.dependencies, task.optional)
        for task in plan.tasks
    ]
    return _hash(
        dict(keys),
        tasks,
        rules,
        policy.profile(profile.name).model_dump(mode="json"),
        profile.model_dump(mode="json"),
        code_digest(_DECISION_CODE),
        ablation,
    )


@lru_cache(maxsize=8)
def code_digest(modules: tuple[str, ...]) -> str:
    """SHA-256 of the sources of modules and packages, and the libraries results depend on."""
    digest = hashlib.sha256()
    for name in modules:
        for path in _sources(name):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    digest.update(json.dumps({name: version(name) for name in _LIBRARIES}).encode())
    return digest.hexdigest()


@lru_cache(maxsize=256)
def handler_digest(handler: str) -> str:
    """SHA-256 of the module of a handler."""
    digest = hashlib.sha256()
    for path in _sources(handler.partition(":")[0]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return []
    origin = Path(spec.origin)
    return sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]


@lru_cache(maxsize=256)
def _states_needs(handler: str) -> bool:
    """Whether the module of a handler says what it needs, so that its data sources do not."""
    return any(
        "def needs(" in path.read_text(encoding="utf-8", errors="replace")
        for path in _sources(handler.partition(":")[0])
    )


def _hash(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()
