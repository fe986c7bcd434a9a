"""Can a model be asked from this machine? Without asking it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.models.policy import DebatePolicy


def check_key(policy: DebatePolicy, environ: Mapping[str, str] | None = None) -> None:
    """Raise :class:`ConfigurationError` where a model is to debate and its key is not there."""
    env = os.environ if environ is None else environ
    name = policy.llm.api_key_env
    if policy.method == "llm" and name and not env.get(name, "").strip():
        raise ConfigurationError(
            f"decision.debate.llm.api_key_env: the environment variable {name} is not set",
            advice="set it to the key of the endpoint, or api_key_env to null for one without",
        )


def readiness_line(policy: DebatePolicy) -> str:
    """Who holds the debate, in words."""
    llm = policy.llm
    if policy.method == "rules":
        return "debate: by rules"
    key = f"key from {llm.api_key_env}" if llm.api_key_env else "no key"
    return f"debate: by {llm.model} at {llm.base_url} ({key}), else by rules"
