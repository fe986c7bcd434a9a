"""The steps of the run store that Redis takes in one piece, and how observations are packed."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence

from pydantic import TypeAdapter

from sigmax_tasks.budget import CLOSE_SPENDING_LUA
from sigmax_tasks.journal import WRITE_ENTRY_LUA
from sigmax_tasks.models.observations import Observation
from sigmax_tasks.outbox import OUTBOX_LUA
from sigmax_tasks.tally import TALLY_LUA

# Writes a new run and lists it as open; one that is there is left as it is, so that the step may be
# run twice. Gives 0, or how many are open where no more may be (ARGV[1], '' for any number): those
# count whose deadline did not pass before ARGV[2]. ARGV[3] are its settings, '' where they ought to
# be kept: -1, with nothing done, where they are not. The fields of the run follow from ARGV[10] on;
# KEYS[6] are the open runs of its submission, if it has one.
CREATE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if ARGV[1] ~= '' then
  local open = redis.call('ZCOUNT', KEYS[4], '(' .. ARGV[2], '+inf')
  if open >= tonumber(ARGV[1]) then return open end
end
if ARGV[3] ~= '' then
  redis.call('SET', KEYS[3], ARGV[3], 'EX', ARGV[4])
elseif redis.call('EXPIRE', KEYS[3], ARGV[4]) == 0 then
  return -1
end
redis.call('HSET', KEYS[1], unpack(ARGV, 10))
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('ZADD', KEYS[4], ARGV[6], ARGV[7])
redis.call('XADD', KEYS[2], '*', 'e', ARGV[8])
redis.call('EXPIRE', KEYS[2], ARGV[5])
if KEYS[6] then
  redis.call('ZADD', KEYS[6], ARGV[6], ARGV[7])
  redis.call('EXPIRE', KEYS[6], ARGV[5])
end
redis.call('HINCRBY', KEYS[5], 'started', 1)
redis.call('EXPIRE', KEYS[5], ARGV[9])
return 0
"""
# Stores an outcome and tells about it in one step; 0 when another was first.
# ARGV[7] is what it adds to the metrics (tally.py), ARGV[8] what it teaches (task_samples.py).
# ARGV[11] is 'broken' for a task that did not complete: then each next batch takes some thought.
# ARGV[12] is the tag of the message it comes from ('' for none), whose work is done.
RECORD_OUTCOME = (
    TALLY_LUA
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'e', ARGV[3])
redis.call('EXPIRE', KEYS[3], ARGV[4])
redis.call('DEL', KEYS[4])
if ARGV[11] == 'broken' then redis.call('HSET', KEYS[1], 'broken', 1) end
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[5], ARGV[1], ARGV[6])
  redis.call('EXPIRE', KEYS[5], ARGV[4])
end
if ARGV[8] ~= '' then
  redis.call('LPUSH', KEYS[8], ARGV[8])
  redis.call('LTRIM', KEYS[8], 0, ARGV[9] - 1)
  redis.call('EXPIRE', KEYS[8], ARGV[10])
end
tally(KEYS[6], KEYS[7], ARGV[7])
if ARGV[12] ~= '' then
  redis.call('ZREM', KEYS[9], ARGV[12])
  redis.call('HDEL', KEYS[10], ARGV[12])
end
return 1
"""
)
# Pushes what the run keeps ready for a batch, a list of (list of Redis, the same for a run behind
# others, message), at the end of the list, or at its head where at least `ahead_of` messages wait
# there (0: never). A run is behind when so many of its submission are open before it.
RELEASE_LUA = """
local function release(submission, id, ready, front_runs, forgotten, ahead_of)
  local list = 1
  if submission then
    local open = 'sigmax:submission:' .. submission
    redis.call('ZREMRANGEBYSCORE', open, '-inf', forgotten)
    local rank = redis.call('ZRANK', open, id)
    if rank and rank >= tonumber(front_runs) then list = 2 end
  end
  local push, first, last, by = 'LPUSH', 1, #ready, 1
  if ahead_of > 0 and redis.call('LLEN', ready[1][list]) >= ahead_of then
    push, first, last, by = 'RPUSH', #ready, 1, -1
  end
  for i = first, last, by do redis.call(push, ready[i][list], ready[i][3]) end
end
"""
# RECORD_OUTCOME, and in the same step the join of a chord, when all tasks of its batch have an
# outcome and nobody has joined it yet: the next batch begins where its messages are ready and all
# tasks so far completed, else the body of the chord is sent. The last key is the list for that and
# the last two arguments the body and a JSON object, see TaskStore._joining.
# A count that is the outcomes themselves cannot be lost and does not count a task twice.
RECORD_AND_JOIN = (
    RELEASE_LUA
    + "local function record()"
    + RECORD_OUTCOME
    + """
end
local written = record()
if written < 0 then return written end
local join = cjson.decode(ARGV[#ARGV])
local run = redis.call('HMGET', KEYS[1], 'state', join.mark, 'step', 'broken', 'submission')
if run[1] ~= 'open' then return written end
for _, task in ipairs(join.needs) do
  if redis.call('HEXISTS', KEYS[2], task) == 0 then return written end
end
if run[2] and tonumber(run[2]) >= join.step then return written end
local ready = join.opens and redis.call('HGET', KEYS[1], 'next:' .. join.step)
if ready and tonumber(run[3]) == join.step - 1 and not run[4] then
  redis.call('HSET', KEYS[1], join.mark, join.step, 'step', join.step, 'step_at', join.at,
    'sent', join.step)
  redis.call('HDEL', KEYS[1], 'next:' .. join.step)
  redis.call('XADD', KEYS[3], 'NOMKSTREAM', '*', 'e', join.opens)
  release(run[5], join.run, cjson.decode(ready), join.front_runs, join.forgotten, join.ahead_of)
  return written
end
redis.call('HSET', KEYS[1], join.mark, join.step)
if join.event then redis.call('XADD', KEYS[3], 'NOMKSTREAM', '*', 'e', join.event) end
redis.call('LPUSH', KEYS[#KEYS], ARGV[#ARGV - 1])
return written
"""
)
# Sends the messages of a batch, ARGV[6] of run ARGV[7]. With ARGV[1] the run moves there from the
# batch of that number in the same step, and only one caller gets 1. What follows ARGV[9] are fields
# of the run: the batches to keep ready, and by critical path when each task was sent.
SEND_BATCH = (
    RELEASE_LUA
    + """
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return 0 end
if ARGV[1] ~= '' then
  if redis.call('HGET', KEYS[1], 'step') ~= ARGV[1] then return 0 end
  redis.call('HSET', KEYS[1], 'step', ARGV[2], 'step_at', ARGV[3])
end
redis.call('HSET', KEYS[1], 'sent', ARGV[2])
redis.call('XADD', KEYS[2], 'NOMKSTREAM', 'MAXLEN', '~', ARGV[5], '*', 'e', ARGV[4])
for i = 10, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
local submission = redis.call('HGET', KEYS[1], 'submission')
release(submission, ARGV[7], cjson.decode(ARGV[6]), ARGV[8], ARGV[9], 0)
return 1
"""
)
# Takes a task: lease, time of its first start and event in one step; gives how often it was begun.
# 0 when the run is over, the task has its outcome or another worker holds it; -1 when it was begun
# ARGV[7] times already and nobody finished it.
START_TASK = """
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return 0 end
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 0 end
local owner = redis.call('GET', KEYS[4])
if owner and owner ~= ARGV[2] then return 0 end
local tries = redis.call('HINCRBY', KEYS[1], 'tries:' .. ARGV[1], 1)
if tries > tonumber(ARGV[7]) then return -1 end
redis.call('SET', KEYS[4], ARGV[2], 'PX', ARGV[3])
redis.call('HSETNX', KEYS[1], 'started:' .. ARGV[1], ARGV[4])
redis.call('XADD', KEYS[3], 'NOMKSTREAM', 'MAXLEN', '~', ARGV[6], '*', 'e', ARGV[5])
return tries
"""
# Moves a run from one batch to the next; only one caller per step gets 1.
CLAIM_STEP = """
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return 0 end
if redis.call('HGET', KEYS[1], 'step') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'step', ARGV[2], 'step_at', ARGV[3])
return 1
"""
# Marks tasks as sent while fewer than ARGV[1] of the run's are in work, and gives those it marked;
# each task is marked once. ARGV[2] is the time, ARGV[3] the number of candidates that follow in
# order, behind them stand all other tasks of the run.
CLAIM_TASKS = """
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return {} end
local working, claimed = 0, {}
for i = 4, #ARGV do
  if redis.call('HEXISTS', KEYS[1], 'sent:' .. ARGV[i]) == 1
    and redis.call('HEXISTS', KEYS[2], ARGV[i]) == 0 then working = working + 1 end
end
for i = 4, 3 + tonumber(ARGV[3]) do
  if working >= tonumber(ARGV[1]) then break end
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 0
    and redis.call('HSETNX', KEYS[1], 'sent:' .. ARGV[i], ARGV[2]) == 1 then
    working = working + 1
    claimed[#claimed + 1] = ARGV[i]
  end
end
return claimed
"""
# Closes a run with its record and its journal entry; only the first caller gets 1. Where the
# journal is a file (ARGV[14] is 'file'), the entry is laid beside the record for who writes it.
# ARGV[10] is what it adds to the metrics (tally.py), ARGV[11] whom to tell (outbox.py), ARGV[13]
# how many finished runs are kept: the oldest beyond it go, at most 100 at a time. A cancelled run,
# without a record, is kept shortly.
COMMIT = (
    WRITE_ENTRY_LUA
    + TALLY_LUA
    + OUTBOX_LUA
    + """
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'record', ARGV[2])
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 5) == 'next:' then redis.call('HDEL', KEYS[1], field) end
end
redis.call('ZREM', KEYS[3], ARGV[3])
local submission = redis.call('HGET', KEYS[1], 'submission')
if submission then redis.call('ZREM', 'sigmax:submission:' .. submission, ARGV[3]) end
local finished = ARGV[1] == 'finished'
local kept = finished and ARGV[6] or ARGV[7]
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[8], '*', 'e', ARGV[5])
redis.call('EXPIRE', KEYS[1], kept)
redis.call('EXPIRE', KEYS[2], ARGV[7])
redis.call('EXPIRE', KEYS[5], kept)
redis.call('EXPIRE', KEYS[6], kept)
if finished then
  redis.call('ZADD', KEYS[4], ARGV[4], ARGV[3])
  redis.call('EXPIRE', KEYS[4], ARGV[6])
end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[9])
local over = math.min(redis.call('ZCARD', KEYS[4]) - tonumber(ARGV[13]), 100)
if over > 0 then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[4], 0, over - 1)) do
    for _, kind in ipairs({'run', 'out', 'obs', 'ev', 'cost'}) do
      redis.call('UNLINK', 'sigmax:' .. kind .. ':' .. id)
    end
    redis.call('ZREM', KEYS[4], id)
  end
end
tally(KEYS[7], KEYS[8], ARGV[10])
post(KEYS[9], KEYS[10], KEYS[7], ARGV[11], ARGV[4], ARGV[12])
if ARGV[14] == 'file' then redis.call('HSET', KEYS[1], 'journal', ARGV[15]) end
if ARGV[14] == 'redis' then
  write_entry({KEYS[11], KEYS[12], KEYS[13], KEYS[14]}, ARGV[3], ARGV[15], ARGV[16], ARGV[17])
end
return 1
"""
)
# Begins to conclude run ARGV[3] if it is open: ends its spending and counts one more attempt, but
# several within ARGV[2] seconds, at the same time by several workers, as one; ARGV[1] is the time.
# Gives the attempts, what the run has spent, what its day has, and the outcomes, keys and values in
# turn; nothing for a run that is closed.
BEGIN_CONCLUSION = (
    CLOSE_SPENDING_LUA
    + """
local state, last, tries = unpack(
  redis.call('HMGET', KEYS[1], 'state', 'conclusion_at', 'conclusions'))
if state ~= 'open' then return {} end
local spent = close_spending(KEYS[1], KEYS[2], ARGV[3])
if not last or tonumber(ARGV[1]) - tonumber(last) >= tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'conclusion_at', ARGV[1])
  tries = redis.call('HINCRBY', KEYS[1], 'conclusions', 1)
end
local day = redis.call('HGET', KEYS[4], 'spent') or '0'
return {tonumber(tries), spent, day, redis.call('HGETALL', KEYS[3])}
"""
)
# 1 for the one watchdog that may now send a step of a run once more, of all that would: it was not
# sent in the ARGV[3] seconds before ARGV[2]. ARGV[1] says which step.
NUDGE = """
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return 0 end
local last = redis.call('HGET', KEYS[1], 'nudged:' .. ARGV[1])
if last and tonumber(ARGV[2]) - tonumber(last) < tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], 'nudged:' .. ARGV[1], ARGV[2])
return 1
"""
# Gives those of some tasks of batch ARGV[1] that are still lost: without an outcome and a lease,
# and not sent again by another since. Their clocks begin anew at ARGV[2]. Four arguments for each:
# its id, the field with its clock, what that said, '1' if its worker died; KEYS[4] on its lease.
SEND_AGAIN = """
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return {} end
if redis.call('HGET', KEYS[1], 'step') ~= ARGV[1] then return {} end
local lost = {}
for i = 3, #ARGV, 4 do
  local at = redis.call('HGET', KEYS[1], ARGV[i + 1])
  if at and tonumber(at) == tonumber(ARGV[i + 2])
    and redis.call('HEXISTS', KEYS[2], ARGV[i]) == 0
    and redis.call('EXISTS', KEYS[4 + (i - 3) / 4]) == 0 then lost[#lost + 1] = i end
end
for n, i in ipairs(lost) do
  redis.call('HSET', KEYS[1], ARGV[i + 1], ARGV[2])
  if ARGV[i + 3] == '1' then
    redis.call('HDEL', KEYS[1], 'started:' .. ARGV[i])
    redis.call('HINCRBY', KEYS[3], 'redispatched', 1)
  end
  lost[n] = ARGV[i]
end
if #lost > 0 then redis.call('HSET', KEYS[1], 'step_at', ARGV[2]) end
return lost
"""
# Renews or takes a lease; 0 when another owner holds it or the task has its outcome.
LEASE = """
if redis.call('HEXISTS', KEYS[2], ARGV[3]) == 1 then return 0 end
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_OBSERVATIONS: TypeAdapter[tuple[Observation, ...]] = TypeAdapter(tuple[Observation, ...])


PACK_ABOVE_CHARACTERS = 2_000
_PACKED = "z:"
_OBSERVATIONS_LEVEL = 4
"""Much less work than zlib's own choice, 6, for hardly more room."""


def pack_text(text: str) -> str:
    """A long text compressed, a short one as it is: JSON shrinks to about a fifth."""
    if len(text) <= PACK_ABOVE_CHARACTERS:
        return text
    return _PACKED + base64.b64encode(zlib.compress(text.encode(), 1)).decode()


def unpack_text(text: str) -> str:
    """The reverse of :func:`pack_text`."""
    if not text.startswith(_PACKED):
        return text
    return zlib.decompress(base64.b64decode(text.removeprefix(_PACKED))).decode()


def pack_observations(observations: Sequence[Observation]) -> str:
    """Compressed JSON as text: candles shrink to about a quarter."""
    content = _OBSERVATIONS.dump_json(tuple(observations))
    return base64.b64encode(zlib.compress(content, _OBSERVATIONS_LEVEL)).decode()


def unpack_observations(text: str) -> tuple[Observation, ...]:
    """The reverse of :func:`pack_observations`."""
    return _OBSERVATIONS.validate_json(zlib.decompress(base64.b64decode(text)))
