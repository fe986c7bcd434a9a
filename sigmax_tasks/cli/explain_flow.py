"""What ``sigmax config explain`` says of one key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from sigmax_planner.catalog import TaskFile
from sigmax_planner.policy import PlanningPolicy
from sigmax_tasks.cli.config_flow import EffectiveValue, effective_values
from sigmax_tasks.models.policy import DecisionPolicy
from sigmax_tasks.settings import LoadedSettings
from sigmax_tasks.settings.documentation import KeyNote, key_notes
from sigmax_tasks.settings.layers import read_layers
from sigmax_tasks.settings.runtime import RuntimeSettings
from sigmax_tasks.settings.schedule import ScheduleSettings
from sigmax_tasks.settings.sources import SourceSettings

_BROKER_KEY = "broker.url"
_MODELS: tuple[type[BaseModel], ...] = (
    PlanningPolicy,
    TaskFile,
    SourceSettings,
    ScheduleSettings,
    RuntimeSettings,
)
_BOUNDS = {
    "exclusiveMinimum": "above",
    "minimum": "at least",
    "exclusiveMaximum": "below",
    "maximum": "at most",
    "minLength": "at least as many characters:",
    "maxLength": "at most as many characters:",
    "minItems": "at least as many entries:",
    "maxItems": "at most as many entries:",
    "pattern": "like",
}
_PLAIN = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "array": "list",
    "object": "section",
    "null": "null",
}


@dataclass(frozen=True)
class Explanation:
    """Everything about a key. ``variable`` is empty where the environment cannot name it."""

    key: str
    comment: str
    place: str
    kind: str
    default: tuple[EffectiveValue, ...]
    values: tuple[EffectiveValue, ...]
    variable: str


def explain(loaded: LoadedSettings, key: str) -> Explanation:
    """:class:`UnknownKeyError` for a key that does not exist."""
    values = effective_values(loaded, key)
    shipped = {value.key: value for value in _shipped()}
    note = _note(key)
    return Explanation(
        key=key,
        comment=note.comment if note is not None else "",
        place=f"{note.file.name}, line {note.line}" if note is not None else "",
        kind=_kind(key) or _of_value(values, key),
        default=tuple(shipped[v.key] for v in values if v.key in shipped),
        values=values,
        variable=_variable(key, single=len(values) == 1 and values[0].key == key),
    )


def _shipped() -> tuple[EffectiveValue, ...]:
    from sigmax_tasks.settings import Settings  # beside the loader, as here nothing is loaded

    layers = read_layers(None, (), {"SIGMAX_CONFIG_DIR": ""})
    settings = Settings.from_tree(layers.tree, layers.origins)
    return effective_values(LoadedSettings(settings, layers.origins, layers.folder), None)


def _note(key: str) -> KeyNote | None:
    """That of the key, or of the nearest section around it that is documented."""
    notes = {note.key: note for note in key_notes()}
    while key:
        if key in notes and notes[key].comment:
            return notes[key]
        key = key.rpartition(".")[0]
    return None


def _variable(key: str, *, single: bool) -> str:
    if not single or key != key.lower() or "." not in key:
        return ""
    name = f"SIGMAX_{key.upper().replace('.', '__')}"
    return f"SIGMAX_BROKER_URL, {name}" if key == _BROKER_KEY else name


def _kind(key: str) -> str:
    """The type in words, from the settings model."""
    first, *rest = key.split(".")
    if first == "decision":
        return _described(_at(DecisionPolicy.model_json_schema(), rest))
    for model in _MODELS:
        if first in model.model_fields:
            return _described(_at(model.model_json_schema(), [first, *rest]))
    return ""


def _of_value(values: tuple[EffectiveValue, ...], key: str) -> str:
    """Where no model tells: what stands there."""
    if len(values) != 1 or values[0].key != key:
        return "section"
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return _PLAIN.get(names.get(type(values[0].value), ""), "")


def _at(schema: Mapping[str, Any], path: list[str]) -> dict[str, Any]:
    """The JSON schema of what stands at ``path``; empty where it is not told."""
    definitions = schema.get("$defs", {})

    def resolved(node: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(node)
        while "$ref" in found:
            name = found.pop("$ref").rpartition("/")[2]
            found = {**definitions.get(name, {}), **found}
        return found

    node = resolved(schema)
    for part in path:
        choices = [node, *map(resolved, node.get("anyOf", ()))]
        for choice in choices:
            inner = choice.get("properties", {}).get(part) or choice.get("additionalProperties")
            if isinstance(inner, dict):
                node = resolved(inner)
                break
        else:
            return {}
    if "anyOf" in node:
        node["anyOf"] = [resolved(each) for each in node["anyOf"]]
    if isinstance(node.get("items"), dict):
        node["items"] = resolved(node["items"])
    return node


def _described(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(filter(None, map(_described, schema["anyOf"]))))
    if "enum" in schema:
        return "one of " + ", ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    words = _PLAIN.get(str(schema.get("type", "")), "")
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        of = _described(schema["items"])
        words = f"list of: {of}" if of else words
    bounds = [f"{word} {schema[name]:}" for name, word in _BOUNDS.items() if name in schema]
    return ", ".join([words, *bounds]) if words else ""
