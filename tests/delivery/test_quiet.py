"""Quiet hours are asked once more right before a hand-off, by the clock of where the contact is then."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from overture.delivery.quiet import asked_again
from overture.model import Contact, Message

NIGHT = (21 * 60, 8 * 60)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu", "UTC")


def message(*quiet: tuple[int, int], **more: Any) -> Message:
    known = {"channel": "email", "template": "t", "purpose": "lifecycle", "to": "", "ruleset": "r", "revision": "1"}
    return Message("m", "ada", **known, rule="r/r", fact="f", created_at=0, quiet=list(quiet), **more)


def at(text: str, zone: str = "Europe/Berlin") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def ada(zone: str = "Europe/Berlin") -> Contact:
    return Contact("ada", traits={"timezone": zone})


@pytest.mark.parametrize(
    ("then", "until"),
    [
        ("2026-03-20T20:59:59", ""),
        ("2026-03-20T21:00", "2026-03-21T08:00"),
        ("2026-03-21T07:59:59", "2026-03-21T08:00"),
        ("2026-03-21T08:00", ""),
        ("2026-03-28T23:00", "2026-03-29T08:00"),
        ("2026-10-24T23:00", "2026-10-25T08:00"),
    ],
)
def test_it_is_put_off_to_their_end(then: str, until: str) -> None:
    kept = asked_again(message(NIGHT), ada(), at(then))
    if not until:
        assert kept is None
        return
    assert kept is not None
    assert kept.until == at(until)
    assert kept.reason.startswith("quiet.held: It came in the contact's quiet hours (21:00–08:00) and waits until ")
    assert f"{until}:00+0" in kept.reason


def test_who_moved_has_the_clocks_of_there() -> None:
    now = at("2026-03-20T20:00")
    assert asked_again(message(NIGHT), ada(), now) is None
    kept = asked_again(message(NIGHT), ada("Asia/Tokyo"), now)
    assert kept is not None
    assert kept.until == at("2026-03-21T08:00", "Asia/Tokyo")


def test_what_may_not_wait_so_long_goes_no_more() -> None:
    night = at("2026-03-20T23:00")
    kept = asked_again(message(NIGHT, at_once=True), ada(), night)
    assert kept is not None
    assert (kept.until, kept.reason.partition(":")[0]) == (None, "quiet.expired")
    kept = asked_again(message(NIGHT, expires=at("2026-03-21T07:59")), ada(), night)
    assert kept is not None
    assert (kept.until, kept.reason.partition(":")[0]) == (None, "late.expired")
    assert "2026-03-21T07:59:00+01:00" in kept.reason
    kept = asked_again(message(NIGHT, expires=at("2026-03-21T08:00")), ada(), night)
    assert kept is not None
    assert kept.until == at("2026-03-21T08:00")
    kept = asked_again(message((0, 720), (720, 1440)), ada(), night)
    assert kept is not None
    assert (kept.until, kept.reason.partition(":")[0]) == (None, "quiet.expired")


def test_what_has_no_quiet_hours_goes_at_any_time() -> None:
    assert asked_again(message(), ada(), at("2026-03-20T23:00")) is None


@given(
    st.sampled_from(ZONES),
    st.integers(at("2026-01-01T00:00"), at("2026-12-31T00:00")),
    st.lists(st.tuples(st.integers(0, 1439), st.integers(0, 1439)).filter(lambda q: q[0] != q[1]), max_size=2),
)
@example("Europe/Berlin", at("2026-03-29T01:30"), [(60, 150)])
@example("Europe/Berlin", at("2026-10-25T02:10"), [(60, 150)])
def test_once_put_off_it_goes_and_never_in_quiet_hours(zone: str, now: int, quiet: list[tuple[int, int]]) -> None:
    kept = asked_again(message(*quiet), ada(zone), now)
    then = now if kept is None else kept.until
    if then is None:
        return  # quiet at all hours
    assert then >= now
    assert (then > now) == (kept is not None)
    assert asked_again(message(*quiet), ada(zone), then) is None
    local = datetime.fromtimestamp(then // 1000, ZoneInfo(zone))
    minute = 60 * local.hour + local.minute
    assert not any(s <= minute < e if s < e else minute >= s or minute < e for s, e in quiet)
