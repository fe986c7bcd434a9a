"""The journal in Redis. Its keys have no time to live unless a retention is set.

=================================  ====  ========================================================
``sigmax:journal``                 hash  run id -> entry, without its outcome
``sigmax:journal:outcomes``        hash  run id -> outcome
``sigmax:journal:decided``         zset  run ids by time of decision (unix seconds)
``sigmax:journal:of:MODE:PROFILE`` zset  run ids of that kind by market time
``sigmax:journal:book:BOOK``       zset  run ids of that book by market time
``sigmax:journal:home``            str   ``file``: this Redis is private, the journal is a file
=================================  ====  ========================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import cast

import redis

from sigmax_tasks.journal.file_home import FileJournal, default_file
from sigmax_tasks.journal.home import Journal, JournalQuery
from sigmax_tasks.journal.kept_text import entry_of
from sigmax_tasks.models.journal import JournalEntry, Outcome

HOME_KEY = "sigmax:journal:home"
HOME_IS_FILE = "file"

_ENTRIES = "sigmax:journal"
_OUTCOMES = "sigmax:journal:outcomes"
_DECIDED = "sigmax:journal:decided"
_CHUNK = 500

ENTRY_KEYS = 4
"""How many keys an entry is written under."""

WRITE_ENTRY_LUA = """
local function write_entry(keys, id, entry, decided_at, as_of)
  if redis.call('HSETNX', keys[1], id, entry) == 0 then return 0 end
  redis.call('ZADD', keys[2], decided_at, id)
  redis.call('ZADD', keys[3], as_of, id)
  redis.call('ZADD', keys[4], as_of, id)
  return 1
end
"""
"""Lua of a function that keeps an entry; part of the script that closes a run."""

_ADD = (
    WRITE_ENTRY_LUA
    + "return write_entry({KEYS[1], KEYS[2], KEYS[3], KEYS[4]}, ARGV[1], ARGV[2], ARGV[3], ARGV[4])"
)
# An outcome is kept only beside an entry, the first one for good.
_SETTLE = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
return redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
"""


def entry_keys(entry: JournalEntry) -> list[str]:
    """The :data:`ENTRY_KEYS` keys of ``write_entry``."""
    return [_ENTRIES, _DECIDED, _kind_key(entry), _book_key(entry.book)]


def entry_arguments(entry: JournalEntry) -> list[str | float]:
    """Entry, time of decision and market time, as ``write_entry`` takes them."""
    bare = entry.model_copy(update={"outcome": None})
    text = bare.model_dump_json(exclude_computed_fields=True)
    return [text, entry.decided_at.timestamp(), entry.as_of.timestamp()]


def journal_on(client: redis.Redis, where: str) -> Journal:
    """The journal of everybody on that Redis: in it, or the user's file where it is private."""
    if client.get(HOME_KEY) == HOME_IS_FILE:
        return FileJournal(default_file())
    return RedisJournal(client, where)


class RedisJournal:
    """The journal of a cluster; ``where`` names its Redis for people. Raises Redis's errors."""

    def __init__(self, client: redis.Redis, where: str) -> None:
        self._redis = client
        self._where = where
        self._add_script = client.register_script(_ADD)
        self._settle_script = client.register_script(_SETTLE)

    @property
    def where(self) -> str:
        return self._where

    def add(self, entry: JournalEntry) -> bool:
        added = self._add_script(
            keys=entry_keys(entry), args=[entry.run_id, *entry_arguments(entry)]
        )
        return int(cast("int", added)) == 1

    def entries(self, query: JournalQuery) -> tuple[JournalEntry, ...]:
        if query.data_mode is not None and query.profile is not None:
            index = f"{_ENTRIES}:of:{query.data_mode.value}:{query.profile}"
        else:
            index = _DECIDED
        fitting = (entry for entry in self._load(self._ids(index)) if query.fits(entry))
        if index == _DECIDED:
            return tuple(islice(fitting, query.limit))
        # The index of a kind is in market time, which in replays is not that of the decisions.
        by_decision = sorted(fitting, key=lambda e: (e.decided_at, e.run_id), reverse=True)
        return tuple(by_decision[: query.limit])

    def latest(self, book: str, *, not_after: datetime, besides: str = "") -> JournalEntry | None:
        # Entries of one market time are ordered by run id, which begins with the wall time.
        ids = self._redis.zrevrangebyscore(
            _book_key(book), not_after.timestamp(), "-inf", start=0, num=10
        )
        others = [run_id for run_id in cast("list[str]", ids) if run_id != besides]
        return next(self._load(others), None)

    def settle(self, outcomes: Mapping[str, Outcome]) -> int:
        new = 0
        for run_id, outcome in outcomes.items():
            kept = self._settle_script(
                keys=[_ENTRIES, _OUTCOMES], args=[run_id, outcome.model_dump_json()]
            )
            new += int(cast("int", kept))
        return new

    def forget_before(self, moment: datetime) -> int:
        cut = f"({moment.timestamp()}"
        ids = cast("list[str]", self._redis.zrangebyscore(_DECIDED, "-inf", cut))
        for chunk in _chunks(ids):
            entries = list(self._load(chunk))
            with self._redis.pipeline(transaction=True) as pipe:
                for entry in entries:
                    pipe.zrem(_kind_key(entry), entry.run_id)
                    pipe.zrem(_book_key(entry.book), entry.run_id)
                pipe.hdel(_ENTRIES, *chunk)
                pipe.hdel(_OUTCOMES, *chunk)
                pipe.zrem(_DECIDED, *chunk)
                pipe.execute()
        return len(ids)

    def damage(self) -> tuple[str, ...]:
        return tuple(
            f"the journal entry of run {run_id} cannot be read and is left out"
            for chunk in _chunks(self._ids(_DECIDED))
            for run_id, text in zip(chunk, self._texts(chunk), strict=True)
            if text is not None and entry_of(text) is None
        )

    def _ids(self, index: str) -> Iterator[str]:
        """Run ids of an index, newest first."""
        start = 0
        while True:
            ids = cast("list[str]", self._redis.zrevrange(index, start, start + _CHUNK - 1))
            yield from ids
            if len(ids) < _CHUNK:
                return
            start += _CHUNK

    def _load(self, ids: Iterable[str]) -> Iterator[JournalEntry]:
        """The readable entries of these runs with their outcomes, in that order."""
        for chunk in _chunks(ids):
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.hmget(_ENTRIES, chunk)
                pipe.hmget(_OUTCOMES, chunk)
                texts, outcomes = cast("list[list[str | None]]", pipe.execute())
            for text, outcome in zip(texts, outcomes, strict=True):
                entry = None if text is None else entry_of(text, outcome)
                if entry is not None:
                    yield entry

    def _texts(self, ids: list[str]) -> list[str | None]:
        return cast("list[str | None]", self._redis.hmget(_ENTRIES, ids))


def _kind_key(entry: JournalEntry) -> str:
    return f"{_ENTRIES}:of:{entry.data_mode.value}:{entry.profile}"


def _book_key(book: str) -> str:
    return f"{_ENTRIES}:book:{book}"


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    source = iter(ids)
    while chunk := list(islice(source, _CHUNK)):
        yield chunk
