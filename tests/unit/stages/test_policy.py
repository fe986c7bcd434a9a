"""decision.yaml: complete, checked, and free of keys that nothing reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from sigmax_tasks.models.policy import DecisionPolicy
from tests.unit.stages.builders import SHIPPED, policy, shipped_policy

ROOT = Path(__file__).resolve().parents[3]


def test_every_knob_is_in_the_shipped_file() -> None:
    """Nothing rests on a default that the file does not show."""
    shown = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    assert paths(shipped_policy().model_dump(mode="json")) == paths(shown)


def paths(value: object, prefix: str = "") -> set[str]:
    if isinstance(value, dict) and value:
        return {p for key, item in value.items() for p in paths(item, f"{prefix}.{key}")}
    return {prefix}


def fields(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    seen.add(model)
    for name, field in model.model_fields.items():
        yield name
        for inner in nested(field.annotation):
            if inner not in seen:
                yield from fields(inner, seen)


def nested(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from nested(inner)


def test_every_knob_is_read_by_a_stage_by_the_model_or_by_the_policy_itself() -> None:
    package = ROOT / "sigmax_tasks"
    files = [
        *(package / "stages").glob("*.py"),
        *(package / "llm").glob("*.py"),
        package / "models" / "policy.py",
        package / "debates.py",
    ]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    priorities = {"CRITICAL", "HIGH", "MEDIUM", "LOW"}  # read by value in ByPriority.of
    for name in set(fields(DecisionPolicy, set())) - priorities:
        assert re.search(rf"\.{name}\b", code), f"nothing reads {name}"


def test_every_knob_is_documented_in_the_file() -> None:
    """A comment stands above each key or the run of keys it is in; profile keys have a list."""
    text = SHIPPED.read_text(encoding="utf-8")
    for name in shipped_policy().profile("balanced").model_dump():
        assert re.search(rf"#\s+{name}\b", text), f"profile key {name} is not explained"
    lines = text.partition("\nprofiles:")[0].splitlines()
    for number, line in enumerate(lines):
        if re.match(r"  \w+:", line):
            above = [*lines[:number]]
            while above and re.match(r"  \w+:", above[-1]):
                above.pop()
            assert above[-1].lstrip().startswith("#"), f"not explained: {line}"


@pytest.mark.parametrize("name", ["conservative", "balanced", "aggressive"])
def test_the_profiles_have_the_thresholds_and_caps_that_were_promised(name: str) -> None:
    limits = shipped_policy().profile(name)
    promised = {"conservative": (0.8, 0.10), "balanced": (0.7, 0.15), "aggressive": (0.6, 0.25)}
    assert (limits.validation_threshold, limits.size_cap_fraction) == promised[name]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"validation__shares__coverage": 0.3}, "must add up to 1"),
        ({"risk__min_stop_fraction": 0.5}, "must not exceed"),
        ({"profiles__balanced__reward_risk": 7.0}, "price below 0"),
        ({"debate__prior": 0.0}, "greater than 0"),
        ({"risk__inputs__price": "last_close"}, "pattern"),
        ({"validation__age_limits_minutes": {"a/b/c/d": 5}}, "pattern"),
        ({"validation__age_limits_minutes": {"news": float("nan")}}, "finite"),
        ({"profiles": {}}, "at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        policy(**changes)


def test_an_unknown_key_is_refused() -> None:
    data = shipped_policy().model_dump()
    data["debate"]["round"] = 3
    with pytest.raises(ValidationError, match="Extra inputs"):
        DecisionPolicy.model_validate(data)
