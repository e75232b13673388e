"""When a source that failed is run again."""

from __future__ import annotations

from overture.plugin.breaker import left_alone
from overture.plugin.cutoff import Blocked
from overture.plugin.rerun import STEADY, Rerun
from overture.plugin.steps import AGAIN, STRETCH

FAILED, BLOCKED = ConnectionError("away"), Blocked("The source slow", 0.25, "")


def test_it_waits_twice_as_long_each_time_and_no_longer_than_a_minute() -> None:
    rerun = Rerun()
    assert [rerun.after(FAILED, 0.1) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_run_that_went_well_for_a_minute_begins_anew() -> None:
    rerun = Rerun()
    assert [rerun.after(FAILED, lasted) for lasted in (0.1, 0.1, STEADY, STEADY + 1, 0.1)] == [1, 2, 4, 1, 2]


def test_what_blocks_is_left_alone_and_has_little_time_then() -> None:
    rerun = Rerun()
    assert rerun.stretch == STRETCH
    assert [rerun.after(BLOCKED, 0.3) for _ in range(3)] == [left_alone(1), left_alone(2), left_alone(3)]
    assert rerun.stretch == AGAIN
    assert rerun.after(FAILED, 0.1) == 60, "it fails besides: not sooner than any other"


def test_a_block_long_after_the_last_is_the_first_again() -> None:
    rerun = Rerun()
    pauses = [rerun.after(BLOCKED, lasted) for lasted in (0.3, 0.3, 3600.0)]
    assert pauses == [left_alone(1), left_alone(2), left_alone(1)]
    assert rerun.after(FAILED, 3600.0) == 1
    assert rerun.stretch == STRETCH
