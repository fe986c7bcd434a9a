"""Hands a message to apprise, within a time limit that holds whatever the receiver does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.notifications.messages import Mail
from sigmax_tasks.settings.notifications import ReceiverSettings

_MOST_STUCK: Final = 4
"""Sends past their time limit that may still hang in a process; beyond these none is begun."""


def address_of(name: str, receiver: ReceiverSettings, environ: Mapping[str, str]) -> str:
    """The apprise URL: the variable, or the file that ``<variable>_FILE`` names.

    Raises :class:`ConfigurationError` where there is none.
    """
    url = environ.get(receiver.url_env, "").strip()
    path = environ.get(f"{receiver.url_env}_FILE", "").strip()
    if not url and path:
        try:
            url = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"notifications.receivers.{name}: the file of {receiver.url_env}_FILE cannot be "
                f"read ({type(error).__name__})"
            ) from error
    if not url:
        raise ConfigurationError(
            f"notifications.receivers.{name}: {receiver.url_env} is not set",
            advice="set it to an apprise address, such as json://host:port/path",
        )
    return url


@dataclass
class _Try:
    taken: bool = False
    problem: str = ""
    done: threading.Event = field(default_factory=threading.Event)


class Sender:
    """Sends one message at a time for each caller; thread-safe."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout = timeout_seconds
        self._lock = threading.Lock()
        self._stuck: list[threading.Thread] = []

    def send(self, url: str, mail: Mail) -> str:
        """Empty when the receiver took it, else in a few words why not. No address is in them."""
        with self._lock:
            self._stuck = [thread for thread in self._stuck if thread.is_alive()]
            if len(self._stuck) >= _MOST_STUCK:
                return f"{_MOST_STUCK} earlier messages still hang"
        attempt = _Try()
        thread = threading.Thread(
            target=self._work, args=(attempt, url, mail), name="sigmax-send", daemon=True
        )
        thread.start()
        if not attempt.done.wait(self._timeout):
            with self._lock:
                self._stuck.append(thread)
            return f"no answer within {self._timeout:g} s"
        return "" if attempt.taken else attempt.problem

    def _work(self, attempt: _Try, url: str, mail: Mail) -> None:
        try:
            attempt.taken = deliver(url, mail, self._timeout)
            attempt.problem = "" if attempt.taken else "it was not taken"
        except ConfigurationError as error:
            attempt.problem = str(error)
        except Exception as error:  # noqa: BLE001  # a hundred plug-ins; their texts hold addresses
            attempt.problem = f"it failed ({type(error).__name__})"
        finally:
            attempt.done.set()


def deliver(url: str, mail: Mail, timeout_seconds: float) -> bool:
    """Whether the receiver took it. :class:`ConfigurationError` for an address of no kind."""
    # A hundred plug-ins: imported by who sends, when something is sent.
    from apprise import Apprise, AppriseAsset
    from apprise.common import PersistentStoreMode

    # Its own log names addresses.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    asset = AppriseAsset(
        app_id="SIGMAX Tasks",
        app_desc="SIGMAX Tasks",
        async_mode=False,
        http_redirects=False,
        storage_mode=PersistentStoreMode.MEMORY,
    )
    service = Apprise.instantiate(url, asset=asset)
    if service is None:
        raise ConfigurationError("its address is none that apprise knows")
    service.socket_connect_timeout = min(service.socket_connect_timeout, timeout_seconds)
    service.socket_read_timeout = min(service.socket_read_timeout, timeout_seconds)
    return bool(service.notify(title=mail.title, body=mail.body, body_format=mail.format))
