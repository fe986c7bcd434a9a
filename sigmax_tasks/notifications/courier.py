"""Empties the outbox, in threads of its own: no run ever waits for a receiver."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

import redis

from sigmax_tasks import clock
from sigmax_tasks.errors import ConfigurationError, SigmaxError
from sigmax_tasks.logs import about
from sigmax_tasks.models.decision import RunRecord
from sigmax_tasks.notifications.messages import (
    Mail,
    cluster_alert_mail,
    decision_mail,
    run_alert_mail,
)
from sigmax_tasks.notifications.receivers import Sender, address_of
from sigmax_tasks.outbox import Claimed, Outbox
from sigmax_tasks.settings.notifications import NotificationSettings, ReceiverSettings
from sigmax_tasks.store import RunStore

logger = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
_AWAY_SECONDS = 5.0
_MOST_BACK_OFF = 16


class Courier:
    """Sends what is due. ``send`` replaces apprise, for tests."""

    def __init__(
        self,
        outbox: Outbox,
        record_of: Callable[[str], RunRecord],
        settings: NotificationSettings,
        environ: Mapping[str, str],
        send: Callable[[str, Mail], str] | None = None,
    ) -> None:
        self._outbox = outbox
        self._record_of = record_of
        self._settings = settings
        self._send = send or Sender(settings.timeout_seconds).send
        self._addresses: dict[str, str] = {}
        for name, receiver in settings.receivers.items():
            try:
                self._addresses[name] = address_of(name, receiver, environ)
            except ConfigurationError as error:
                logger.warning("%s", error)

    @property
    def usable(self) -> tuple[str, ...]:
        """Receivers whose address is known to this process."""
        return tuple(self._addresses)

    def run(self, stop: threading.Event, receiver: str) -> None:
        """Until ``stop``, for one receiver; a Redis that is away is waited for."""
        pause = 0.0
        while not stop.wait(pause):
            try:
                pause = 0.0 if self.step(receiver) else IDLE_SECONDS
            except redis.exceptions.NoPermissionError:
                logger.info("notifications: this user of Redis leaves the outbox to the workers")
                return
            except redis.RedisError as error:
                logger.warning("notifications: Redis does not answer (%s)", type(error).__name__)
                pause = _AWAY_SECONDS

    def step(self, *receivers: str) -> bool:
        """Try one notice for one of these receivers (default: any); False where none is due.

        Raises ``redis.RedisError``.
        """
        # Longer than a try lasts, so that nobody else sends it meanwhile.
        lease = 2 * self._settings.timeout_seconds + 5
        claimed = self._outbox.claim(clock.now().timestamp(), lease, receivers or self.usable)
        if claimed is None:
            return False
        with about(str(claimed.facts.get("run", ""))):
            self._try(claimed)
        return True

    def _try(self, claimed: Claimed) -> None:
        facts = claimed.facts
        name = str(facts["to"])
        if claimed.tries > self._settings.max_attempts:
            # Its senders died with it.
            self._give_up(claimed, name, "every try died")
            return
        try:
            mail = self._mail(facts, self._settings.receivers[name])
        except SigmaxError as error:
            self._give_up(claimed, name, str(error))
            return
        problem = self._send(self._addresses[name], mail)
        if not problem:
            self._outbox.sent(claimed)
        elif claimed.tries >= self._settings.max_attempts:
            self._give_up(claimed, name, problem)
        else:
            factor = min(_MOST_BACK_OFF, 2 ** (claimed.tries - 1))
            self._outbox.again(
                claimed, clock.now().timestamp() + self._settings.retry_seconds * factor
            )
            logger.info("notification for %s: %s; to be tried again", name, problem)

    def _give_up(self, claimed: Claimed, name: str, problem: str) -> None:
        self._outbox.failed(claimed)
        about = claimed.facts.get("run") or claimed.facts.get("alert")
        logger.warning("notification for %s about %s was not sent: %s", name, about, problem)

    def _mail(self, facts: Mapping[str, object], receiver: ReceiverSettings) -> Mail:
        match facts["kind"]:
            case "decision":
                return decision_mail(receiver, self._record_of(str(facts["run"])))
            case "run_alert":
                return run_alert_mail(receiver, self._record_of(str(facts["run"])))
            case "cluster_alert":
                return cluster_alert_mail(receiver, facts)
            case other:
                raise SigmaxError(f"a notice of the unknown kind {other!r}")


def start_courier(
    client: redis.Redis, store: RunStore, settings: NotificationSettings, stop: threading.Event
) -> Courier | None:
    """A courier at work; None where this process has no receiver to send to.

    Each receiver has a thread of its own, so that one that hangs delays no other.
    """
    if not settings.receivers:
        return None
    courier = Courier(Outbox(client, settings.outbox_length), store.record, settings, os.environ)
    for name in courier.usable:
        threading.Thread(
            target=courier.run, args=(stop, name), name=f"sigmax-courier-{name}", daemon=True
        ).start()
    return courier if courier.usable else None


def wait_until_sent(outbox: Outbox, seconds: float) -> int:
    """Give the couriers that long to empty the outbox; how many notices are left."""
    end = clock.monotonic() + seconds
    left = 0
    with suppress(redis.RedisError):
        left = outbox.waiting()
        while left and clock.monotonic() < end:
            clock.sleep(0.05)
            left = outbox.waiting()
    return left
