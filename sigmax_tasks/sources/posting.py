"""Questions sent as a JSON body: JSON-RPC nodes and Hyperliquid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sigmax_tasks.errors import (
    PermanentSourceError,
    RateLimitedError,
    TransientSourceError,
    WrongQuestionError,
)
from sigmax_tasks.sources.call import Call

_NOT_UNDERSTOOD = frozenset({-32600, -32601, -32602})
_TOO_MANY = frozenset({-32005, -32016, -32029, 429})
_INTERNAL = -32603


def post_json(call: Call, path: str, question: Mapping[str, Any]) -> Any:
    """The parsed answer to ``question``; the answer is remembered for the lineage.

    The endpoint of the lineage shows the question's values behind the path.
    """
    shown = "&".join(
        f"{name}={value if isinstance(value, str | int) else json.dumps(value)}"
        for name, value in question.items()
    )
    answer = call.http.exchange(
        call.budget,
        "POST",
        call.base_url + path,
        endpoint=f"{path}?{shown}",
        headers={"Content-Type": "application/json"},
        data=json.dumps(question, separators=(",", ":")).encode(),
    )
    call.answers.append(answer)
    return answer.json()


def ask_rpc(call: Call, method: str, parameters: list[Any]) -> Any:
    """``result`` of a JSON-RPC 2.0 answer; its errors come in the body, with status 200."""
    question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    answer = post_json(call, "/", question)
    if not isinstance(answer, dict):
        raise call.bad(f"{method}: not a JSON-RPC answer")
    error = answer.get("error")
    if error is not None:
        raise_rpc_error(call, method, error)
    if answer.get("result") is None:
        raise call.bad(f"{method}: an answer without a result")
    return answer["result"]


def raise_rpc_error(call: Call, method: str, error: Any) -> None:
    """Always raises: which error of ours a JSON-RPC error object stands for."""
    code = error.get("code") if isinstance(error, dict) else None
    said = str(error.get("message") if isinstance(error, dict) else error)[:160]
    problem = f"{method}: error {code}: {said}"
    lowered = said.lower()
    if code in _TOO_MANY or "rate limit" in lowered or "too many requests" in lowered:
        raise RateLimitedError(call.provider_id, problem)
    if code in _NOT_UNDERSTOOD:
        raise WrongQuestionError(call.provider_id, problem)
    if code == _INTERNAL:
        raise TransientSourceError(call.provider_id, problem)
    raise PermanentSourceError(call.provider_id, problem)
