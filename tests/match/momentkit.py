"""Instants where calendars are awkward, and a naive calendar to hold the real one to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from overture.rules.report import Report
from overture.rules.syntax import parse_syntax
from overture.rules.tree import Literal, Node, Place

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu",
    "Australia/Lord_Howe",  # by half an hour
    "America/St_Johns",  # at 00:01, so that a day begins twice
    # at midnight: 00:00 is skipped, or comes twice
    "America/Havana", "Atlantic/Azores", "Asia/Beirut", "America/Sao_Paulo",
    "Pacific/Apia",  # a day without hours: 2011-12-30
    "Africa/Casablanca",
]  # fmt: skip
FIRST, LAST = datetime(2009, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def shown(at: int, zone: str) -> datetime:
    """What clocks show, without zone."""
    return datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).replace(tzinfo=None)


@cache
def transitions(zone: str) -> list[int]:
    """When clocks are put, to the minute, over twenty years."""
    found: list[int] = []
    info = ZoneInfo(zone)

    def offset(at: int) -> timedelta | None:
        return datetime.fromtimestamp(at / 1000, info).utcoffset()

    for at in range(ms(FIRST), ms(LAST), 7 * DAY):
        low, high = at, at + 7 * DAY
        if offset(low) != offset(high):
            while high - low > MINUTE:
                middle = low + (high - low) // MINUTE // 2 * MINUTE
                low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
            found.append(high)
    return found


_edges = st.sampled_from([datetime(y, m, d, tzinfo=UTC) for y in (2011, 2012, 2024, 2025) for m, d in (
    (1, 1), (2, 28), (3, 1), (12, 30), (12, 31), (10, 26), (3, 30))] + [datetime(2024, 2, 29, tzinfo=UTC)])  # fmt: skip


def moments(zone: str) -> st.SearchStrategy[int]:
    """Instants, mostly near where clocks are put, days and months end."""
    bases = [_edges.map(ms), st.integers(ms(FIRST), ms(LAST))]
    if transitions(zone):
        bases.append(st.sampled_from(transitions(zone)))
    near = st.sampled_from([0, 1, -1, MINUTE, HOUR, -HOUR, DAY, -DAY, 23 * HOUR, 25 * HOUR, 7 * DAY])
    return st.builds(int.__add__, st.one_of(bases), st.one_of(near, st.integers(-40 * HOUR, 40 * HOUR)))


@cache
def naive_start(at: int, calendar: str, zone: str) -> int:
    """The first minute of the latest local day (week, month) that has begun at an instant."""

    def day(minute: int) -> date:
        return shown(minute, zone).date()

    here = at // MINUTE * MINUTE
    today = max(day(here - h * 30 * MINUTE) for h in range(8))
    today = max([today, *(day(here - m * MINUTE) for m in range(62))])
    first = {
        "day": today,
        "week": today - timedelta(days=today.isoweekday() - 1),
        "month": date(today.year, today.month, 1),
    }[calendar]
    begin = ms(datetime(first.year, first.month, first.day, tzinfo=UTC)) - 26 * HOUR  # no zone is as far ahead
    while day(begin) < first:
        begin += MINUTE
    return begin


def tree(source: str) -> Node:
    """The unchecked tree of an expression."""
    report = Report()
    node = parse_syntax(source, lambda i: Place(1, i + 1), {"hot": Literal(3)}, report)
    assert node is not None, report.diagnostics
    return node
