"""Is what is installed what constraints.txt says? ``python -m tests.lint.dependencies``.

Every installed distribution must be pinned there at its version, every pin must be exact, and
every dependency of pyproject.toml must have a lower bound. It needs no network.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
UNPINNED = frozenset({"pip", "setuptools", "wheel", "sigmax-tasks"})
"""What a virtual environment brings by itself, and ourselves."""


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def problems(
    constraints: str, installed: Mapping[str, str], requirements: Iterable[str]
) -> list[str]:
    """One sentence per problem; ``installed`` is normalized name -> version."""
    found = []
    pins: dict[str, str] = {}
    for line in constraints.splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = re.fullmatch(r"([\w.-]+)==([\w.!+-]+)(\s*;.*)?", text)
        if match is None:
            found.append(f"constraints.txt: {text!r} is not an exact pin")
        else:
            pins[normalized(match[1])] = match[2]
    for name, version in sorted(installed.items()):
        if name in UNPINNED:
            continue
        if name not in pins:
            found.append(f"{name} {version} is installed and not pinned in constraints.txt")
        elif pins[name] != version:
            found.append(f"{name} {version} is installed, constraints.txt has {pins[name]}")
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        if name is None or ">=" not in requirement:
            found.append(f"pyproject.toml: {requirement!r} has no lower bound")
        elif normalized(name[0]) not in pins:
            found.append(f"pyproject.toml: {name[0]} is not pinned in constraints.txt")
    return found


def main() -> int:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    optional = project.get("optional-dependencies", {}).values()
    found = problems(
        (REPO / "constraints.txt").read_text(),
        {normalized(d.metadata["Name"]): d.version for d in distributions()},
        [*project["dependencies"], *(line for group in optional for line in group)],
    )
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
