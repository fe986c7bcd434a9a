"""Faults to inject, by provider: described as data, decided by seeded chance.

A plan in JSON: ``{"seed": 7, "providers": {"kraken": [{"kind": "rate429", "first": 2}]}}``; the
provider ``*`` stands for every one. Each fault fires with its `probability` (1 by default), only
among the `first` requests of its provider when that is given, and only for paths that contain
`path`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from hashlib import blake2b
from math import isfinite
from typing import Any, Final

KINDS: Final = (
    "latency",
    "rate429",
    "error",
    "cut",
    "malformed",
    "html_200",
    "oversized",
    "hang",
    "down",
    "geo_block",
    "quota",
)
_MOST_RULES: Final = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule. The fields after `path` matter only to the kind named beside them."""

    kind: str
    probability: float = 1.0
    first: int | None = None
    path: str = ""
    seconds: float = 0.0  # latency: delay; hang: longest wait (0: until the client leaves)
    jitter: float = 0.0  # latency: up to this much more
    retry_after: float = 1.0  # rate429, quota: the Retry-After header, seconds
    status: int = 503  # error
    megabytes: float = 64.0  # oversized
    per_second: float = 0.0  # quota: requests answered in any one second

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            close = get_close_matches(str(self.kind), KINDS, 1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(KINDS)}"
            raise ValueError(f"unknown fault {self.kind!r}{hint}")
        numbers = (self.probability, self.seconds, self.jitter, self.retry_after, self.megabytes)
        for value in (*numbers, self.per_second):
            if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
                raise ValueError(f"fault {self.kind!r}: {value!r} is not a number")
            if value < 0:
                raise ValueError(f"fault {self.kind!r}: {value!r} is negative")
        if self.probability > 1:
            raise ValueError(f"fault {self.kind!r}: a probability is at most 1")
        if self.first is not None and (type(self.first) is not int or self.first < 0):
            raise ValueError(f"fault {self.kind!r}: 'first' must be a whole number, 0 or more")
        if type(self.status) is not int or not 500 <= self.status <= 599:
            raise ValueError(f"fault {self.kind!r}: 'status' must be from 500 to 599")
        if self.megabytes > 1024:
            raise ValueError(f"fault {self.kind!r}: 'megabytes' is at most 1024")
        if not isinstance(self.path, str):
            raise ValueError(f"fault {self.kind!r}: 'path' must be text")  # noqa: TRY004 - one error for a bad plan
        if self.kind == "quota" and self.per_second <= 0:
            raise ValueError("fault 'quota' needs 'per_second' above 0")


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one request: wait, then at most one fault."""

    delay_seconds: float = 0.0
    fault: Fault | None = None
    draw: float = 0.0


def parse_plan(plan: Mapping[str, Any]) -> tuple[int, dict[str, tuple[Fault, ...]]]:
    """Seed and rules of a plan; ValueError, in one sentence, for anything unknown in it."""
    if not isinstance(plan, Mapping):
        raise ValueError("a fault plan is a JSON object")  # noqa: TRY004 - one error for a bad plan
    unknown = set(plan) - {"seed", "providers"}
    if unknown:
        raise ValueError(f"unknown key {min(unknown)!r} in a fault plan; known: seed, providers")
    seed = plan.get("seed", 0)
    if type(seed) is not int:
        raise ValueError("the seed of a fault plan must be a whole number")
    providers = plan.get("providers", {})
    if not isinstance(providers, Mapping):
        raise ValueError(  # noqa: TRY004 - one error for a bad plan
            "'providers' of a fault plan must map provider ids to lists of faults"
        )
    return seed, {str(name): _rules(str(name), rules) for name, rules in providers.items()}


def _rules(provider: str, rules: Any) -> tuple[Fault, ...]:
    if not isinstance(rules, Iterable) or isinstance(rules, str | Mapping):
        raise ValueError(  # noqa: TRY004 - one error for a bad plan
            f"the faults of {provider!r} must be a list"
        )
    found = []
    known = {field.name for field in fields(Fault)}
    for rule in rules:
        if not isinstance(rule, Mapping) or "kind" not in rule:
            raise ValueError(f"a fault of {provider!r} must be an object with a 'kind'")
        unknown = set(rule) - known
        if unknown:
            raise ValueError(f"unknown key {min(unknown)!r} in a fault of {provider!r}")
        found.append(Fault(**rule))
        if len(found) > _MOST_RULES:
            raise ValueError(f"more than {_MOST_RULES} faults for {provider!r}")
    return tuple(found)


class FaultPlan:
    """The rules in force and how often each provider was asked. Safe for threads."""

    def __init__(self, plan: Mapping[str, Any] | None = None) -> None:
        self._lock = threading.Lock()
        self.replace(plan or {})

    def replace(self, plan: Mapping[str, Any]) -> None:
        """Put a new plan in force and count from zero again; ValueError leaves the old one."""
        seed, rules = parse_plan(plan)
        with self._lock:
            self._seed, self._rules = seed, rules
            self._asked: dict[str, int] = {}
            self._recent: dict[tuple[str, int], list[float]] = {}

    def describe(self) -> dict[str, Any]:
        with self._lock:
            rules = {name: [asdict(rule) for rule in found] for name, found in self._rules.items()}
            return {"seed": self._seed, "providers": rules}

    def decide(self, provider: str, path: str, now_seconds: float) -> Decision:
        """Count a request and say what happens to it. `now_seconds` is any rising clock."""
        with self._lock:
            rules = self._rules.get(provider, ()) + self._rules.get("*", ())
            number = self._asked.get(provider, 0)
            self._asked[provider] = number + 1
            delay, chosen, chance = 0.0, None, 0.0
            for order, rule in enumerate(rules):
                if rule.path not in path:
                    continue
                if rule.first is not None and number >= rule.first:
                    continue
                draw = self._draw(provider, number, order)
                if draw >= rule.probability:
                    continue
                if rule.kind == "latency":
                    again = self._draw(provider, number, order + 1_000)
                    delay += rule.seconds + rule.jitter * again
                elif chosen is None and self._applies(rule, provider, order, now_seconds):
                    chosen, chance = rule, draw
            return Decision(delay, chosen, chance)

    def _applies(self, rule: Fault, provider: str, order: int, now_seconds: float) -> bool:
        if rule.kind != "quota":
            return True
        recent = self._recent.setdefault((provider, order), [])
        recent[:] = [moment for moment in recent if moment > now_seconds - 1.0]
        if len(recent) >= rule.per_second:
            return True
        recent.append(now_seconds)
        return False

    def _draw(self, provider: str, number: int, order: int) -> float:
        text = f"{self._seed}|{provider}|{number}|{order}"
        digest = blake2b(text.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2.0**64
