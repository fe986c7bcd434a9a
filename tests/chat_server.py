"""A model on loopback: speaks the chat-completions protocol, well or badly, as told."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Say = Callable[[dict[str, Any]], str]
"""From the body of the request to the content of the answer."""


def who(body: dict[str, Any]) -> str:
    """bull, bear or judge, by the fixed words of the system role."""
    system = body["messages"][0]["content"]
    if "You are the judge" in system:
        return "judge"
    return "bull" if "argue for a rise" in system else "bear"


def is_rebuttal(body: dict[str, Any]) -> bool:
    return "of rebuttal" in body["messages"][1]["content"]


def evidence_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The evidence of the prompt, as the model sees it."""
    text = body["messages"][1]["content"]
    line = next(line for line in text.splitlines() if line.startswith('{"symbol"'))
    return list(json.loads(line)["evidence"])


def untrusted_of(body: dict[str, Any]) -> str:
    """What stands between the marks; "" without any."""
    text = body["messages"][1]["content"]
    found = re.search(r"^(UNTRUSTED-[0-9a-f]{16})\n(.*?)\n\1$", text, re.DOTALL | re.MULTILINE)
    return found[2] if found else ""


def sensible(body: dict[str, Any]) -> str:
    """What a model that keeps to the rules says."""
    speaker = who(body)
    evidence = evidence_of(body)
    mine = [e for e in evidence if e["speaks_for"] == {"bull": "rise"}.get(speaker, "fall")]
    theirs = [e for e in evidence if e not in mine]
    if speaker == "judge":
        weights = [{"evidence_id": e["id"], "keep": 0.5} for e in evidence[:2]]
        return json.dumps({"weights": weights, "summary": "The stronger side has more evidence."})
    if is_rebuttal(body):
        rebuttals = [
            {
                "against": theirs[0]["id"],
                "evidence_ids": [mine[0]["id"]],
                "text": f"{speaker} holds its own evidence against it.",
            }
        ]
        return json.dumps({"rebuttals": rebuttals})
    claims = [
        {"evidence_ids": [e["id"]], "text": f"The {speaker} points at what this shows."}
        for e in mine[:3]
    ]
    return json.dumps({"claims": claims})


class ChatServer:
    """``say`` gives the content; ``raw`` in its place the whole body of the answer.

    ``delay_seconds`` comes before each answer, ``status`` other than 200 is an error. ``requests``
    are the bodies received, ``headers`` what came with them.
    """

    def __init__(self, say: Say = sensible) -> None:
        self.say = say
        self.raw: bytes | None = None
        self.status = 200
        self.delay_seconds = 0.0
        self.usage: dict[str, Any] | None = {"prompt_tokens": 1000, "completion_tokens": 200}
        self.finish_reason = "stop"
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answered = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @staticmethod
    def wait(seconds: float) -> None:
        """For answers that wait for something."""
        time.sleep(seconds)

    def _handler(chat) -> type[BaseHTTPRequestHandler]:  # noqa: N805  # self is the handler
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with chat._lock:
                    chat.requests.append(body)
                    chat.headers.append(dict(self.headers))
                if chat.delay_seconds:
                    time.sleep(chat.delay_seconds)
                answer = chat._answer(body) if chat.raw is None else chat.raw
                try:
                    self.send_response(chat.status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    return  # the asker has gone
                with chat._lock:
                    chat.answered += 1

            def log_message(self, *args: object) -> None: ...

        return Handler

    def _answer(self, body: dict[str, Any]) -> bytes:
        message = {"role": "assistant", "content": self.say(body)}
        content: dict[str, Any] = {
            "id": "1",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason}],
        }
        if self.usage is not None:
            content["usage"] = self.usage
        return json.dumps(content).encode()


@contextmanager
def chat_server(say: Say = sensible) -> Iterator[ChatServer]:
    server = ChatServer(say)
    server.start()
    try:
        yield server
    finally:
        server.stop()
