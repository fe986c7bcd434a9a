"""``PlanningAgent``: research plans from Python, without a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from sigmax_planner.models import DataMode, ResearchPlan
from sigmax_planner.planner import create_plan
from sigmax_tasks import clock
from sigmax_tasks.compat.asked import make_request, read_settings, settings_with
from sigmax_tasks.data_choice import DataOptions
from sigmax_tasks.errors import ConfigurationError, UnknownKeyError
from sigmax_tasks.settings import Settings

CONTEXT_KEYS: Final = frozenset(
    {"width", "include_optional", "max_cost_usd", "deadline_seconds", "watchlist", "market"}
)
"""What of a decision context the planner uses."""

_TYPO_CUTOFF = 0.8


class MappedPlan(ResearchPlan):
    """A research plan that can also be read like a mapping: ``plan["tasks"]`` is ``plan.tasks``.

    Its keys are those of the plan's JSON. Iterating it gives pairs, as with every message;
    ``dict(plan)``, ``plan.keys()`` and ``"tasks" in plan`` do what they do for a mapping.
    """

    @classmethod
    def of(cls, plan: ResearchPlan) -> MappedPlan:
        return cls(**{name: getattr(plan, name) for name in ResearchPlan.model_fields})

    def keys(self) -> tuple[str, ...]:
        return (*ResearchPlan.model_fields, *ResearchPlan.model_computed_fields)

    def items(self) -> Iterator[tuple[str, Any]]:
        return ((key, self[key]) for key in self.keys())

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        return getattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in self.keys()


class PlanningAgent:
    """Makes plans by rules. ``config`` are keys of planning.yaml, nested as they stand there.

    Those of its section ``planning`` may also stand at the top: ``{"max_parallel_tasks": 2}``. A
    risk profile may say otherwise, as in the file. ``llm`` must be None: the planner uses none.
    Raises :class:`ConfigurationError`.
    """

    def __init__(
        self,
        llm: object | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        config_dir: str | Path | None = None,
    ) -> None:
        if llm is not None:
            raise ConfigurationError(
                "the planner works by rules and uses no language model", advice="leave llm out"
            )
        if config is not None and not isinstance(config, Mapping):
            raise ConfigurationError(f"config is a mapping of keys, not {type(config).__name__}")
        self.settings: Final[Settings] = settings_with(
            read_settings(config_dir, ()), config or {}, "config"
        )

    async def create_plan(
        self,
        symbol: str,
        decision_context: Mapping[str, Any] | None = None,
        risk_profile: str | None = None,
    ) -> MappedPlan:
        """The plan for one question; nothing runs.

        ``decision_context`` may hold ``width``, ``include_optional``, ``max_cost_usd``,
        ``deadline_seconds`` and ``watchlist``, which overrule the configuration, and ``market``, a
        mapping of what is known of the market (fields of ``MarketContext``; ``observed_at`` is now
        where it is left out), which the priority rules go by. Other keys change nothing, and
        ``plan.notes`` says so; one that is nearly a known key is an error. Estimates are
        static: an agent knows no earlier runs.

        Raises a planning error or :class:`ConfigurationError`.
        """
        context = dict(decision_context or {})
        unused = [key for key in context if key not in CONTEXT_KEYS]
        for key in unused:
            if get_close_matches(str(key), CONTEXT_KEYS, n=1, cutoff=_TYPO_CUTOFF):
                raise UnknownKeyError(str(key), "decision_context", CONTEXT_KEYS)
        policy = self.settings.planning
        request = make_request(
            symbol,
            policy.default_profile if risk_profile is None else risk_profile,
            DataOptions(DataMode.LIVE),
            **{key: context[key] for key in context if key in CONTEXT_KEYS},
        )
        plan = MappedPlan.of(create_plan(request, policy, self.settings.catalog, clock.now()))
        if not unused:
            return plan
        note = f"not used by the planner: decision_context {', '.join(sorted(map(str, unused)))}"
        return plan.model_copy(update={"notes": (*plan.notes, note)})
