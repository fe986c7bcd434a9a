"""What followed a decision, on candles made by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from sigmax_tasks.candles import CandleRow
from sigmax_tasks.models.decision import Action
from sigmax_tasks.models.journal import Hit, JournalEntry, Outcome
from sigmax_tasks.stages.resolve import (
    MOST_CANDLES,
    NO_PRICE,
    NOT_OVER,
    StillOpen,
    resolve,
    span_of,
)
from tests.unit.journal.builders import AS_OF, entry

HOUR = 3600
OVER = AS_OF + timedelta(hours=4)


def candle(hour: float, opened: float, high: float, low: float, close: float) -> CandleRow:
    """One that opens that many hours after the decision."""
    at = round((AS_OF + timedelta(hours=hour)).timestamp() * 1000)
    return (at, opened, high, low, close, 1.0)


def calm(*hours: float, price: float = 101.0) -> list[CandleRow]:
    return [candle(hour, price, price + 1, price - 1, price) for hour in hours]


def look(rows: list[CandleRow], moment: datetime = OVER, **changes: Any) -> Outcome | StillOpen:
    return resolve(
        entry(1, **changes), rows, HOUR, moment=moment, resolved_at=OVER, candles="kraken 1h"
    )


def ended(rows: list[CandleRow], **changes: Any) -> Outcome:
    found = look(rows, **changes)
    assert isinstance(found, Outcome), found
    return found


def test_the_target_ends_it_at_the_target() -> None:
    found = ended([*calm(0, 1), candle(2, 105, 112, 104, 111), *calm(3, price=90)])
    assert (found.hit, found.exit_price, found.correct) == (Hit.TARGET, 110.0, True)
    assert found.return_fraction == pytest.approx(0.10)
    assert found.exit_at == AS_OF + timedelta(hours=3)
    assert (found.resolved_at, found.candles) == (OVER, "kraken 1h")


def test_the_stop_ends_it_at_the_stop() -> None:
    found = ended([*calm(0), candle(1, 99, 100, 94, 99), *calm(2, 3)])
    assert (found.hit, found.exit_price, found.correct) == (Hit.STOP, 95.0, False)
    assert found.return_fraction == pytest.approx(-0.05)


def test_stop_and_target_in_one_candle_count_as_the_stop() -> None:
    found = ended([candle(0, 100, 115, 90, 114), *calm(1, 2, 3)])
    assert (found.hit, found.correct) == (Hit.STOP, False)


def test_a_gap_beyond_the_stop_ends_at_the_open_one_beyond_the_target_at_the_target() -> None:
    down = ended([*calm(0), candle(1, 91, 92, 90, 91), *calm(2, 3)])
    assert (down.hit, down.exit_price) == (Hit.STOP, 91.0)
    up = ended([*calm(0), candle(1, 120, 121, 119, 120), *calm(2, 3)])
    assert (up.hit, up.exit_price) == (Hit.TARGET, 110.0)


def test_a_level_that_is_just_touched_counts() -> None:
    assert ended([candle(0, 100, 110, 99, 100), *calm(1, 2, 3)]).hit is Hit.TARGET
    assert ended([candle(0, 100, 101, 95, 100), *calm(1, 2, 3)]).hit is Hit.STOP


def test_the_horizon_ends_it_at_the_last_close() -> None:
    found = ended([*calm(0, 1, 2), candle(3, 101, 104, 100, 103)])
    assert (found.hit, found.exit_price, found.correct) == (Hit.HORIZON, 103.0, True)
    assert found.return_fraction == pytest.approx(0.03)
    assert found.exit_at == OVER
    assert ended([*calm(0, 1, 2), candle(3, 100, 101, 99, 100)]).correct is False, "no gain"


@pytest.mark.parametrize(
    ("last", "hit", "price", "gained"),
    [
        (candle(3, 100, 101, 89, 95), Hit.TARGET, 90.0, 0.10),
        (candle(3, 100, 106, 99, 100), Hit.STOP, 105.0, -0.05),
        (candle(3, 107, 108, 89, 100), Hit.STOP, 107.0, -0.07),
        (candle(3, 100, 101, 97, 98), Hit.HORIZON, 98.0, 0.02),
    ],
)
def test_a_sell_gains_from_a_fall(last: CandleRow, hit: Hit, price: float, gained: float) -> None:
    sell = {"action": Action.SELL, "stop": 105.0, "target": 90.0}
    found = ended([*calm(0, 1, 2, price=100), last], **sell)
    assert (found.hit, found.exit_price) == (hit, price)
    assert found.return_fraction == pytest.approx(gained)
    assert found.correct is (gained > 0)


def test_a_hold_is_neither_right_nor_wrong_and_knows_no_levels() -> None:
    found = ended([*calm(0, 1, 2), candle(3, 101, 200, 50, 120)], action=Action.HOLD)
    assert (found.hit, found.correct) == (Hit.HORIZON, None)
    assert found.return_fraction == pytest.approx(0.20)


def test_it_stays_open_until_the_horizon_has_passed_even_if_a_level_was_reached() -> None:
    rows = [candle(0, 100, 115, 99, 114), *calm(1, 2)]
    assert look(rows, moment=OVER - timedelta(seconds=1)) == StillOpen(NOT_OVER)


def test_without_a_reference_price_nothing_can_be_said() -> None:
    assert look(calm(0, 1, 2, 3), reference=None) == StillOpen(NO_PRICE)


def test_what_was_before_the_decision_and_after_the_horizon_is_not_looked_at() -> None:
    wild = [candle(-1, 100, 200, 50, 100), candle(-0.5, 100, 200, 50, 100)]
    later = [candle(3.5, 100, 200, 50, 150), candle(4, 100, 200, 50, 150)]
    found = ended([*wild, *calm(0, 1, 2, 3), *later])
    assert (found.hit, found.exit_price) == (Hit.HORIZON, 101.0)


def test_the_candle_that_was_running_at_the_decision_is_left_out() -> None:
    rows = [candle(-0.5, 100, 150, 50, 100), *calm(0.5, 1.5, 2.5)]
    assert ended(rows).hit is Hit.HORIZON


def test_missing_candles_leave_it_open() -> None:
    nothing = "no candles of the time after the decision"
    assert look([]) == StillOpen(nothing)
    late = entry(1, horizon_hours=10.0)
    over = AS_OF + timedelta(hours=10)

    def told(*hours: float) -> str:
        found = resolve(late, calm(*hours), HOUR, moment=over, resolved_at=over)
        return found.reason if isinstance(found, StillOpen) else found.hit.value

    assert told(3, 4, 5, 6, 7, 8, 9) == nothing
    assert told(0, 1, 2, 6, 7, 8, 9) == "candles of the time after the decision are missing"
    assert told(0, 1, 2, 3, 4, 5, 6) == "no candles of the end of its horizon"
    assert told(0, 1, 2, 3, 5, 6, 7, 9) == "horizon", "one without a trade is no gap"


def test_a_level_reached_before_a_hole_needs_nothing_behind_it() -> None:
    assert ended([candle(0, 100, 112, 99, 111)]).hit is Hit.TARGET


@pytest.mark.parametrize(
    ("hours", "timeframe"),
    [(4, "5m"), (24, "5m"), (48, "15m"), (72, "15m"), (168, "1h"), (9000, "1d")],
)
def test_the_finest_candles_that_one_answer_holds_are_asked_for(
    hours: float, timeframe: str
) -> None:
    span = span_of(entry(1, horizon_hours=float(hours)))
    assert span.timeframe == timeframe
    assert span.count * span.seconds >= hours * HOUR
    assert span.count <= MOST_CANDLES or timeframe == "1d"
    assert span.until == AS_OF + timedelta(hours=hours)


def test_the_same_candles_give_the_same_outcome() -> None:
    rows = [*calm(0, 1), candle(2, 105, 112, 104, 111), *calm(3)]
    one: JournalEntry = entry(1)
    first = resolve(one, rows, HOUR, moment=OVER, resolved_at=OVER)
    assert first == resolve(one, rows, HOUR, moment=OVER + timedelta(days=9), resolved_at=OVER)
