"""Where configuration values come from: shipped YAML, a folder, the environment, --set."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sigmax_tasks.errors import ConfigurationError, UnknownKeyError
from sigmax_tasks.places import choose_folder, shipped_folder
from sigmax_tasks.redact import redact_url, shown_value

FILES = ("planning", "tasks", "sources", "decision", "schedule", "runtime")
PREFIXED = ("decision",)
"""Files whose keys stand under the name of the file: ``decision.validation.weights``."""
MAX_FILE_BYTES = 1_000_000
Tree = dict[str, Any]

_FastLoader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_FastLoader):  # type: ignore[misc]  # the C loader exists only where built
    """Safe loader that refuses a key written twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


@dataclass(frozen=True)
class Layers:
    """The effective values and where each came from, by dotted key."""

    tree: Tree
    origins: dict[str, str]
    folder: Path


def read_layers(
    explicit: Path | None, overrides: Sequence[str], environ: Mapping[str, str]
) -> Layers:
    """Shipped values, then the folder's, then the environment, then ``KEY=VALUE`` overrides."""
    shipped = shipped_folder()
    folder = choose_folder(explicit, environ)
    tree: Tree = {}
    origins: dict[str, str] = {}
    homes: dict[str, frozenset[str]] = {}
    for name in FILES:
        values = _read_yaml(shipped / f"{name}.yaml")
        homes[name] = frozenset(values)
        if name in PREFIXED:
            values = {name: values}
        _merge(tree, values, "", "shipped", origins)
    if folder.resolve() != shipped.resolve():
        for name in FILES:
            path = folder / f"{name}.yaml"
            if path.is_file():
                values = _read_yaml(path)
                for key in values:
                    if key not in homes[name]:
                        raise UnknownKeyError(str(key), str(path), homes[name])
                if name in PREFIXED:
                    values = {name: values}
                _merge(tree, values, "", str(path), origins)
    _read_environment(tree, environ, origins)
    apply_overrides(tree, overrides, origins)
    return Layers(tree, origins, folder)


def apply_overrides(tree: Tree, overrides: Sequence[str], origins: dict[str, str]) -> None:
    """Write ``KEY=VALUE`` overrides into a tree and their origin beside it."""
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key.strip():
            raise ConfigurationError(
                f"--set {redact_url(repr(override))} is not KEY=VALUE",
                advice="write it like --set task_execution.max_retries=3",
            )
        _assign(tree, key.strip(), text, "--set", origins)


def _read_environment(tree: Tree, environ: Mapping[str, str], origins: dict[str, str]) -> None:
    """``SIGMAX_A__B=value`` sets ``a.b``; the broker and verbosity have names of their own."""
    for variable, text in sorted(environ.items()):
        if variable.startswith("SIGMAX_") and "__" in variable:
            key = variable.removeprefix("SIGMAX_").lower().replace("__", ".")
            _assign(tree, key, text, f"environment {variable}", origins)
    for variable in ("CELERY_BROKER_URL", "SIGMAX_BROKER_URL"):
        if environ.get(variable):
            _assign_value(tree, "broker.url", environ[variable], f"environment {variable}", origins)
    if environ.get("VERBOSE_PLANNING", "").lower() in {"1", "true", "yes", "on"}:
        origin = "environment VERBOSE_PLANNING"
        _assign_value(tree, "features.verbose_planning", True, origin, origins)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every leaf; an empty mapping is a leaf."""
    for key, value in tree.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{dotted}.")
        else:
            yield dotted, value


def _read_yaml(path: Path) -> Tree:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        values = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506  # safe
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not valid YAML: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: a mapping of keys to values is expected")
    return {str(key): value for key, value in values.items()}


def _merge(
    tree: Tree, values: Mapping[str, Any], prefix: str, origin: str, origins: dict[str, str]
) -> None:
    for key, value in values.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping):
            child = tree.get(key)
            if not isinstance(child, dict):
                child = tree[key] = {}
            if value:
                _merge(child, value, f"{dotted}.", origin, origins)
            else:
                origins.setdefault(dotted, origin)
        else:
            tree[key] = value
            origins[dotted] = origin


def _assign(tree: Tree, key: str, text: str, origin: str, origins: dict[str, str]) -> None:
    try:
        value = yaml.load(text, _StrictLoader)  # noqa: S506  # a safe loader
    except yaml.YAMLError as error:
        raise ConfigurationError(
            f"{origin}: {key}={shown_value(key, text)} is not a YAML value"
        ) from error
    _assign_value(tree, key, value, origin, origins)


def _assign_value(tree: Tree, key: str, value: Any, origin: str, origins: dict[str, str]) -> None:
    *parents, last = key.split(".")
    node: Any = tree
    for depth, part in enumerate(parents):
        if not isinstance(node, dict) or part not in node:
            known = node if isinstance(node, dict) else ()
            raise UnknownKeyError(".".join(parents[: depth + 1]), origin, map(str, known))
        node = node[part]
    if not isinstance(node, dict):
        raise UnknownKeyError(key, origin, [".".join(parents)])
    node[last] = value
    origins[key] = origin


def environment() -> Mapping[str, str]:
    """The process environment; one place, so that tests can pass another."""
    return os.environ
