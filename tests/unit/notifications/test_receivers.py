"""Real messages through apprise to receivers that listen, refuse, hang, drip or are not there."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.notifications.messages import Mail
from sigmax_tasks.notifications.receivers import Sender, address_of
from sigmax_tasks.settings.notifications import ReceiverSettings

MAIL = Mail("BUY BTC/USDT 0.71", "* a reason", "text")
DESK = ReceiverSettings(url_env="DESK_CHAT")


def test_a_message_arrives(make_listener: Any) -> None:
    listener = make_listener()
    assert Sender(20).send(listener.address, MAIL) == ""
    (got,) = listener.got
    assert (got["title"], got["message"]) == (MAIL.title, MAIL.body)


def test_a_receiver_that_refuses_is_asked_once(make_listener: Any) -> None:
    listener = make_listener("refuse")
    assert Sender(20).send(listener.address, MAIL) == "it was not taken"
    assert len(listener.got) == 1


@pytest.mark.parametrize("mood", ["hang", "drip"])
def test_a_receiver_that_never_ends_holds_nobody_up(make_listener: Any, mood: str) -> None:
    sender = Sender(0.2)
    listener = make_listener(mood)
    problems = [sender.send(listener.address, MAIL) for _ in range(6)]
    assert set(problems) <= {"no answer within 0.2 s", "4 earlier messages still hang"} | {
        "it was not taken"
    }
    assert "" not in problems


def test_a_dead_receiver_and_an_address_of_no_kind_say_so_without_the_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    sender = Sender(20)
    assert sender.send("json://user:hunter2@127.0.0.1:1/secret-path", MAIL) == "it was not taken"
    assert sender.send("nothing://hunter2/secret-path", MAIL) == (
        "its address is none that apprise knows"
    )
    for secret in ("hunter2", "secret-path"):
        assert secret not in caplog.text


def test_the_address_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "desk"
    secret.write_text("json://from-file\n")
    assert address_of("desk", DESK, {"DESK_CHAT": "json://here"}) == "json://here"
    assert address_of("desk", DESK, {"DESK_CHAT_FILE": str(secret)}) == "json://from-file"
    with pytest.raises(ConfigurationError, match="DESK_CHAT is not set"):
        address_of("desk", DESK, {})
    with pytest.raises(ConfigurationError, match="DESK_CHAT_FILE cannot be read"):
        address_of("desk", DESK, {"DESK_CHAT_FILE": str(tmp_path / "none")})
