"""Waits by the contact's clock, against somebody who looks at the wall every minute: `bench/dst.py` has many more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from decidekit import plan
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide import step
from overture.model import Contact, Fact, Step, Trace

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
@settings(max_examples=120)
def test_a_wait_is_over_when_the_wall_says_so_never_early_and_once(
    put: tuple[str, datetime], which: int, minutes: int
) -> None:
    zone, since = ZoneInfo(put[0]), put[1] + minutes * MINUTE
    right = expected(since, *WAITS[which], zone)
    contact = Contact("ada", traits={"timezone": put[0]})
    over: list[datetime] = []
    looks = [right - timedelta(milliseconds=1), right, right + timedelta(hours=30), right + timedelta(days=20)]
    for at, type in [(since, "came"), *((at, "$tick") for at in looks)]:
        ms = ms_of(at)
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


MOVING = """
facts: {morning: {}, gone: {}, begin: {}}
traits: {timezone: "string?", plan: "string?", home: "string?"}
scores: {lead: {}}
rules:
  leaves: {when: fact.type == "gone", then: [{set: {timezone: America/New_York}}]}
  at_home: {while: contact.home == "there", then: [{set: {timezone: Asia/Tokyo}}]}
segments:
  s: {when: contact.scores.lead > 5, on_enter: [{start: circle}]}
journeys:
  nine:
    enter_when: fact.type == "morning"
    steps:
      - {id: nine, wait: {until_local: "09:00"}}
      - {id: stay, wait: {for: 99w}}
  goes:
    enter_when: fact.type == "gone"
    steps:
      - {id: there, set: {timezone: Asia/Tokyo}}
  circle:
    enter_when: fact.type == "begin"
    reentry: always
    steps:
      - {id: pro, wait: {until: contact.plan == "pro"}}
      - {id: up, score: {name: lead, add: 10}}
      - {id: down, score: {name: lead, add: -10}}
"""
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NINE_THERE = datetime(2026, 1, 6, 0, tzinfo=UTC)  # in Tokyo
VIENNA, TOKYO, HOME = {"timezone": "Europe/Vienna"}, {"timezone": "Asia/Tokyo"}, {"home": "there"}


def shown(*facts: tuple[str, dict[str, Any]], contact: str = "ada", last: datetime = NOON) -> Step:
    """The last step of a contact that is shown facts at noon, the last one then."""
    made, outcome = plan(MOVING), Step(Contact(contact), Trace(0, Fact("", "", "", 0, 0), 0, 0))
    for n, (type, said) in enumerate(facts, 1):
        ms = ms_of(last if n == len(facts) else NOON)
        outcome = step(outcome.contact, Fact(f"{contact}{n}", type, contact, ms, ms, said), made, ms)
    return outcome


def waiting(outcome: Step) -> tuple[list[str], datetime]:
    """Where the contact waits, and when time alone goes on."""
    return [p.step for p in outcome.contact.journeys], datetime.fromtimestamp(outcome.contact.due / 1000, UTC)


@pytest.mark.parametrize(("last", "said"), [("identify", TOKYO), ("identify", HOME), ("gone", {})])
def test_who_moves_waits_for_the_time_there_whatever_says_so(last: str, said: dict[str, Any]) -> None:
    assert waiting(shown(("identify", VIENNA), ("morning", {}), (last, said))) == (["nine"], NINE_THERE)


def test_who_moves_to_where_it_is_past_the_time_waits_no_longer() -> None:
    outcome = shown(("identify", VIENNA), ("morning", {}), ("identify", TOKYO), last=NINE_THERE + 60 * MINUTE)
    assert waiting(outcome)[0] == ["stay"]


@pytest.mark.parametrize("said", [TOKYO, HOME])
def test_who_moves_in_a_step_that_is_rolled_back_waits_for_the_time_there(said: dict[str, Any]) -> None:
    outcome = shown(("identify", VIENNA), ("morning", {}), ("begin", {}), ("identify", {"plan": "pro", **said}))
    assert outcome.trace.error.startswith("chain.too_deep")
    assert waiting(outcome) == (["nine"], NINE_THERE)


def test_who_becomes_known_somewhere_else_waits_for_the_time_there() -> None:
    (merge,) = shown(("morning", {}), ("$link", {"into": "ada"}), contact="anonymous_id:1").forwards
    assert waiting(shown(("identify", TOKYO), ("$merge", merge.properties))) == (["nine"], NINE_THERE)


def ms_of(at: datetime) -> int:
    return round(at.timestamp() * 1000)
