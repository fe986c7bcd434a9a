"""Alerts of the cluster on their way to the receivers."""

from __future__ import annotations

import logging
import os

import redis

from sigmax_tasks import clock
from sigmax_tasks.errors import SigmaxError
from sigmax_tasks.notifications.messages import cluster_alert_mail
from sigmax_tasks.notifications.notices import alert_notices
from sigmax_tasks.notifications.receivers import Sender, address_of
from sigmax_tasks.outbox import Outbox
from sigmax_tasks.settings.notifications import NotificationSettings

logger = logging.getLogger(__name__)


class AlertTeller:
    """Lays alerts into the outbox, once each over all who watch.

    Without Redis, which may be what the alert is about, or as a user of it that may only read,
    this process sends them itself.
    """

    def __init__(self, settings: NotificationSettings, client: redis.Redis) -> None:
        self._settings = settings
        self._outbox = Outbox(client, settings.outbox_length)
        self._sender = Sender(settings.timeout_seconds)
        self._told_here: set[str] = set()

    def known(self) -> frozenset[str]:
        """Alerts that were told to fire before; none where Redis does not answer."""
        try:
            return self._outbox.firing()
        except redis.RedisError as error:
            logger.warning("what fires is not known: %s", type(error).__name__)
            return frozenset()

    def tell(self, name: str, text: str, *, firing: bool) -> None:
        at = clock.now().timestamp()
        notices = alert_notices(self._settings, name, text, firing=firing, at=at)
        try:
            posted = self._outbox.post_alert(notices, at, name, firing=firing)
        except redis.RedisError:
            self._told_here.add(name)
            posted = False
        if name in self._told_here and not posted:
            self._send(name, text, firing=firing)
        if not firing:
            self._told_here.discard(name)

    def _send(self, name: str, text: str, *, firing: bool) -> None:
        facts = {"alert": name, "text": text, "firing": firing}
        for to, receiver in self._settings.receivers.items():
            if not receiver.cluster_alerts:
                continue
            try:
                url = address_of(to, receiver, os.environ)
                problem = self._sender.send(url, cluster_alert_mail(receiver, facts))
            except SigmaxError as error:
                problem = str(error)
            if problem:
                logger.warning("alert %s for %s was not sent: %s", name, to, problem)
