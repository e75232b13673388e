"""Waits by the contact's clock, against somebody who looks at the wall every minute: `bench/dst.py` has many more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from decidekit import plan
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide import step
from overture.model import Contact, Fact, Step

MINUTE = timedelta(minutes=1)
TIMES = ["00:00", "01:30", "02:00", "02:15", "02:30", "03:00", "09:00", "23:59"]
WAITS = [
    *[(0, time, days) for time in TIMES for days in ("", "sun", "mon, sat")],
    *[(days, time, "") for days in (1, 2, 7) for time in ("", *TIMES)],
]
NUMBERS = {"mon": 1, "sat": 6, "sun": 7}


def written(days: int, time: str, on: str) -> str:
    parts = [f"for: {days}d"] * bool(days) + [f'until_local: "{time}"'] * bool(time) + [f"on: [{on}]"] * bool(on)
    return f"{{{', '.join(parts)}}}"


PLAN = plan(
    "facts: {came: {n: int}}\ntraits: {timezone: string?}\nscores: {over: {}}\njourneys:\n"
    + "".join(
        f"""\
  w{n}:
    enter_when: fact.type == "came" and fact.n == {n}
    steps:
      - {{id: wait, wait: {written(*wait)}}}
      - {{id: over, score: {{name: over, add: 1}}}}
"""
        for n, wait in enumerate(WAITS)
    )
)

PUT = [  # (zone, the UTC day around which clocks are put, a day is skipped or comes twice)
    ("Europe/Vienna", datetime(2026, 3, 29, tzinfo=UTC)),
    ("Europe/Vienna", datetime(2026, 10, 25, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, tzinfo=UTC)),  # no midnight
    ("America/Havana", datetime(2026, 11, 1, tzinfo=UTC)),  # midnight comes twice
    ("Australia/Lord_Howe", datetime(2026, 10, 3, tzinfo=UTC)),  # half an hour
    ("Africa/Casablanca", datetime(2026, 2, 15, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC)),  # a day that never was
    ("Asia/Kathmandu", datetime(2026, 1, 1, tzinfo=UTC)),  # nothing at all
]


def first_shown(wall: datetime, zone: ZoneInfo) -> datetime:
    """Somebody looks at the wall every minute, from two days before, until it shows that, or what comes after it."""
    at = wall.replace(tzinfo=UTC) - timedelta(days=2)
    while at.astimezone(zone).replace(tzinfo=None) < wall:
        at += MINUTE
    return at


def mornings(after: datetime, time: str, on: str, zone: ZoneInfo) -> Iterator[datetime]:
    day = after.astimezone(zone).replace(tzinfo=None, hour=int(time[:2]), minute=int(time[3:])) - timedelta(days=2)
    while True:
        if not on or day.isoweekday() in [NUMBERS[name] for name in on.split(", ")]:
            yield first_shown(day, zone)
        day += timedelta(days=1)


def expected(since: datetime, days: int, time: str, on: str, zone: ZoneInfo) -> datetime:
    over = since
    if days:
        over = first_shown(since.astimezone(zone).replace(tzinfo=None) + timedelta(days=days), zone)
    if not time:
        return over
    return next(at for at in mornings(over, time, on, zone) if at >= over and at > since)


@given(st.sampled_from(PUT), st.sampled_from(range(len(WAITS))), st.integers(-3 * 1440, 3 * 1440))
@settings(max_examples=120, deadline=None)
def test_a_wait_is_over_when_the_wall_says_so_never_early_and_once(
    put: tuple[str, datetime], which: int, minutes: int
) -> None:
    zone, since = ZoneInfo(put[0]), put[1] + minutes * MINUTE
    right = expected(since, *WAITS[which], zone)
    contact = Contact("ada", traits={"timezone": put[0]})
    over: list[datetime] = []
    looks = [right - timedelta(milliseconds=1), right, right + timedelta(hours=30), right + timedelta(days=20)]
    for at, type in [(since, "came"), *((at, "$tick") for at in looks)]:
        ms = round(at.timestamp() * 1000)
        outcome = step(
            contact, Fact(f"{type}{ms}", type, "ada", ms, ms, {"n": which} if type == "came" else {}), PLAN, ms
        )
        contact = outcome.contact
        over += instants(outcome)
    assert over == [right]
    assert contact.scores == {"over": 1}


def instants(outcome: Step) -> list[datetime]:
    """When somebody's wait was over."""
    return [
        datetime.fromtimestamp(trace.fact.instant / 1000, UTC)
        for trace in (*outcome.ticks, outcome.trace)
        for firing in trace.firings
        for effect in firing.effects
        if effect.kind == "score"
    ]
