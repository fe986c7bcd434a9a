"""The endpoint over real HTTP: what it is sent, what it costs, and everything that can go wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import fakeredis
import pytest

from sigmax_tasks.clock import Deadline
from sigmax_tasks.errors import ConfigurationError, ModelDebateError, OverBudgetError
from sigmax_tasks.llm.answer_cache import MOST_KEPT, AnswerCache
from sigmax_tasks.llm.chat import ChatEndpoint, Reply
from sigmax_tasks.llm.interview import Interview
from sigmax_tasks.llm.pricing import most_prompt_tokens, most_usd, usd_of
from sigmax_tasks.llm.prompts import Prompt, encoded, prompt_sha256, request_body
from sigmax_tasks.llm.readiness import check_key, readiness_line
from sigmax_tasks.models.debate import ModelAnswer
from sigmax_tasks.models.llm_policy import LlmPolicy
from sigmax_tasks.places import shipped_folder
from sigmax_tasks.runner import shared_desk
from sigmax_tasks.settings import load_settings
from sigmax_tasks.sources.gate import Gate
from sigmax_tasks.sources.http import HttpClient
from tests.chat_server import ChatServer, chat_server

from .builders import rules

PROMPT = Prompt("bull", "fixed words", "the evidence")
PRICES = {"input_usd_per_million_tokens": 2, "output_usd_per_million_tokens": 10}
SOURCES = load_settings(shipped_folder(), (), environ={}).settings.sources


class Purse:
    """Counts; refuses beyond ``limit_usd``."""

    def __init__(self, limit_usd: str = "1") -> None:
        self.limit = Decimal(limit_usd)
        self.spent = Decimal(0)
        self.highest = Decimal(0)

    def spend(self, usd: Decimal) -> None:
        left = self.limit - self.spent
        if usd > left:
            raise OverBudgetError(
                needed_usd=usd, left_usd=left, limit_usd=self.limit, whose="the run"
            )
        self.spent += usd
        self.highest = max(self.highest, self.spent)

    def give_back(self, usd: Decimal) -> None:
        self.spent -= usd


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(lambda _: "hello") as running:
        yield running


@pytest.fixture(scope="module")
def http() -> Iterator[HttpClient]:
    client = HttpClient(
        user_agent="test", max_concurrent_calls=4, resolve_timeout_seconds=1, max_redirects=0
    )
    yield client
    client.close()


def llm(server: ChatServer, **changes: Any) -> LlmPolicy:
    return LlmPolicy(base_url=server.url, model="test-model", **changes)


def ask(
    http: HttpClient,
    policy: LlmPolicy,
    purse: Purse | None = None,
    *,
    seconds: float = 5,
    gate: Gate | None = None,
    environ: dict[str, str] | None = None,
) -> Reply:
    endpoint = ChatEndpoint(policy, http, SOURCES, gate, environ=environ or {}, jitter=lambda: 0.01)
    body = encoded(request_body(policy, PROMPT))
    return endpoint.ask(body, purse or Purse(), Deadline.after(seconds), lambda: False)


def test_the_request_is_that_of_the_protocol(server: ChatServer, http: HttpClient) -> None:
    policy = llm(server, api_key_env="MY_KEY")
    reply = ask(http, policy, environ={"MY_KEY": "sk-the-key-of-the-test"})
    assert reply == Reply("hello", 1000, 200, Decimal(0))
    assert server.requests == [
        {
            "model": "test-model",
            "messages": [
                {"role": "system", "content": "fixed words"},
                {"role": "user", "content": "the evidence"},
            ],
            "max_tokens": 1200,
            "stream": False,
            "temperature": 0.0,
            "response_format": {"type": "json_object"},
        }
    ]
    assert server.headers[0]["Authorization"] == "Bearer sk-the-key-of-the-test"


def test_what_an_endpoint_does_not_know_is_not_sent(server: ChatServer, http: HttpClient) -> None:
    policy = llm(
        server,
        max_tokens_name="max_completion_tokens",
        temperature=None,
        response_format="text",
    )
    ask(http, policy)
    (sent,) = server.requests
    assert sent["max_completion_tokens"] == 1200
    assert not {"temperature", "response_format", "max_tokens"} & set(sent)
    assert "Authorization" not in server.headers[0]


def test_a_call_is_paid_for_at_most_and_what_it_did_not_use_comes_back(
    server: ChatServer, http: HttpClient
) -> None:
    policy, purse = llm(server, **PRICES), Purse()
    reply = ask(http, policy, purse)
    # 1000 x 2 / 1e6 + 200 x 10 / 1e6
    assert reply.cost_usd == purse.spent == Decimal("0.004")
    assert purse.highest == most_usd(policy, encoded(request_body(policy, PROMPT)))
    assert purse.highest > Decimal("0.012")


def test_tokens_that_nobody_counted_are_taken_at_their_most(
    server: ChatServer, http: HttpClient
) -> None:
    server.usage = None
    policy, purse = llm(server, **PRICES), Purse()
    reply = ask(http, policy, purse)
    assert reply.completion_tokens == 1200
    assert purse.spent == purse.highest


def test_tokens_beyond_the_upper_bound_are_paid_as_well(
    server: ChatServer, http: HttpClient
) -> None:
    server.usage = {"prompt_tokens": 100_000, "completion_tokens": 0}
    policy, purse = llm(server, **PRICES), Purse()
    ask(http, policy, purse)
    assert purse.spent == Decimal("0.2")


def test_what_does_not_fit_the_limit_is_not_asked(server: ChatServer, http: HttpClient) -> None:
    with pytest.raises(OverBudgetError, match="over_budget"):
        ask(http, llm(server, **PRICES), Purse("0.001"))
    assert server.requests == []


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        ({"prompt_tokens": -5, "completion_tokens": 1}, "not an answer of the chat-completions"),
        ({"prompt_tokens": 1e99, "completion_tokens": 1}, "not an answer of the chat-completions"),
        ({"prompt_tokens": 10**12, "completion_tokens": 1}, "not an answer of the chat-compl"),
    ],
)
def test_impossible_token_counts_are_refused(
    server: ChatServer, http: HttpClient, usage: dict[str, Any], problem: str
) -> None:
    server.usage = usage
    policy, purse = llm(server, **PRICES), Purse()
    with pytest.raises(ModelDebateError, match=problem):
        ask(http, policy, purse)
    assert purse.spent == purse.highest


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"x" * 10_000_000, "answer larger than 200000 bytes"),
        (b'{"choices": [{"message": {"content": "half', "not JSON"),
        (b"<html>busy</html>", "a page of HTML"),
        (b"", "empty body"),
        (b'{"choices": []}', "not an answer of the chat-completions form"),
        (b'{"choices": [{"message": {"content": null}}]}', "its answer is empty"),
        (b'{"choices": [{"message": {"content": 7}}]}', "not an answer of the chat-completions"),
        (b"[" * 100_000, "nested deeper than 32"),
        (b'{"error": {"message": "overloaded"}}', "not an answer of the chat-completions form"),
    ],
)
def test_a_hostile_body_ends_the_debate_after_one_call(
    server: ChatServer, http: HttpClient, raw: bytes, problem: str
) -> None:
    server.raw = raw
    with pytest.raises(ModelDebateError, match=problem):
        ask(http, llm(server))
    assert len(server.requests) == 1


def test_an_answer_that_was_cut_off_is_none(server: ChatServer, http: HttpClient) -> None:
    server.finish_reason = "length"
    with pytest.raises(ModelDebateError, match=r"cut off at max_tokens \(1200\)"):
        ask(http, llm(server))


@pytest.mark.parametrize(
    ("status", "calls"), [(500, 3), (429, 3), (401, 1), (404, 1), (301, 1), (451, 1)]
)
def test_passing_failures_are_tried_again_and_nothing_is_paid_for_a_refusal(
    server: ChatServer, http: HttpClient, status: int, calls: int
) -> None:
    server.status = status
    purse = Purse()
    with pytest.raises(ModelDebateError):
        ask(http, llm(server, max_retries=2, **PRICES), purse)
    assert len(server.requests) == calls
    if status != 301:
        assert purse.spent == 0


def test_an_endpoint_that_hangs_costs_the_time_limit_and_stays_paid_for(
    server: ChatServer, http: HttpClient
) -> None:
    server.delay_seconds = 3
    policy, purse = llm(server, **PRICES), Purse()
    with pytest.raises(ModelDebateError, match="no complete answer in the time left"):
        ask(http, policy, purse, seconds=0.3)
    assert purse.spent == most_usd(policy, encoded(request_body(policy, PROMPT)))


def test_an_endpoint_that_is_not_there_costs_nothing(http: HttpClient) -> None:
    with chat_server() as gone:
        pass
    purse = Purse()
    with pytest.raises(ModelDebateError, match="connection failed"):
        ask(http, llm(gone, **PRICES), purse)
    assert purse.spent == 0


def test_a_worker_without_the_key_does_not_ask(server: ChatServer, http: HttpClient) -> None:
    with pytest.raises(ModelDebateError, match="no MY_KEY in its environment"):
        ask(http, llm(server, api_key_env="MY_KEY"))
    assert server.requests == []


def test_the_breaker_of_all_workers_stops_further_calls(
    server: ChatServer, http: HttpClient
) -> None:
    server.status = 500
    client = fakeredis.FakeRedis(decode_responses=True)
    settings = load_settings(shipped_folder(), ("breaker.failures=2",), environ={}).settings
    shared = shared_desk(settings, client)
    try:
        policy = llm(server, max_retries=5)
        with pytest.raises(ModelDebateError, match="circuit open"):
            ask(http, policy, gate=shared.gate)
        calls = len(server.requests)
        with pytest.raises(ModelDebateError, match="circuit open"):
            ask(http, policy, gate=shared.gate)
        assert len(server.requests) == calls < 6
    finally:
        shared.close()
        client.close()


def test_the_limits_hold_over_all_workers(server: ChatServer, http: HttpClient) -> None:
    client = fakeredis.FakeRedis(decode_responses=True)
    settings = load_settings(shipped_folder(), (), environ={}).settings
    shared = shared_desk(settings, client)
    try:
        policy = llm(server, limits="1/hour")
        ask(http, policy, gate=shared.gate)
        with pytest.raises(ModelDebateError, match="quota: next slot in"):
            ask(http, policy, gate=shared.gate, seconds=2)
        assert len(server.requests) == 1
    finally:
        shared.close()
        client.close()


def test_prices_by_hand() -> None:
    policy = LlmPolicy(
        input_usd_per_million_tokens="0.15", output_usd_per_million_tokens="0.6", max_tokens=1000
    )
    assert most_prompt_tokens(b"x" * 3001) == 1001
    assert usd_of(policy, 1, 0) == Decimal("0.000001")  # rounded up
    # 1001 x 0.15 / 1e6 + 1000 x 0.6 / 1e6 = 0.00075015
    assert most_usd(policy, b"x" * 3001) == Decimal("0.000751")


def interview(http: HttpClient, server: ChatServer, cache: AnswerCache | None) -> Interview:
    own = rules(llm__base_url=server.url)
    endpoint = ChatEndpoint(own.debate.llm, http, SOURCES, environ={})
    return Interview(endpoint, own, Purse(), Deadline.after(5), stopped=lambda: False, cache=cache)


def test_an_answer_is_kept_clean_and_not_asked_for_again(
    server: ChatServer, http: HttpClient
) -> None:
    client = fakeredis.FakeRedis(decode_responses=True)
    server.say = lambda _: json.dumps({"claims": [], "note": "mail jane@example.org"})
    cache = AnswerCache(client, keep_hours=1)
    (first,) = interview(http, server, cache).ask([PROMPT])
    (again,) = interview(http, server, cache).ask([PROMPT])
    assert first == again
    assert "jane@" not in first.content
    assert len(server.requests) == 1
    own = rules(llm__base_url=server.url).debate.llm
    assert first.prompt_sha256 == prompt_sha256(own, PROMPT)
    assert all(client.ttl(key) > 0 for key in client.keys("*"))
    client.close()


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sigmax_tasks.llm.answer_cache.MOST_KEPT", 3)
    assert MOST_KEPT >= 100
    client = fakeredis.FakeRedis(decode_responses=True)
    cache = AnswerCache(client, keep_hours=1)
    for number in range(6):
        name = f"{number:064x}"
        cache.put(
            ModelAnswer(prompt_sha256=name, content="x", prompt_tokens=1, completion_tokens=1)
        )
    kept = [number for number in range(6) if cache.get(f"{number:064x}")]
    assert kept == [3, 4, 5]
    assert len(client.keys("sigmax:llm:*")) == 4
    client.close()


def test_both_sides_are_asked_at_the_same_time(server: ChatServer, http: HttpClient) -> None:
    """Each answer waits until both questions are there."""
    server.say = lambda _: _when_both_are_here(server)
    prompts = [PROMPT, Prompt("bear", "fixed words", "the evidence")]
    answers = interview(http, server, None).ask(prompts)
    assert [a.content for a in answers] == ["both", "both"]


def _when_both_are_here(server: ChatServer) -> str:
    for _ in range(300):
        if len(server.requests) == 2:
            return "both"
        server.wait(0.01)
    return "alone"


def test_the_key_is_checked_before_a_run() -> None:
    own = rules(method="llm", llm__api_key_env="MY_KEY").debate
    with pytest.raises(ConfigurationError, match="MY_KEY is not set"):
        check_key(own, {})
    check_key(own, {"MY_KEY": "x"})
    check_key(rules(llm__api_key_env="MY_KEY").debate, {})
    assert "key from MY_KEY" in readiness_line(own)


@pytest.mark.parametrize(
    "override",
    [
        "decision.debate.method=llm",
        "decision.debate.method=gpt",
        "decision.debate.llm.base_url=ftp://x",
        "decision.debate.llm.base_url=http://user:pass@host/v1",
        "decision.debate.llm.api_key_env=sk-abcdefghijklmnop",
        "decision.debate.llm.limits=often",
        "decision.debate.llm.max_tokens=0",
        "decision.debate.llm.modle=x",
    ],
)
def test_a_wrong_setting_is_an_error_before_anything_runs(override: str) -> None:
    with pytest.raises(ConfigurationError, match=r"decision\.debate"):
        load_settings(shipped_folder(), (override,), environ={})
