"""The steps of the gate in Redis: in, out, and a note on an answer that meant a refusal."""

from __future__ import annotations

from typing import Final

from sigmax_tasks.sources.breaker import BREAKER_LUA
from sigmax_tasks.sources.desk_counts import COUNT_LUA
from sigmax_tasks.sources.quota import QUOTA_LUA

_COMMON: Final = (
    BREAKER_LUA
    + QUOTA_LUA
    + COUNT_LUA
    + """
local function clock_ms(given)
  if given ~= '' then return tonumber(given) end
  local clock = redis.call('TIME')
  return clock[1] * 1000 + math.floor(clock[2] / 1000)
end
local function keep(key, ms) redis.call('PEXPIRE', key, whole(ms)) end

local function cool_down(key, now, ms, why)
  if ms <= 0 then return end
  local before = redis.call('GET', key)
  local till = before and tonumber(string.match(before, '^(%d+) ')) or 0
  if now + ms > till then
    redis.call('SET', key, whole(now + ms) .. ' ' .. why, 'PX', whole(ms))
  end
end

local function note_circuit(key, now, outcome, most, window, open_ms)
  if outcome == 'answered' or outcome == 'refused' then
    circuit_answered(key, now, outcome == 'answered')
  elseif outcome == 'failed' or outcome == 'hung' then
    circuit_failed(key, now, outcome == 'hung', tonumber(most), tonumber(window),
      tonumber(open_ms))
  end
  keep(key, 3600000 + tonumber(open_ms))
end
"""
)

ENTER: Final = (
    _COMMON
    + """
-- KEYS cool, breaker, under way, queue, places, windows...
-- ARGV now, ticket, hold, patience, trust, grace, weight, lease; limit, length, weighted of each
-- window
-- Gives {what, milliseconds, text}.
local now, ticket, weight = clock_ms(ARGV[1]), ARGV[2], tonumber(ARGV[7])
local hold, patience, trust = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local cool = redis.call('GET', KEYS[1])
if cool then
  local till, why = string.match(cool, '^(%d+) (.*)$')
  if tonumber(till) > now then
    leave_queue(KEYS[4], KEYS[5], ticket)
    return {'cool', whole(tonumber(till) - now), why}
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', whole(now))
local flying = redis.call('ZCARD', KEYS[3])
local open = circuit_refusal(KEYS[2], now, flying)
if open then
  leave_queue(KEYS[4], KEYS[5], ticket)
  if open == 0 then return {'trial', '0', ''} end
  return {'open', whole(open - now), whole(open)}
end
if trust > 0 and flying > 0 then
  local ok = tonumber(redis.call('HGET', KEYS[2], 'ok') or '0')
  if now - ok > trust then return {'cold', '0', ''} end
end
if #KEYS > 5 then
  local requests, ahead = ahead_of(KEYS[4], KEYS[5], ticket, now)
  local wait = 0
  for i = 6, #KEYS do
    local at = 9 + (i - 6) * 3
    local needed = ARGV[at + 2] == '1' and ahead + weight or requests + 1
    wait = math.max(wait,
      wait_of(KEYS[i], tonumber(ARGV[at]), tonumber(ARGV[at + 1]), needed, now))
  end
  if wait > patience then
    leave_queue(KEYS[4], KEYS[5], ticket)
    return {'late', whole(wait), ''}
  end
  if wait > 0 then
    if not redis.call('ZSCORE', KEYS[4], ticket) then
      redis.call('ZADD', KEYS[4], redis.call('HINCRBY', KEYS[5], 'arrivals', 1), ticket)
    end
    redis.call('HSET', KEYS[5], ticket,
      whole(now + math.min(wait, 1000) + tonumber(ARGV[6])) .. ':' .. whole(weight))
    keep(KEYS[4], 120000)
    keep(KEYS[5], 120000)
    return {'wait', whole(wait), ''}
  end
  leave_queue(KEYS[4], KEYS[5], ticket)
  for i = 6, #KEYS do
    local at = 9 + (i - 6) * 3
    local length = tonumber(ARGV[at + 1])
    local cost = ARGV[at + 2] == '1' and weight or 1
    redis.call('ZADD', KEYS[i], whole(now + hold + length), ticket .. ':' .. whole(cost))
    keep(KEYS[i], hold + length + 60000)
  end
end
redis.call('ZADD', KEYS[3], whole(now + math.min(hold, tonumber(ARGV[8]))), ticket)
keep(KEYS[3], 120000)
return {'go', '0', ''}
"""
)

LEAVE: Final = (
    _COMMON
    + """
-- KEYS cool, breaker, under way, queue, places, counts, latencies, windows...
-- ARGV now, ticket, weight, outcome, cool, why, failures, window, open; weight said by the provider
-- ('' none), number of its window (0 none), waited, took, lane, problem; then length, weighted of
-- each window
local now, ticket, outcome = clock_ms(ARGV[1]), ARGV[2], ARGV[4]
redis.call('ZREM', KEYS[3], ticket)
leave_queue(KEYS[4], KEYS[5], ticket)
for i = 8, #KEYS do
  local at = 16 + (i - 8) * 2
  local member = ticket .. ':' .. (ARGV[at + 1] == '1' and ARGV[3] or '1')
  if outcome == 'unsent' then
    redis.call('ZREM', KEYS[i], member)
  else
    -- One more, because the clock counts whole milliseconds.
    redis.call('ZADD', KEYS[i], 'XX', whole(now + tonumber(ARGV[at]) + 1), member)
  end
end
if outcome == 'unsent' then return 0 end
cool_down(KEYS[1], now, tonumber(ARGV[5]), ARGV[6])
note_circuit(KEYS[2], now, outcome, ARGV[7], ARGV[8], ARGV[9])
local weighed = tonumber(ARGV[11])
if ARGV[10] ~= '' and weighed > 0 then
  local length = tonumber(ARGV[16 + (weighed - 1) * 2])
  note_used(KEYS[7 + weighed], KEYS[2], length, tonumber(ARGV[10]), now)
  keep(KEYS[7 + weighed], length + 60000)
end
count_request(KEYS[6], KEYS[7], now, outcome, ARGV[12], ARGV[13], ARGV[14], ARGV[15])
return 1
"""
)

STAY: Final = (
    _COMMON
    + """
-- KEYS under way; ARGV now, ticket, lease
redis.call('ZADD', KEYS[1], 'XX', whole(clock_ms(ARGV[1]) + tonumber(ARGV[3])), ARGV[2])
return 1
"""
)

NOTE: Final = (
    _COMMON
    + """
-- KEYS cool, breaker, counts; ARGV now, outcome, cool, why, failures, window, open, problem
local now = clock_ms(ARGV[1])
cool_down(KEYS[1], now, tonumber(ARGV[3]), ARGV[4])
note_circuit(KEYS[2], now, ARGV[2], ARGV[5], ARGV[6], ARGV[7])
note_problem(KEYS[3], now, ARGV[8])
return 1
"""
)
