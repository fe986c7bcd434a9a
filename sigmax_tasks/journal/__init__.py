"""The journal: every decision for good, and what the market did afterwards.

One interface over two homes. A cluster keeps it in its Redis, written in the same step as the
decision. A private cluster, whose Redis ends with its command, keeps it in a file of the user's
data folder; :data:`HOME_KEY` in the Redis says so to everybody who is connected to it.
"""

from __future__ import annotations

from sigmax_tasks.journal.file_home import FileJournal, default_file
from sigmax_tasks.journal.home import Journal, JournalQuery
from sigmax_tasks.journal.redis_home import (
    ENTRY_KEYS,
    HOME_IS_FILE,
    HOME_KEY,
    WRITE_ENTRY_LUA,
    RedisJournal,
    entry_arguments,
    entry_keys,
    journal_on,
)

__all__ = [
    "ENTRY_KEYS",
    "HOME_IS_FILE",
    "HOME_KEY",
    "WRITE_ENTRY_LUA",
    "FileJournal",
    "Journal",
    "JournalQuery",
    "RedisJournal",
    "default_file",
    "entry_arguments",
    "entry_keys",
    "journal_on",
]
