"""Asks a model over the chat-completions protocol, through the one HTTP client and its gate."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import (
    BadPayloadError,
    ModelDebateError,
    SigmaxError,
    SourceError,
    TransientSourceError,
)
from sigmax_tasks.llm.pricing import most_prompt_tokens, most_usd, usd_of
from sigmax_tasks.models.llm_policy import LlmPolicy
from sigmax_tasks.settings.sources import ProviderSettings, SourceSettings
from sigmax_tasks.sources.answers import Answer
from sigmax_tasks.sources.breaker import CircuitOpenError
from sigmax_tasks.sources.gate import Gate, Lane, Visit, lane_name
from sigmax_tasks.sources.http import Budget, HttpClient, Meter, Purse
from sigmax_tasks.sources.quota import QuotaWaitError, quota_of
from sigmax_tasks.sources.standing import pause

PROVIDER = "llm"
PATH = "/chat/completions"
_FIRST_DELAY_SECONDS = 0.5
_NOT_BILLED = ("HTTP ", "connection failed", "no network", "not served here")
"""How errors begin after which nothing can have been billed."""
_MOST_TOKENS = 100_000_000
Tokens = Annotated[int, Field(ge=0, le=_MOST_TOKENS, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _Message(_Part):
    content: str | None = None


class _Choice(_Part):
    message: _Message
    finish_reason: str | None = None


class _Usage(_Part):
    prompt_tokens: Tokens
    completion_tokens: Tokens


class _Completion(_Part):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


@dataclass(frozen=True)
class Reply:
    """What the model said, and the tokens it took: at most, where the endpoint counted none."""

    content: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal


class ChatEndpoint:
    """One endpoint as the settings name it. Thread-safe.

    With ``gate`` its limits and its circuit breaker are those of all workers together.
    """

    def __init__(
        self,
        policy: LlmPolicy,
        http: HttpClient,
        settings: SourceSettings,
        gate: Gate | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._base_url = (policy.base_url or "").rstrip("/")
        self._http = http
        self._settings = settings
        self._gate = gate
        self._environ = os.environ if environ is None else environ
        self._jitter = jitter

    def ask(
        self, body: bytes, purse: Purse, deadline: Deadline, stopped: Callable[[], bool]
    ) -> Reply:
        """The answer to ``body``; :class:`ModelDebateError` where there is none in time or money.

        Each attempt is paid for at its upper bound before it is made. What the answer did not use
        is given back; an attempt that may have been billed without an answer stays paid for.
        """
        last: SourceError | None = None
        for attempt in range(self._policy.max_retries + 1):
            if attempt and not self._rest(attempt, last, deadline, stopped):
                break
            try:
                return self._attempt(body, purse, deadline, stopped)
            except TransientSourceError as error:
                last = error
                if isinstance(error, CircuitOpenError | QuotaWaitError):
                    break
            except SourceError as error:
                raise ModelDebateError(error.problem) from error
        problem = last.problem if last is not None else "no time was left to ask it"
        raise ModelDebateError(problem) from last

    def _rest(
        self,
        attempt: int,
        last: SourceError | None,
        deadline: Deadline,
        stopped: Callable[[], bool],
    ) -> bool:
        """Wait before another attempt; False where there is no time for one."""
        stated = last.retry_after_seconds if isinstance(last, TransientSourceError) else None
        delay = max(self._jitter() * _FIRST_DELAY_SECONDS * 2**attempt, stated or 0.0)
        return delay < deadline.remaining and pause(delay, deadline, stopped)

    def _attempt(
        self, body: bytes, purse: Purse, deadline: Deadline, stopped: Callable[[], bool]
    ) -> Reply:
        key = self._key()
        meter = Meter({})
        most = most_usd(self._policy, body)
        purse.spend(most)
        try:
            answer = self._http.exchange(
                Budget(
                    provider=PROVIDER,
                    deadline=deadline,
                    max_bytes=self._policy.max_response_bytes,
                    meter=meter,
                    stopped=stopped,
                    visit=lambda endpoint: self._visit(endpoint, key),
                    latest=deadline,
                ),
                "POST",
                self._base_url + PATH,
                endpoint=PATH,
                headers={
                    "Content-Type": "application/json",
                    **({"Authorization": f"Bearer {key}"} if key else {}),
                },
                data=body,
            )
        except SourceError as error:
            if meter.requests == 0 or error.problem.startswith(_NOT_BILLED):
                purse.give_back(most)
            raise
        return self._reply(_completion(answer), body, purse, most)

    def _reply(self, completion: _Completion, body: bytes, purse: Purse, most: Decimal) -> Reply:
        choice, usage = completion.choices[0], completion.usage
        if usage is None:
            prompt, said = most_prompt_tokens(body), self._policy.max_tokens
        else:
            prompt, said = usage.prompt_tokens, usage.completion_tokens
        price = usd_of(self._policy, prompt, said)
        if price < most:
            purse.give_back(most - price)
        elif price > most:
            # It has been used: where the limit does not leave it, the ledger is short of it.
            with suppress(SigmaxError):
                purse.spend(price - most)
        if choice.finish_reason == "length":
            limit = self._policy.max_tokens
            raise ModelDebateError(f"its answer was cut off at max_tokens ({limit})")
        if not choice.message.content or not choice.message.content.strip():
            raise ModelDebateError("its answer is empty")
        return Reply(choice.message.content, prompt, said, price)

    def _key(self) -> str | None:
        name = self._policy.api_key_env
        key = self._environ.get(name, "").strip() if name else ""
        if name and not key:
            raise ModelDebateError(f"the worker has no {name} in its environment")
        return key or None

    def _visit(self, endpoint: str, key: str | None) -> Visit | None:
        if self._gate is None:
            return None
        lane = lane_name(self._base_url, key)
        provider = ProviderSettings(
            adapter=PROVIDER,
            base_url=self._base_url,
            timeout_seconds=120,
            max_response_bytes=self._policy.max_response_bytes,
            limits=self._policy.limits,
            attribution="the model of the debate",
            terms="those of its endpoint",
            units="text",
        )
        quota = quota_of(PROVIDER, provider, self._settings.quota, lane, live=True)
        host = urlsplit(self._base_url).netloc
        return self._gate.visit(Lane(PROVIDER, provider, lane, host, True, quota), endpoint)


def _completion(answer: Answer) -> _Completion:
    try:
        return _Completion.model_validate(answer.json())
    except ValidationError as error:
        raise BadPayloadError(PROVIDER, "not an answer of the chat-completions form") from error
