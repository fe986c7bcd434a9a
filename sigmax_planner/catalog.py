"""The catalogue of research tasks, from the content of tasks.yaml.

Two mappings of task id to entry: ``tasks`` (ours) and ``additional_tasks`` (the user's own, the
same fields, which also may be a list of entries that carry their ``task_id``). Wrong types, bounds
and keys raise pydantic's ``ValidationError``; names and dependencies raise a
:class:`PlanningError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field

from sigmax_planner.errors import DuplicateTaskError, UnknownNameError
from sigmax_planner.graph import TaskGraph
from sigmax_planner.models import (
    Message,
    Seconds,
    TaskId,
    TaskPriority,
    TaskTemplate,
    UsdAmount,
)


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class TaskEntry(Message):
    """One task as written in tasks.yaml; ``timeout`` in seconds, ``cost`` in USD."""

    name: str = Field(default="", max_length=60)
    priority: Annotated[TaskPriority, BeforeValidator(_upper)]
    data_sources: tuple[str, ...] = Field(min_length=1)
    dependencies: tuple[str, ...] = ()
    timeout: Seconds
    cost: UsdAmount
    optional: bool = False
    in_every_profile: bool = True
    feature: str | None = None
    handler: str = Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")

    def template(self, task_id: str) -> TaskTemplate:
        """The timeout is the estimate at first, and the limit."""
        return TaskTemplate(
            task_id=task_id,
            name=self.name.strip() or task_id.replace("_", " ").title(),
            priority=self.priority,
            data_sources=tuple(dict.fromkeys(self.data_sources)),
            dependencies=tuple(dict.fromkeys(self.dependencies)),
            timeout_seconds=self.timeout,
            estimated_seconds=self.timeout,
            estimated_cost_usd=self.cost,
            optional=self.optional,
            in_every_profile=self.in_every_profile,
            feature=self.feature,
            handler=self.handler,
        )


def _by_task_id(value: object) -> object:
    """A list of entries with their ``task_id`` becomes a mapping; None is no entries."""
    if value is None:
        return {}
    if not isinstance(value, list | tuple):
        return value
    entries: dict[object, dict[str, Any]] = {}
    for entry in value:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("task_id"), str):
            raise ValueError("an entry of the list has no task_id")  # noqa: TRY004  # as pydantic
        fields = dict(entry)
        task_id = fields.pop("task_id")
        if task_id in entries:
            raise DuplicateTaskError([task_id])
        entries[task_id] = fields
    return entries


Entries = Annotated[dict[TaskId, TaskEntry], BeforeValidator(_by_task_id)]


class TaskFile(Message):
    """The content of tasks.yaml."""

    tasks: Entries = Field(min_length=1)
    additional_tasks: Entries = Field(default_factory=dict)


@dataclass(frozen=True)
class Catalog:
    """Checked task templates, in the order of the file. Hand-made ones go through :meth:`of`."""

    templates: tuple[TaskTemplate, ...]

    @classmethod
    def from_mapping(cls, content: Mapping[str, Any], *, data_sources: Iterable[str]) -> Self:
        """Check the content of tasks.yaml against the names of the configured data sources."""
        file = TaskFile.model_validate(dict(content))
        taken = [task_id for task_id in file.additional_tasks if task_id in file.tasks]
        if taken:
            raise DuplicateTaskError(taken)
        entries = {**file.tasks, **file.additional_tasks}
        return cls.of(
            [entry.template(task_id) for task_id, entry in entries.items()],
            data_sources=data_sources,
        )

    @classmethod
    def of(
        cls, templates: Sequence[TaskTemplate], *, data_sources: Iterable[str] | None = None
    ) -> Self:
        """Check templates; ``data_sources`` None takes any name of a data source.

        Raises :class:`DuplicateTaskError`, :class:`UnknownDependencyError`,
        :class:`DependencyCycleError` or :class:`UnknownNameError`.
        """
        catalog = cls(tuple(templates))
        _ = catalog.graph
        if data_sources is not None:
            known = frozenset(data_sources)
            for template in catalog.templates:
                for source in template.data_sources:
                    if source not in known:
                        kind = f"data source of task {template.task_id!r}:"
                        raise UnknownNameError(kind, source, known)
        return catalog

    @cached_property
    def by_id(self) -> Mapping[str, TaskTemplate]:
        return {template.task_id: template for template in self.templates}

    @cached_property
    def graph(self) -> TaskGraph:
        return TaskGraph.of(self.templates)

    def check_task_ids(self, task_ids: Iterable[str], where: str) -> None:
        """Raises :class:`UnknownNameError`; ``where`` is the configuration key they stand in."""
        for task_id in task_ids:
            if task_id not in self.by_id:
                raise UnknownNameError(f"task in {where}:", task_id, self.by_id)

    def with_templates(self, templates: tuple[TaskTemplate, ...]) -> Catalog:
        """The same tasks with other figures or priorities; ids and dependencies must not differ."""
        return Catalog(templates)

    def adjusted(
        self, *, timeouts: Mapping[str, float], cost_estimates: Mapping[str, Decimal]
    ) -> Catalog:
        """Other seconds (the limit and the estimate) and USD for the tasks named.

        Raises :class:`UnknownNameError` for a task that is not in the catalogue.
        """
        self.check_task_ids(timeouts, "planning.timeouts")
        self.check_task_ids(cost_estimates, "planning.cost_estimates")
        if not timeouts and not cost_estimates:
            return self
        return Catalog(
            tuple(
                template.model_copy(
                    update={
                        "timeout_seconds": timeouts.get(task_id, template.timeout_seconds),
                        "estimated_seconds": timeouts.get(task_id, template.estimated_seconds),
                        "estimated_cost_usd": cost_estimates.get(
                            task_id, template.estimated_cost_usd
                        ),
                    }
                )
                for task_id, template in self.by_id.items()
            )
        )
