"""Which facts a backtest compares."""

from __future__ import annotations

import pytest

from overture.backtest.period import Bound, Period, bound, period
from overture.model import Refused, clock

LAST = 1_774_605_600_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", Bound(back=30 * 86_400_000)),
        ("90s", Bound(back=90_000)),
        ("1970-01-01T00:00:01Z", Bound(at=1000)),
        ("1970-01-01T00:00:00Z", Bound(at=0)),
        ("1970-01-01t01:00:00.25+01:00", Bound(at=250)),
    ],
)
def test_an_end_is_a_duration_or_an_instant(text: str, expected: Bound):
    assert bound(text, "since") == expected


@pytest.mark.parametrize("text", ["", "0d", "yesterday", "30", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "-3d"])
def test_anything_else_is_refused(text: str):
    with pytest.raises(Refused) as refused:
        bound(text, "until")
    assert refused.value.code == "backtest.period"
    assert "until" in refused.value.message


def test_durations_count_back_from_the_end_and_the_end_from_the_last_fact():
    assert period(None, None, LAST) == Period(0, LAST + 1)
    assert period(Bound(back=10), None, LAST) == Period(LAST - 9, LAST + 1)
    assert period(Bound(back=10), Bound(back=100), LAST) == Period(LAST - 109, LAST - 99)
    assert period(Bound(at=5), Bound(at=9), LAST) == Period(5, 9)
    with pytest.raises(Refused, match="ends before it begins"):
        period(Bound(at=9), Bound(at=9), LAST)


def test_the_epoch_is_an_instant_like_any_other():
    assert period(Bound(at=0), None, LAST) == Period(0, LAST + 1)
    assert period(Bound(at=-5), Bound(at=0), LAST) == Period(-5, 0)
    with pytest.raises(Refused, match="ends before it begins"):
        period(None, Bound(at=0), LAST)


def test_the_period_begins_where_the_calendar_does():
    longest = bound("999999w", "since")
    begins = period(longest, None, LAST).since
    assert clock.to_text(begins) == "0001-01-01T00:00:00.000Z"
    assert period(bound("0001-01-01T00:00:00Z", "since"), None, LAST).since == begins
    with pytest.raises(Refused, match="ends before it begins"):
        period(longest, longest, LAST)
