"""What time alone changes: each instant processed by itself, in order, however late anybody looks."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from decidekit import Show, encode, plan
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide.limits import TICKS
from overture.match import compile_condition
from overture.model import Contact, Fact, Step
from overture.model.contact import SETTLE

T = 1_800_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR

DOCUMENT = """\
requires:
  channels: [email]
facts:
  viewed: {}
  left: {n: number}
scores:
  s: {}
rules:
  left:
    when: fact.type == "left"
    then:
      - score: {name: s, add: = fact.n}
segments:
  active:
    when: count("viewed", within="1d") >= 1
    on_leave:
      - assert: {type: left, properties: {n: 1}}
      - send: {channel: email, template: back, purpose: transactional}
  keen:
    when: count("viewed", within="3d") >= 2
    on_leave:
      - assert: {type: left, properties: {n: 10}}
templates:
  back: {subject: s, text: "{{ contact.scores.s }}"}
"""
PLAN = plan(DOCUMENT)
ANY = Fact("", "", "", 0, 0)


def viewed(n: int, at: int, **more: Any) -> Fact:
    return Fact(f"f{n}", "viewed", "ada", at, at, **more)


def tick(at: int, contact: str = "ada") -> Fact:
    return Fact(f"tick:{at}", "$tick", contact, at, at)


def test_a_segment_is_left_at_its_instant_with_no_fact() -> None:
    show = Show(PLAN)
    show.take(viewed(1, T))
    show.take(viewed(2, T + HOUR))
    assert (set(show.contact.segments), show.contact.due) == ({"active", "keen"}, T + HOUR + DAY)
    outcome = show.take(tick(T + HOUR + DAY))
    (moment,) = outcome.moments
    assert (moment.fact.id, moment.fact.type, moment.fact.occurred_at) == (
        f"tick:{T + HOUR + DAY}",
        "$tick",
        T + 25 * HOUR,
    )
    assert [f.rule for f in moment.firings] == ["a/active.on_leave", "a/left"]
    assert (set(outcome.contact.segments), outcome.contact.scores, outcome.segments) == ({"keen"}, {"s": 1}, {"active"})
    (message,) = outcome.messages
    assert message.created_at == T + 25 * HOUR
    assert outcome.contact.due == T + 3 * DAY
    assert (outcome.wakes, outcome.scores) == (True, {"s": -1})


def test_how_late_the_wake_up_comes_does_not_matter() -> None:
    """One tick a day late, a tick at each instant, or no tick at all but a fact: the same was decided, and when."""

    def shown(*ticks: int) -> tuple[Any, ...]:
        show = Show(PLAN)
        show.take(viewed(1, T))
        show.take(viewed(2, T + HOUR))
        for at in ticks:
            show.take(tick(at))
        show.take(Fact("f3", "other", "ada", T + 9 * DAY, T + 9 * DAY))
        moments = [m for s in show.steps for m in s.moments]
        told = [(m.seq, m.fact.id, m.fact.occurred_at, m.firings, m.effects) for m in moments]
        return told, encode(show.contact), [m.id for s in show.steps for m in s.messages]

    punctual = shown(T + DAY + HOUR, T + 3 * DAY)
    assert punctual == shown(T + 5 * DAY) == shown() == shown(T + DAY, T + DAY + HOUR, T + 3 * DAY, T + 4 * DAY)
    told, _, messages = punctual
    assert [id for _, id, *_ in told] == ["f1", "f2", f"tick:{T + 25 * HOUR}", f"tick:{T + 72 * HOUR}", "f3"]
    assert [seq for seq, *_ in told] == [1, 2, 3, 4, 5]
    assert len(messages) == 1


def test_the_message_says_what_was_true_at_that_instant() -> None:
    show = Show(PLAN)
    show.take(viewed(1, T))
    show.take(viewed(2, T + HOUR))
    outcome = show.take(Fact("f3", "left", "ada", T + 9 * DAY, T + 9 * DAY, {"n": 100}))
    (message,) = outcome.messages
    assert message.context["contact"]["scores"] == {"s": 1}
    assert message.context["contact"]["segments"] == ["keen"]
    assert outcome.contact.scores == {"s": 111}


def test_a_tick_that_comes_twice_or_too_early_changes_nothing() -> None:
    show = Show(PLAN)
    show.take(viewed(1, T))
    assert not show.take(tick(T + DAY - 1)).kept
    assert show.contact.clock == T
    show.take(tick(T + DAY))
    before = encode(show.contact)
    assert not show.take(tick(T + DAY)).kept
    assert encode(show.contact) == before


def test_backfill_leaves_segments_in_silence_and_waits_until_it_has_settled() -> None:
    now = T + 400 * DAY
    show = Show(PLAN)
    for n in range(3):
        fact = msgspec.structs.replace(viewed(n, T + n * HOUR), accepted_at=now + n, backfill=True)
        outcome = show.take(fact)
        assert outcome.wakes
    assert (outcome.contact.due, outcome.contact.wake) == (T + 26 * HOUR, now + 2 + SETTLE)
    outcome = show.take(tick(now + SETTLE + 5))
    assert (set(outcome.contact.segments), outcome.messages, outcome.contact.scores) == (set(), [], {"s": 11})
    assert [m.fact.backfill for m in outcome.moments] == [True, True]
    assert ("send", "backfill") in [(e.kind, e.reason) for m in outcome.moments for f in m.firings for e in f.effects]
    # From now on the contact lives.
    show.take(viewed(9, now + DAY))
    assert len(show.take(tick(now + 3 * DAY)).messages) == 1


def test_what_is_due_in_one_step_is_bounded_and_the_state_right() -> None:
    text = 'facts:\n  viewed: {}\nsegments:\n  odd:\n    when: count("viewed", within="1d") % 2 == 1\n'
    show = Show(plan(text))
    for n in range(1000):
        show.take(viewed(n, T + n * 1000))
    for n in range(1000, 1111):
        show.take(viewed(n, T + DAY - 1))
    outcome = show.take(tick(T + 9 * DAY))
    assert (set(outcome.contact.segments), outcome.contact.due, outcome.contact.clock) == (set(), 0, T + 9 * DAY)
    assert len(outcome.ticks) <= TICKS + 1
    show = Show(plan('traits:\n  x: "string?"\nsegments:\n  even:\n    when: local(now()).hour % 2 == 0\n'))
    show.take(viewed(1, T))
    outcome = show.take(Fact("f2", "other", "ada", T + 100 * DAY, T + 100 * DAY))
    assert len(outcome.ticks) == TICKS + 1
    assert [(e.kind, e.reason) for e in outcome.ticks[-1].effects] == [("tick", "ticks.too_many")]
    (segment,) = [s for s in show.plan.program.segments if s.when is not None]
    assert ("even" in outcome.contact.segments) == compile_condition(segment.when)(ANY, outcome.contact)
    assert outcome.contact.clock == T + 100 * DAY < outcome.contact.due


def test_a_deploy_is_caught_up_in_silence_and_the_clock_goes_on() -> None:
    """What was due before the deploy and comes after it is told; what the deploy itself changes is not."""
    show = Show(PLAN)
    show.take(viewed(1, T))
    text = DOCUMENT + "  slow:\n    subject: s\n    text: t\n"
    text = text.replace(
        "templates:",
        '  week:\n    when: count("viewed", within="7d") >= 1\n    on_enter:\n'
        "      - assert: {type: left, properties: {n: 1000}}\ntemplates:",
    )
    show.plan = plan(text, version=2)
    outcome = show.take(tick(T + DAY))
    assert [(e.kind, e.name, e.key, e.after) for e in outcome.moments[0].effects] == [
        ("segment", "week", "deploy", True)
    ]
    assert (outcome.contact.scores, set(outcome.contact.segments), len(outcome.messages)) == ({"s": 1}, {"week"}, 1)
    assert outcome.contact.due == T + 7 * DAY


def test_linking_processes_what_was_due_first_and_the_other_goes_on() -> None:
    visitor, known = Show(PLAN, "anonymous_id:x"), Show(PLAN)
    visitor.take(Fact("f1", "viewed", "anonymous_id:x", T, T))
    order = Fact("f2", "$link", "anonymous_id:x", T + 2 * DAY, T + 2 * DAY, {"into": "ada"})
    outcome = visitor.take(order)
    assert [m.fact.type for m in outcome.moments] == ["$tick", "$link"]
    assert (outcome.contact.due, outcome.wakes, len(outcome.messages)) == (0, True, 1)
    known.take(viewed(2, T + DAY))
    merged = known.take(outcome.forwards[0])
    assert (set(merged.contact.segments), merged.contact.due) == ({"keen"}, T + 3 * DAY)
    assert not visitor.take(tick(T + 9 * DAY, "anonymous_id:x")).kept


Fed = list[tuple[int, int]]  # hours after the one before; how late it is


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0, 0, 0, 2, 60])), max_size=14), st.data())
def test_ticks_anywhere_make_no_difference(facts: Fed, data: st.DataObject) -> None:
    """And the state is at every instant what the conditions say."""
    lazy, woken = Show(PLAN), Show(PLAN)
    conditions = {s.name: compile_condition(s.when) for s in PLAN.program.segments if s.when is not None}
    at = T
    for n, (later, late) in enumerate(facts):
        until = at + later * HOUR
        while woken.contact.due and woken.contact.due <= until and data.draw(st.booleans()):
            at = data.draw(st.integers(woken.contact.due, until))
            woken.take(tick(at))
            for name, holds in conditions.items():
                assert (name in woken.contact.segments) == holds(ANY, woken.contact)
        at = until
        fact = Fact(f"f{n}", "viewed", "ada", at - late * HOUR, at)
        for show in (lazy, woken):
            show.take(fact)
            for name, holds in conditions.items():
                assert (name in show.contact.segments) == holds(ANY, show.contact)
    assert encode(lazy.contact) == encode(woken.contact)
    assert told(lazy.steps) == told(woken.steps)


def told(steps: list[Step]) -> list[bytes]:
    return [encode([m.seq, m.fact, m.firings, m.effects]) for s in steps for m in s.moments]


# --- R3's cart: Monday 00:00 where the contact lives ---------------------------------------------------------------

CART = """\
facts:
  cart.updated: {}
traits:
  timezone: "string?"
segments:
  cart:
    when: seen("cart.updated", within="this week")
"""


def instant(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "filled", "monday"),
    [
        ("Europe/Vienna", "2026-03-25T10:00", "2026-03-30T00:00"),  # clocks go forward on Sunday
        ("Europe/Vienna", "2026-10-25T23:59", "2026-10-26T00:00"),  # and back
        ("America/New_York", "2026-03-02T00:00", "2026-03-09T00:00"),
        ("Pacific/Auckland", "2026-04-05T12:00", "2026-04-06T00:00"),
        ("Asia/Kathmandu", "2028-02-29T12:00", "2028-03-06T00:00"),
        ("no such zone", "2026-06-10T12:00", "2026-06-15T00:00"),
    ],
)
def test_the_cart_is_empty_on_monday(zone: str, filled: str, monday: str) -> None:
    known = "UTC" if " " in zone else zone
    at, end = instant(filled, known), instant(monday, known)
    show = Show(plan(CART))
    show.take(Fact("f0", "identify", "ada", at - 5, at - 5, {"timezone": zone}))
    show.take(Fact("f1", "cart.updated", "ada", at, at))
    assert (set(show.contact.segments), show.contact.due) == ({"cart"}, end)
    assert not show.take(tick(end - 1)).kept
    outcome = show.take(tick(end))
    assert (outcome.contact.segments, outcome.segments, outcome.contact.due) == ({}, {"cart"}, 0)


def test_who_moves_to_another_zone_has_another_monday() -> None:
    at = instant("2026-06-10T12:00", "UTC")
    show = Show(plan(CART))
    show.take(Fact("f1", "cart.updated", "ada", at, at))
    assert show.contact.due == instant("2026-06-15T00:00", "UTC")
    show.take(Fact("f2", "identify", "ada", at + 5, at + 5, {"timezone": "Asia/Tokyo"}))
    assert show.contact.due == instant("2026-06-15T00:00", "Asia/Tokyo")
    show.take(tick(show.contact.due))
    assert show.contact.segments == {}
    # Back in UTC it is Sunday again, but the clock has not gone back: the cart of this week is there.
    show.take(Fact("f3", "identify", "ada", at + 9, at + 9, {"timezone": "UTC"}))
    assert set(show.contact.segments) == {"cart"}


def test_a_contact_without_what_follows_the_clock_has_nothing_due() -> None:
    show = Show(plan('facts:\n  viewed: {}\nsegments:\n  some:\n    when: count("viewed") >= 1\n'))
    outcome = show.take(viewed(1, T))
    assert (outcome.contact.due, outcome.wakes, outcome.contact.clock) == (0, False, T)
    assert isinstance(outcome.contact, Contact)
