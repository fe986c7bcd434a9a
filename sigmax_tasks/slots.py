"""What Redis knows of schedules: which times are taken, and how the last one of each ended.

=============================  ======  =========================================================
``sigmax:slot:NAME:TIME``      string  who submits the runs of that time, ``done`` when it is over
``sigmax:slotruns:NAME:TIME``  hash    symbol -> run id, as far as they are submitted
``sigmax:slotwait:NAME``       string  the time that waits for the runs before it
``sigmax:schedule:NAME``       hash    the last time: slot, result, detail, at, and its runs
=============================  ======  =========================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

import redis
from redis.exceptions import LockNotOwnedError

SLOT_SECONDS = 2 * 86_400
"""How long a time stays taken: longer than its message lives."""
KEPT_SECONDS = 400 * 86_400
LOCK_SECONDS = 60.0
DONE = "done"

SlotResult = Literal["submitted", "missed", "overlapped", "busy", "failed"]


@dataclass(frozen=True)
class LastSlot:
    """The last time of a schedule that was dealt with. ``run_ids`` are of the last submitted one.

    ``slot`` is its nominal time in unix seconds, ``at`` when it was dealt with.
    """

    slot: int
    result: SlotResult
    detail: str
    at: datetime
    run_ids: tuple[str, ...]


class SlotBook:
    """The schedules of one cluster. Raises Redis's errors."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def take(self, name: str, slot: int, owner: str) -> bool:
        """Whether ``owner`` is the one to deal with that time; asking again gives the same.

        False for all others, once it is over, and for a time before the last one.
        """
        key = _slot_key(name, slot)
        holder = self._redis.get(key)
        if holder is None:
            last = self.last(name)
            if last is not None and slot <= last.slot:
                return False
            if self._redis.set(key, owner, nx=True, ex=SLOT_SECONDS):
                return True
            holder = self._redis.get(key)
        return holder == owner

    @contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """True for the one who deals with that schedule at the moment."""
        lock = self._redis.lock(f"sigmax:slotlock:{name}", timeout=LOCK_SECONDS, blocking=False)
        held = lock.acquire()
        try:
            yield held
        finally:
            if held:
                with suppress(LockNotOwnedError):  # it took longer than a lock lasts
                    lock.release()

    def wait(self, name: str, slot: int) -> bool:
        """Whether that time may wait; one at a time does."""
        key = f"sigmax:slotwait:{name}"
        if self._redis.set(key, slot, nx=True, ex=SLOT_SECONDS):
            return True
        return self._redis.get(key) == str(slot)

    def runs(self, name: str, slot: int) -> dict[str, str]:
        """Symbol -> run id of what is submitted of that time."""
        return cast("dict[str, str]", self._redis.hgetall(_runs_key(name, slot)))

    def add_run(self, name: str, slot: int, symbol: str, run_id: str) -> None:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(_runs_key(name, slot), symbol, run_id)
            pipe.expire(_runs_key(name, slot), SLOT_SECONDS)
            pipe.execute()

    def close(self, name: str, slot: int, result: SlotResult, detail: str, at: datetime) -> None:
        """Deal with that time for good."""
        last = self.last(name)
        runs = tuple(self.runs(name, slot).values())
        fields: dict[str, str] = {}
        if last is None or slot >= last.slot:
            fields = {"slot": str(slot), "result": result, "detail": detail, "at": at.isoformat()}
        if runs:
            fields["runs"] = json.dumps(runs)
        with self._redis.pipeline(transaction=True) as pipe:
            if fields:
                pipe.hset(f"sigmax:schedule:{name}", mapping=fields)  # type: ignore[arg-type]
                pipe.expire(f"sigmax:schedule:{name}", KEPT_SECONDS)
            pipe.set(_slot_key(name, slot), DONE, ex=SLOT_SECONDS)
            if self._redis.get(f"sigmax:slotwait:{name}") == str(slot):
                pipe.delete(f"sigmax:slotwait:{name}")
            pipe.execute()

    def last(self, name: str) -> LastSlot | None:
        """The last time that was dealt with, None before the first."""
        values = cast("dict[str, str]", self._redis.hgetall(f"sigmax:schedule:{name}"))
        if "slot" not in values:
            return None
        return LastSlot(
            slot=int(values["slot"]),
            result=cast("SlotResult", values["result"]),
            detail=values["detail"],
            at=datetime.fromisoformat(values["at"]),
            run_ids=tuple(json.loads(values.get("runs", "[]"))),
        )


def _slot_key(name: str, slot: int) -> str:
    return f"sigmax:slot:{name}:{slot}"


def _runs_key(name: str, slot: int) -> str:
    return f"sigmax:slotruns:{name}:{slot}"
