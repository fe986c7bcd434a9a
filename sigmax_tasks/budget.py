"""Money: what a run, and all runs of a day, may spend. Taken in Redis before it is spent.

A piece of work (a task, the debate) has an :class:`Allowance` under a name that is unique in its
run. It *reserves* what it expects to spend, so that it does not begin what it cannot pay for; it
*spends* the price of each request right before the request is made; it *settles* when it is done.
A request that costs more than is left of the reservation needs the rest from the limits, at once,
or is refused. So at any moment spent + reserved is within both limits, and what is spent is known
in Redis before it is spent, whoever dies. Each step is one Lua script. Nothing that is free asks
Redis at all.

A run counts on the UTC day of its submission, whole. Live runs share the daily limit with live
runs, simulated and replayed ones, which cost nobody anything, among themselves.

========================  ====  ====================================================================
``sigmax:cost:RUN``       hash  ``spent``, ``held``, per item ``s:ITEM``, ``h:ITEM``, ``day`` (key)
``sigmax:spend:W:DAY``    hash  ``spent``, ``held``, ``h:RUN``: all runs of world W and that day
``...:DAY:holds``         zset  runs that hold something, by when that ends whatever happens
========================  ====  ====================================================================

All amounts in them are whole micro-dollars. ``closed`` in the hash of the run ends its spending.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Final, cast

import redis

from sigmax_planner.models import DataMode
from sigmax_tasks import clock
from sigmax_tasks.errors import OverBudgetError, SpendRefusedError

WORLDS: Final = ("live", "play")
_MICRO: Final = Decimal(1_000_000)
_DAY_KEPT_SECONDS: Final = 3 * 86_400
_CLOSED_KEPT_SECONDS: Final = 3_600

_COMMON = """
local function num(key, field) return tonumber(redis.call('HGET', key, field) or '0') end
local function add(key, field, amount)
  if amount ~= 0 then redis.call('HINCRBY', key, field, string.format('%.0f', amount)) end
end
-- Gives up to `amount` of what the item holds back to both ledgers.
local function let_go(cost, day, run, item, amount)
  amount = math.min(amount, num(cost, 'h:' .. item))
  add(cost, 'h:' .. item, -amount)
  add(cost, 'held', -amount)
  amount = math.min(amount, num(day, 'h:' .. run))
  add(day, 'h:' .. run, -amount)
  add(day, 'held', -amount)
end
local function hold(cost, day, holds, run, item, amount, expires)
  add(cost, 'h:' .. item, amount)
  add(cost, 'held', amount)
  add(day, 'h:' .. run, amount)
  add(day, 'held', amount)
  redis.call('ZADD', holds, expires, run)
end
"""

# Reserves (ARGV[2] 'reserve': the item holds that much from now on) or spends. Gives
# {-1} when the run is over, {0, left of the run's limit} or {1, left of the day's} when refused,
# else {2, spent by the item}.
_TAKE = (
    _COMMON
    + """
local run, cost, day, holds = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local item, amount, now, expires, id = ARGV[1], tonumber(ARGV[3]), ARGV[6], ARGV[7], ARGV[8]
if redis.call('HGET', run, 'state') ~= 'open' or redis.call('HEXISTS', run, 'closed') == 1
  or tonumber(now) >= tonumber(expires) then return {-1, 0} end
-- What the runs that are past their end still hold is free again.
for _, old in ipairs(redis.call('ZRANGEBYSCORE', holds, '-inf', now)) do
  add(day, 'held', -num(day, 'h:' .. old))
  redis.call('HDEL', day, 'h:' .. old)
  redis.call('ZREM', holds, old)
end
local held = num(cost, 'h:' .. item)
local more = amount - held
if more > 0 and ARGV[4] ~= '' then
  local left = tonumber(ARGV[4]) - num(cost, 'spent') - num(cost, 'held')
  if more > left then return {0, left + held} end
end
if more > 0 and ARGV[5] ~= '' then
  local left = tonumber(ARGV[5]) - num(day, 'spent') - num(day, 'held')
  if more > left then return {1, left + held} end
end
if ARGV[2] == 'reserve' then
  if more > 0 then hold(cost, day, holds, id, item, more, expires) end
  if more < 0 then let_go(cost, day, id, item, -more) end
else
  let_go(cost, day, id, item, amount)
  add(cost, 'spent', amount)
  add(cost, 's:' .. item, amount)
  add(day, 'spent', amount)
end
redis.call('HSET', cost, 'day', day)
redis.call('EXPIRE', cost, ARGV[9])
redis.call('EXPIRE', day, ARGV[10])
redis.call('EXPIRE', holds, ARGV[10])
return {2, num(cost, 's:' .. item)}
"""
)
# Takes back what was spent too much; the item holds it again while its run is open.
_GIVE_BACK = (
    _COMMON
    + """
local run, cost, day, holds = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local item, amount = ARGV[1], tonumber(ARGV[2])
amount = math.min(amount, num(cost, 's:' .. item))
if amount <= 0 then return num(cost, 's:' .. item) end
add(cost, 'spent', -amount)
add(cost, 's:' .. item, -amount)
add(day, 'spent', -amount)
if redis.call('HGET', run, 'state') == 'open' and redis.call('HEXISTS', run, 'closed') == 0 then
  hold(cost, day, holds, ARGV[3], item, amount, ARGV[4])
end
return num(cost, 's:' .. item)
"""
)
# Ends an item: what it still holds is free again. Gives what it has spent, over all its workers.
_SETTLE = (
    _COMMON
    + """
let_go(KEYS[1], KEYS[2], ARGV[2], ARGV[1], num(KEYS[1], 'h:' .. ARGV[1]))
return num(KEYS[1], 's:' .. ARGV[1])
"""
)
CLOSE_SPENDING_LUA = f"""
local function close_spending(run, cost, id)
  if redis.call('EXISTS', run) == 1 then redis.call('HSET', run, 'closed', '1') end
  local day = redis.call('HGET', cost, 'day')
  if not day then return 0 end
  local held = tonumber(redis.call('HGET', day, 'h:' .. id) or '0')
  if held ~= 0 then redis.call('HINCRBY', day, 'held', string.format('%.0f', -held)) end
  redis.call('HDEL', day, 'h:' .. id)
  redis.call('ZREM', day .. ':holds', id)
  for _, field in ipairs(redis.call('HKEYS', cost)) do
    if string.sub(field, 1, 2) == 'h:' or field == 'held' then redis.call('HDEL', cost, field) end
  end
  redis.call('EXPIRE', cost, {_CLOSED_KEPT_SECONDS})
  return tonumber(redis.call('HGET', cost, 'spent') or '0')
end
"""
"""Lua of a function that ends the spending of a run and frees what it holds, any number of times.

Gives what it has spent. Part of the step that begins to conclude a run.
"""
_CLOSE = CLOSE_SPENDING_LUA + "return close_spending(KEYS[1], KEYS[2], ARGV[1])"


@dataclass(frozen=True)
class Account:
    """Whose money it is: one run, its limits (None: none) and the day that it counts on.

    What the run holds is free again at ``expires_at`` (unix seconds) whatever happens, and nothing
    can be spent from then on. ``keep_seconds`` is the life of its ledger.
    """

    run_id: str
    world: str
    day: str
    run_limit_usd: Decimal | None
    day_limit_usd: Decimal | None
    expires_at: float
    keep_seconds: int


@dataclass(frozen=True)
class DaySpend:
    """USD that the runs of a day have spent, and hold for requests they have not made yet."""

    spent_usd: Decimal
    held_usd: Decimal


class Ledger:
    """The money of the runs of one cluster. Thread-safe. ``client`` decodes its answers to text."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._take_script = client.register_script(_TAKE)
        self._give_back_script = client.register_script(_GIVE_BACK)
        self._settle_script = client.register_script(_SETTLE)
        self._close_script = client.register_script(_CLOSE)

    def allowance(self, account: Account, item: str) -> Allowance:
        """For one piece of work of a run; ``item`` is its name there (a task's id, ``debate``)."""
        return Allowance(self, account, item)

    def close(self, run_id: str) -> Decimal:
        """End the spending of a run and free what it holds, once and for all.

        Gives the USD it has spent; calling it again gives the same.
        """
        spent = self._close_script(
            keys=[f"sigmax:run:{run_id}", f"sigmax:cost:{run_id}"],
            args=[run_id],
        )
        return usd_of(spent)

    def day(self, world: str, day: str) -> DaySpend:
        """What all runs of a day have spent so far, and hold."""
        return day_spend(
            cast("list[str | None]", self._redis.hmget(spend_key(world, day), ["spent", "held"]))
        )

    def carry(self, world: str, day: str, usd: Decimal) -> None:
        """Count what was spent that day elsewhere; for a cluster that begins."""
        key = spend_key(world, day)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hincrby(key, "spent", _micro(usd))
            pipe.expire(key, _DAY_KEPT_SECONDS)
            pipe.execute()

    def take(self, account: Account, item: str, how: str, usd: Decimal) -> Decimal:
        """``how`` is ``reserve`` or ``spend``; gives the USD the item has spent so far."""
        amount = _micro(usd)
        verdict, value = cast(
            "list[int]",
            self._take_script(
                keys=self._keys(account),
                args=[
                    item,
                    how,
                    amount,
                    _limit(account.run_limit_usd),
                    _limit(account.day_limit_usd),
                    clock.now().timestamp(),
                    account.expires_at,
                    account.run_id,
                    account.keep_seconds,
                    _DAY_KEPT_SECONDS,
                ],
            ),
        )
        if verdict == 2:
            return usd_of(value)
        if verdict == -1:
            raise SpendRefusedError("nothing is paid for any more: the run is over")
        limit = account.day_limit_usd if verdict == 1 else account.run_limit_usd
        raise OverBudgetError(
            needed_usd=usd,
            left_usd=max(Decimal(0), usd_of(value)),
            limit_usd=limit if limit is not None else Decimal(0),
            whose="the day" if verdict == 1 else "the run",
        )

    def give_back(self, account: Account, item: str, usd: Decimal) -> Decimal:
        """Take back USD that were spent on the item and not needed; gives what it has spent."""
        return usd_of(
            self._give_back_script(
                keys=self._keys(account),
                args=[item, _micro_down(usd), account.run_id, account.expires_at],
            )
        )

    def settle(self, account: Account, item: str) -> Decimal:
        """End an item; gives what it has spent."""
        _, cost, day, _ = self._keys(account)
        return usd_of(self._settle_script(keys=[cost, day], args=[item, account.run_id]))

    @staticmethod
    def _keys(account: Account) -> list[str]:
        day = spend_key(account.world, account.day)
        return [
            f"sigmax:run:{account.run_id}",
            f"sigmax:cost:{account.run_id}",
            day,
            f"{day}:holds",
        ]


class Allowance:
    """What one piece of work may spend. Thread-safe; of no use once it is settled or left.

    ``spent_usd`` is what was spent under its name, by workers that died before this one as well.
    """

    def __init__(self, ledger: Ledger, account: Account, item: str) -> None:
        self._ledger = ledger
        self._account = account
        self._item = item
        self._lock = threading.Lock()
        self._used = False
        self._over = False
        self._spent = Decimal(0)

    @property
    def spent_usd(self) -> Decimal:
        with self._lock:
            return self._spent

    def reserve(self, usd: Decimal) -> None:
        """Hold that much for this work, in place of what it held before.

        Raises :class:`OverBudgetError` where it does not fit, :class:`SpendRefusedError` when the
        run is over or the ledger does not answer.
        """
        self._take("reserve", usd)

    def spend(self, usd: Decimal) -> None:
        """To be called right before what costs that much; errors as :meth:`reserve`.

        What exceeds the reservation is taken from what the limits leave.
        """
        self._take("spend", usd)

    def give_back(self, usd: Decimal) -> None:
        """What :meth:`spend` took too much; the work holds it again."""
        with self._lock:
            if usd <= 0 or not self._used:
                return
            try:
                self._spent = self._ledger.give_back(self._account, self._item, usd)
            except redis.RedisError as error:
                raise _no_answer(error) from error

    def settle(self) -> Decimal:
        """Nothing more is spent; what is left of the reservation is free. The USD spent.

        A ledger that does not answer frees it when the run ends.
        """
        with self._lock:
            self._over = True
            if self._used:
                try:
                    self._spent = self._ledger.settle(self._account, self._item)
                except redis.RedisError:
                    return self._spent
            return self._spent

    def leave(self) -> None:
        """Another worker goes on with this work: nothing more is spent from here."""
        with self._lock:
            self._over = True

    def _take(self, how: str, usd: Decimal) -> None:
        if usd <= 0:
            return
        with self._lock:
            if self._over:
                raise SpendRefusedError("nothing is paid for any more: the work is over")
            self._used = True
            try:
                self._spent = self._ledger.take(self._account, self._item, how, usd)
            except redis.RedisError as error:
                raise _no_answer(error) from error


def spend_key(world: str, day: str) -> str:
    """The hash of a day."""
    return f"sigmax:spend:{world}:{day}"


def day_spend(spent_and_held: Sequence[str | None]) -> DaySpend:
    """From the fields ``spent`` and ``held`` of a day's hash."""
    spent, held = spent_and_held
    return DaySpend(usd_of(spent or 0), usd_of(held or 0))


def world_of(data_mode: DataMode) -> str:
    """Live runs pay real money; the others play."""
    return "live" if data_mode is DataMode.LIVE else "play"


def day_of(moment: datetime) -> str:
    """The UTC day, ``2025-03-14``."""
    return moment.astimezone(UTC).date().isoformat()


def lower(first: Decimal | None, second: Decimal | None) -> Decimal | None:
    """The stricter of two limits, None where there is none."""
    both = [limit for limit in (first, second) if limit is not None]
    return min(both) if both else None


def _no_answer(error: redis.RedisError) -> SpendRefusedError:
    return SpendRefusedError(f"nothing is paid for: no ledger ({type(error).__name__})")


def _micro(usd: Decimal) -> int:
    """Whole micro-dollars, rounded up: no fraction is spent for nothing."""
    return int((usd * _MICRO).to_integral_value(ROUND_CEILING))


def _micro_down(usd: Decimal) -> int:
    return int(usd * _MICRO)


def _limit(usd: Decimal | None) -> str:
    return "" if usd is None else str(_micro_down(usd))


def usd_of(micro: object) -> Decimal:
    """From whole micro-dollars, as Redis has them."""
    return Decimal(int(cast("str", micro))) / _MICRO
