"""Puts the questions of a debate to the model: kept answers first, both sides at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import ModelDebateError, SigmaxError
from sigmax_tasks.llm.answer_cache import AnswerCache
from sigmax_tasks.llm.chat import ChatEndpoint
from sigmax_tasks.llm.prompts import Prompt, encoded, prompt_sha256, request_body
from sigmax_tasks.models.debate import ModelAnswer
from sigmax_tasks.models.policy import DecisionPolicy
from sigmax_tasks.sources.http import Purse
from sigmax_tasks.stages.privacy import Redactor


class Interview:
    """One debate's questions. ``ask`` is what a :class:`~sigmax_tasks.llm.hearing.Hearing` wants.

    What comes back is cleaned before anything is made of it or kept.
    """

    def __init__(
        self,
        endpoint: ChatEndpoint,
        policy: DecisionPolicy,
        purse: Purse,
        deadline: Deadline,
        *,
        stopped: Callable[[], bool],
        cache: AnswerCache | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._policy = policy
        self._purse = purse
        self._deadline = deadline
        self._stopped = stopped
        self._cache = cache

    def ask(self, prompts: Sequence[Prompt]) -> Sequence[ModelAnswer]:
        """The answers in the order of the prompts; the first problem as a ModelDebateError."""
        if len(prompts) == 1:
            return [self._answer(prompts[0])]
        with ThreadPoolExecutor(len(prompts), thread_name_prefix="debate") as pool:
            return list(pool.map(self._answer, prompts))

    def _answer(self, prompt: Prompt) -> ModelAnswer:
        llm = self._policy.debate.llm
        name = prompt_sha256(llm, prompt)
        known = self._cache.get(name) if self._cache is not None else None
        if known is not None:
            return known
        redactor = Redactor(self._policy.privacy)
        try:
            reply = self._endpoint.ask(
                encoded(request_body(llm, prompt)), self._purse, self._deadline, self._stopped
            )
        except SigmaxError as error:  # among others what may not be spent
            raise ModelDebateError(redactor.text(str(error))) from error
        answer = ModelAnswer(
            prompt_sha256=name,
            content=redactor.text(reply.content),
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            cost_usd=reply.cost_usd,
        )
        if self._cache is not None:
            self._cache.put(answer)
        return answer
