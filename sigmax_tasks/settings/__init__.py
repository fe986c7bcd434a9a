"""Configuration, validated once into frozen objects."""

from __future__ import annotations

import hashlib
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sigmax_planner.catalog import Catalog, TaskFile
from sigmax_planner.planner import check_names
from sigmax_planner.policy import PlanningPolicy
from sigmax_tasks.errors import ConfigurationError, UnknownKeyError
from sigmax_tasks.models.policy import DecisionPolicy
from sigmax_tasks.redact import redact_url, shown_value
from sigmax_tasks.settings.layers import apply_overrides, environment, read_layers
from sigmax_tasks.settings.runtime import RuntimeSettings
from sigmax_tasks.settings.schedule import ScheduleSettings
from sigmax_tasks.settings.sources import SourceSettings

_Model = TypeVar("_Model", bound=BaseModel)

_CATALOG_KEYS = {"tasks", "additional_tasks"}
_OF_THE_RUN = "the settings of the run"
_SECTION_KEYS = {*_CATALOG_KEYS, "decision"}


@dataclass(frozen=True)
class Settings:
    """All settings of a run. Built from a tree of plain values, see :meth:`from_tree`."""

    planning: PlanningPolicy
    catalog: Catalog
    sources: SourceSettings
    decision: DecisionPolicy
    schedule: ScheduleSettings
    runtime: RuntimeSettings
    tree: dict[str, Any]

    @classmethod
    def from_tree(
        cls, tree: Mapping[str, Any], origins: Mapping[str, str] | None = None
    ) -> Settings:
        """Check the effective values; the first problem is a :class:`ConfigurationError`."""
        origins = origins or {}
        left = set(tree)
        parts: dict[str, Any] = {}
        models: tuple[tuple[str, type[BaseModel]], ...] = (
            ("planning", PlanningPolicy),
            ("sources", SourceSettings),
            ("schedule", ScheduleSettings),
            ("runtime", RuntimeSettings),
        )
        for name, model in models:
            keys = [key for key in tree if key in model.model_fields]
            left.difference_update(keys)
            parts[name] = _validate(model, {key: tree[key] for key in keys}, origins)
        try:
            parts["decision"] = DecisionPolicy.model_validate(tree.get("decision", {}))
        except ValidationError as error:
            raise _problem(error, DecisionPolicy, origins, prefix=("decision",)) from error
        left -= _SECTION_KEYS
        if left:
            known = set().union(*(model.model_fields for _, model in models)) | _SECTION_KEYS
            key = min(left)
            raise UnknownKeyError(key, origins.get(key, "the configuration"), known)
        try:
            catalog = Catalog.from_mapping(
                {key: tree[key] for key in _CATALOG_KEYS if key in tree},
                data_sources=parts["sources"].data_sources,
            )
        except ValidationError as error:
            raise _problem(error, TaskFile, origins) from error
        check_names(parts["planning"], catalog)
        return cls(catalog=catalog, tree=dict(tree), **parts)

    @cached_property
    def snapshot(self) -> str:
        """Canonical JSON of all that shapes a decision; where, when and how it runs is left out."""
        left_out = {*RuntimeSettings.model_fields, *ScheduleSettings.model_fields} - {"engine"}
        kept = {key: value for key, value in self.tree.items() if key not in left_out}
        return json.dumps(kept, sort_keys=True, separators=(",", ":"))

    @cached_property
    def snapshot_hash(self) -> str:
        return hashlib.sha256(self.snapshot.encode()).hexdigest()

    def with_snapshot(self, snapshot: str) -> Settings:
        """These settings with the values of another's snapshot on top: a run's own settings."""
        return Settings.from_tree({**self.tree, **json.loads(snapshot)})


@dataclass(frozen=True)
class DecidingSettings:
    """The part of a run's settings that its decision rests on; its research needs the rest too."""

    planning: PlanningPolicy
    decision: DecisionPolicy

    @classmethod
    def from_snapshot(cls, snapshot: str, overrides: Sequence[str] = ()) -> DecidingSettings:
        """The settings of :attr:`Settings.snapshot` with ``KEY=VALUE`` overrides on top.

        What a snapshot of an older version lacks has its default. Raises
        :class:`ConfigurationError`, also for an override that no decision rests on.
        """
        tree = json.loads(snapshot)
        mine = {
            key: value
            for key, value in tree.items()
            if key in PlanningPolicy.model_fields or key == "decision"
        }
        origins = dict.fromkeys(("decision", *PlanningPolicy.model_fields), _OF_THE_RUN)
        for override in overrides:
            section = override.partition("=")[0].strip().partition(".")[0]
            if section in tree and section not in mine:
                raise ConfigurationError(
                    f"--set {redact_url(repr(override))}: no decision rests on {section}",
                    advice=f"known here are {', '.join(sorted(mine))}",
                )
        apply_overrides(mine, overrides, origins)
        policy = mine.pop("decision", {})
        try:
            decision = DecisionPolicy.model_validate(policy)
        except ValidationError as error:
            raise _problem(error, DecisionPolicy, origins, prefix=("decision",)) from error
        return cls(_validate(PlanningPolicy, mine, origins), decision)


@dataclass(frozen=True)
class LoadedSettings:
    """Settings with the origin of each dotted key."""

    settings: Settings
    origins: dict[str, str]
    folder: Path

    @property
    def tree(self) -> dict[str, Any]:
        return self.settings.tree


def load_settings(
    config_dir: Path | None = None,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> LoadedSettings:
    """Read, merge and check the configuration; any problem is a :class:`ConfigurationError`."""
    layers = read_layers(config_dir, overrides, environment() if environ is None else environ)
    settings = Settings.from_tree(layers.tree, layers.origins)
    # Not part of from_tree: a run brings profiles of its own to a worker, its schedule stays here.
    settings.schedule.check_profiles(tuple(settings.planning.profiles))
    return LoadedSettings(settings, layers.origins, layers.folder)


def _validate(model: type[_Model], values: Mapping[str, Any], origins: Mapping[str, str]) -> _Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _problem(error, model, origins) from error


def _problem(
    error: ValidationError,
    model: type[BaseModel],
    origins: Mapping[str, str],
    prefix: tuple[str, ...] = (),
) -> ConfigurationError:
    """The first problem of a validation as one clear line."""
    first = error.errors(include_url=False)[0]
    location = first["loc"]
    dotted = ".".join(str(part) for part in (*prefix, *location))
    where = _origin(dotted, origins)
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, location[:-1])
        return UnknownKeyError(dotted, where, _prefixed(known, (*prefix, *location[:-1])))
    shown = (
        ""
        if isinstance(first.get("input"), dict)
        else f" (got {shown_value(dotted, first.get('input'))})"
    )
    return ConfigurationError(f"{where}: {dotted}: {first['msg']}{shown}")


def _origin(dotted: str, origins: Mapping[str, str]) -> str:
    while dotted:
        if dotted in origins:
            return origins[dotted]
        for key, origin in origins.items():
            if key.startswith(dotted + ".") and origin != "shipped":
                return origin
        dotted = dotted.rpartition(".")[0]
    return "the configuration"


def _prefixed(names: Sequence[str], location: tuple[int | str, ...]) -> list[str]:
    prefix = "".join(f"{part}." for part in location)
    return [prefix + name for name in names]


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Field names of the model that stands at ``location`` inside ``model``."""
    annotation: Any = model
    for part in location:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(part))
            annotation = field.annotation if field is not None else None
        else:
            annotation = next(iter(_models_in(annotation)), None)
    found = next(iter(_models_in(annotation)), None)
    return list(found.model_fields) if found is not None else []


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in typing.get_args(annotation) for found in _models_in(part)]
