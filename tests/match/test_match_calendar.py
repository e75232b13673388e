"""Local times across the days on which clocks are put, against the calendar of the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overture.match.calendar import add_days, next_local

ZONES = [
    ZoneInfo(name)
    for name in (
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",  # midnight was skipped
        "America/Havana",  # midnight came twice
        "Australia/Lord_Howe",  # by half an hour
        "Asia/Kathmandu",
        "Africa/Casablanca",
        "Pacific/Apia",  # a whole day was skipped
    )
]
instants = st.datetimes(datetime(2008, 1, 1), datetime(2037, 1, 1)).map(
    lambda d: int(d.replace(tzinfo=UTC).timestamp() * 1000)
)


def at(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def shown(ms: int, zone: str) -> str:
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("begin", "days", "expected"),
    [
        ("2026-03-26T15:00", 7, "2026-04-02T15:00+02:00"),  # clocks were put forward between
        ("2026-10-22T15:00", 7, "2026-10-29T15:00+01:00"),  # and back
        ("2026-03-28T02:30", 1, "2026-03-29T03:00+02:00"),  # skipped: the first instant after
        ("2026-10-24T02:30", 1, "2026-10-25T02:30+02:00"),  # twice: the earlier one
    ],
)
def test_days_keep_the_time_on_the_wall(begin: str, days: int, expected: str) -> None:
    assert shown(add_days(at(begin, "Europe/Berlin"), days, ZoneInfo("Europe/Berlin")), "Europe/Berlin") == expected


@pytest.mark.parametrize(
    ("now", "minute", "weekdays", "expected"),
    [
        ("2026-06-01T08:59", 540, (), "2026-06-01T09:00+02:00"),
        ("2026-06-01T09:00", 540, (), "2026-06-02T09:00+02:00"),  # strictly later
        ("2026-06-01T09:00", 540, (1,), "2026-06-08T09:00+02:00"),
        ("2026-06-03T12:00", 540, (1, 2), "2026-06-08T09:00+02:00"),
        ("2026-03-29T00:00", 150, (), "2026-03-29T03:00+02:00"),
        ("2026-10-25T01:00", 150, (), "2026-10-25T02:30+02:00"),
        ("2026-06-01T12:00", 0, (), "2026-06-02T00:00+02:00"),
    ],
)
def test_the_next_local_time(now: str, minute: int, weekdays: tuple[int, ...], expected: str) -> None:
    found = next_local(at(now, "Europe/Berlin"), minute, weekdays, ZoneInfo("Europe/Berlin"))
    assert shown(found, "Europe/Berlin") == expected


def test_of_a_time_that_comes_twice_only_the_first_counts() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = next_local(at("2026-10-25T01:00", "Europe/Berlin"), 150, (), berlin)
    assert shown(next_local(first, 150, (), berlin), "Europe/Berlin") == "2026-10-26T02:30+01:00"


@given(instants, st.integers(0, 1439), st.sets(st.integers(1, 7)), st.sampled_from(ZONES))
def test_the_next_local_time_is_the_first_one_later(now: int, minute: int, weekdays: set[int], zone: ZoneInfo) -> None:
    found = next_local(now, minute, weekdays, zone)
    assert found > now
    local = datetime.fromtimestamp(found / 1000, zone)
    wall = local.hour * 60 + local.minute
    if wall != minute or local.second:
        just_before = datetime.fromtimestamp((found - 1) / 1000, zone)
        assert just_before.utcoffset() != local.utcoffset(), "only where clocks skip it"
    elif weekdays:
        assert local.isoweekday() in weekdays
    # Nothing in between shows it for the first time.
    probe = now - now % 60_000 + 60_000
    while probe < min(found, now + 26 * 3_600_000):
        seen = datetime.fromtimestamp(probe / 1000, zone)
        if seen.hour * 60 + seen.minute == minute and (not weekdays or seen.isoweekday() in weekdays):
            again = datetime.fromtimestamp(probe / 1000, zone)
            assert again.fold == 1, f"{again} was passed over"
        probe += 60_000


@given(instants, st.integers(1, 400), st.sampled_from(ZONES))
def test_days_are_days_of_the_calendar(now: int, days: int, zone: ZoneInfo) -> None:
    found = add_days(now, days, zone)
    before, after = (datetime.fromtimestamp(ms / 1000, zone) for ms in (now, found))
    wanted = before.replace(tzinfo=None) + timedelta(days=days)
    assert (
        after.replace(tzinfo=None) == wanted
        or datetime.fromtimestamp((found - 1) / 1000, zone).utcoffset() != after.utcoffset()
    )
    assert after.fold == 0
