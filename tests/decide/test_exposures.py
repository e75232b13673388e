"""Splits that look for a winner: each contact counts once, and at the same age, and later ones go the way that won."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from decidekit import HEAD, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide import Plan, step
from overture.model import Contact, Effect, Fact, Step
from overture.rules import Ruleset, link, load
from overture.rules.program import Winners

START = 1_790_000_000_000
HOUR, DAY = 3_600_000, 86_400_000

OFFER = """
facts: {seen: {}, bought: {}, other: {}}
journeys:
  offer:
    enter_when: fact.type == "seen"
    goal: fact.type == "bought"
    reentry: always
    steps:
      - id: test
        split: [{name: short, weight: 50, go: one}, {name: long, weight: 50, go: two}]
        winner: {within: 7d}
      - {id: one, wait: {for: 10d}, then: end}
      - {id: two, wait: {for: 1d}}
"""


def ruleset(text: str = OFFER) -> Ruleset:
    return load(HEAD.format(name="o") + text)


def plan(text: str = OFFER, winners: Winners | None = None, version: int = 1) -> Plan:
    return Plan(link([ruleset(text)], version, winners=winners or {}), "reference")


def fact(id: str, type: str, at: int, contact: str = "ada", **more: Any) -> Fact:
    return Fact(id, type, contact, START + at, START + at, **more)


class On:
    def __init__(self, plan: Plan, contact: str = "ada") -> None:
        self.plan = plan
        self.contact = Contact(contact)
        self.n = 0

    def fact(self, at: int, type: str, **more: Any) -> list[tuple[int, str, Any]]:
        """Shows a fact; answers (when, way, outcome) of all that was counted."""
        self.n += 1
        return self.take(fact(f"f{self.n}", type, at, self.contact.id, **more))

    def take(self, fact: Fact) -> list[tuple[int, str, Any]]:
        before = encode(self.contact)
        outcome = step(self.contact, fact, self.plan, fact.accepted_at)
        assert encode(self.contact) == before
        self.contact = outcome.contact
        return [(t.fact.occurred_at - START, e.key, e.after) for t, e in told(outcome) if e.kind == "outcome"]

    @property
    def way(self) -> str:
        (known, *_) = self.contact.exposures.values()
        return known.way


def told(outcome: Step) -> list[tuple[Any, Effect]]:
    return [(trace, effect) for trace in (*outcome.ticks, outcome.trace) for effect in trace.effects]


def test_who_reached_the_goal_and_who_did_not_count_at_the_same_age() -> None:
    buyer, other = On(plan()), On(plan())
    assert buyer.fact(0, "seen") == other.fact(0, "seen") == []
    assert buyer.fact(HOUR, "bought") == []
    assert buyer.contact.due == START + 7 * DAY
    assert buyer.fact(9 * DAY, "$tick") == [(7 * DAY, buyer.way, "reached")]
    assert other.fact(9 * DAY, "$tick") == [(7 * DAY, buyer.way, "missed")]


def test_a_goal_at_the_last_instant_counts_and_one_after_it_does_not() -> None:
    late, early = On(plan(), "lea"), On(plan(), "lea")
    for each in (late, early):
        each.fact(0, "seen")
        assert each.way == "short", "the way that lasts ten days"
    early.fact(7 * DAY - 1, "bought")
    assert early.fact(8 * DAY, "other") == [(7 * DAY, "short", "reached")]
    assert late.fact(7 * DAY, "bought") == [(7 * DAY, "short", "missed")]


def test_a_contact_counts_once_however_often_it_enters() -> None:
    ada = On(plan())
    counted = [*ada.fact(0, "seen"), *ada.fact(HOUR, "bought"), *ada.fact(2 * HOUR, "seen")]
    counted += [*ada.fact(8 * DAY, "bought"), *ada.fact(9 * DAY, "seen"), *ada.fact(30 * DAY, "other")]
    assert counted == [(7 * DAY, ada.way, "reached")]
    assert ada.contact.due == 0


def test_history_and_who_is_held_out_do_not_count() -> None:
    past = On(plan())
    past.fact(0, "seen", backfill=True)
    assert past.contact.journeys
    assert not past.contact.exposures
    held = On(plan("holdout: 100" + OFFER))
    held.fact(0, "seen")
    assert held.contact.journeys
    assert not held.contact.exposures


def test_another_edition_of_the_journey_counts_anew_and_a_change_elsewhere_does_not() -> None:
    ada = On(plan())
    ada.fact(0, "seen")
    same = OFFER.replace("other: {}", "other: {}, another: {}")
    assert ruleset(same).revision != ruleset().revision
    assert ruleset(same).journeys["offer"].edition == ruleset().journeys["offer"].edition
    ada.plan = plan(same, version=2)
    assert ada.fact(8 * DAY, "other") == [(7 * DAY, ada.way, "missed")]
    ada.fact(20 * DAY, "other")
    ada.plan = plan(OFFER.replace("for: 10d", "for: 11d"), version=3)
    ada.fact(21 * DAY, "seen")
    assert ada.fact(40 * DAY, "other") == [(28 * DAY, ada.way, "missed")]


def test_who_comes_when_there_is_a_winner_goes_its_way_and_does_not_count() -> None:
    edition = ruleset().journeys["offer"].edition
    for won in ("short", "long"):
        decided = plan(winners={"o/offer.test": (edition, won)})
        for name in ("ada", "bob", "cleo", "dan", "eve", "lea"):
            contact = On(decided, name)
            contact.fact(0, "seen")
            assert contact.contact.journeys[0].variants == {"test": won}
            assert not contact.contact.exposures
    other = On(plan(winners={"o/offer.test": ("0" * 12, "long")}), "lea")
    other.fact(0, "seen")
    assert other.way == "short", "a winner of another edition is none"


def test_who_is_under_way_keeps_to_its_way_and_goes_on_counting_when_there_is_a_winner() -> None:
    lea = On(plan(), "lea")
    lea.fact(0, "seen")
    edition = ruleset().journeys["offer"].edition
    lea.plan = plan(winners={"o/offer.test": (edition, "long")}, version=2)
    lea.fact(3 * DAY, "bought")
    assert lea.fact(8 * DAY, "other") == [(7 * DAY, "short", "reached")]
    lea.fact(20 * DAY, "seen")
    assert lea.contact.journeys[0].variants == {"test": "long"}


def merged(visitor: On, known: On, at: int) -> list[tuple[int, str, Any]]:
    """The visitor becomes known; answers what was counted at the merge."""
    link = fact("l", "$link", at, visitor.contact.id, properties={"into": known.contact.id})
    out = step(visitor.contact, link, visitor.plan, START + at)
    (forwarded,) = out.forwards
    return known.take(msgspec.msgpack.decode(msgspec.msgpack.encode(forwarded), type=Fact))


def other_way(way: str) -> str:
    """A name of a contact whom the split sends another way."""
    names = (f"c{n}" for n in range(100))
    for name in names:
        contact = On(plan(), name)
        contact.fact(0, "seen")
        if contact.way != way:
            return name
    raise AssertionError("all go one way")


@pytest.mark.parametrize("known", [False, True])
def test_who_becomes_known_counts_once_as_what_it_was_first(known: bool) -> None:
    """``known``: the contact that it becomes was on the journey, too, but later."""
    visitor = On(plan(), "anonymous_id:v")
    visitor.fact(0, "seen")
    ada = On(plan(), other_way(visitor.way))
    if known:
        ada.fact(HOUR, "seen")
    counted = merged(visitor, ada, 2 * HOUR)
    counted += [*ada.fact(3 * HOUR, "bought"), *ada.fact(9 * DAY, "other")]
    assert counted == [(7 * DAY, visitor.way, "reached")]


def test_who_becomes_known_goes_on_the_way_of_the_visitor_it_was() -> None:
    """Otherwise most of those who went the rarer way would go on by the other one, and not reach its goal."""
    visitor = On(plan(), "anonymous_id:v")
    visitor.fact(0, "seen")
    ada = On(plan(), other_way(visitor.way))
    merged(visitor, ada, HOUR)
    ada.fact(2 * HOUR, "bought")
    ada.fact(3 * HOUR, "seen")
    assert ada.contact.journeys[0].variants == {"test": visitor.way}


def test_a_goal_counts_for_the_way_that_somebody_was_sent_whichever_position_reaches_it() -> None:
    ada = On(plan(), "lea")
    ada.fact(0, "seen")
    assert ada.way == "short"
    edition = ruleset().journeys["offer"].edition
    ada.plan = plan(winners={"o/offer.test": (edition, "long")}, version=2)
    ada.fact(HOUR, "$tick")
    ada.contact.journeys.clear()
    ada.fact(2 * HOUR, "seen")
    assert ada.contact.journeys[0].variants == {"test": "long"}
    ada.fact(3 * HOUR, "bought")
    assert ada.fact(8 * DAY, "other") == [(7 * DAY, "short", "reached")]


def test_a_visitor_who_was_counted_is_not_counted_again_as_somebody_known() -> None:
    visitor, ada = On(plan(), "anonymous_id:v"), On(plan())
    visitor.fact(0, "seen")
    assert len(visitor.fact(7 * DAY, "other")) == 1
    ada.fact(6 * DAY, "seen")
    counted = merged(visitor, ada, 8 * DAY)
    assert [*counted, *ada.fact(20 * DAY, "other")] == []


def test_who_counted_in_an_edition_does_not_count_in_it_again_after_a_way_back() -> None:
    changed = OFFER.replace("for: 1d", "for: 2d")
    ada = On(plan())
    counted = [*ada.fact(0, "seen"), *ada.fact(12 * DAY, "other")]
    ada.plan = plan(changed, version=2)
    counted += [*ada.fact(13 * DAY, "seen"), *ada.fact(14 * DAY, "other")]
    ada.plan = plan(version=3)
    counted += [*ada.fact(30 * DAY, "seen"), *ada.fact(60 * DAY, "other")]
    assert [at for at, _, _ in counted] == [7 * DAY, 20 * DAY]


def test_an_outcome_is_one_of_the_edition_in_which_the_contact_was_sent() -> None:
    ada = On(plan())
    ada.fact(0, "seen")
    before = ruleset().journeys["offer"].edition
    ada.plan = plan(OFFER.replace("for: 1d", "for: 2d"), version=2)
    outcome = step(ada.contact, fact("f", "seen", 15 * DAY), ada.plan, START)
    assert [(e.before, e.name) for _, e in told(outcome) if e.kind == "outcome"] == [(before, "o/offer.test")]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 30 * DAY), st.sampled_from(["seen", "bought", "other", "$tick"])), max_size=12),
    st.sampled_from(["ada", "lea"]),
)
def test_what_counts_follows_from_the_facts_alone(facts: list[tuple[int, str]], name: str) -> None:
    """A contact on its own against the definition: the first time it enters, and whether a goal came in a week while it
    was on the journey and on the same way.
    """
    contact = On(plan(), name)
    counted: list[tuple[int, str, Any]] = []
    stay = {"short": 10 * DAY, "long": DAY}
    entered = exposed = None
    reached = False
    for at, type in sorted(facts):
        counted += contact.fact(at, type)
        if entered is not None and at >= entered + stay[contact.way]:
            entered = None
        if type == "bought" and entered is not None:
            reached = reached or (exposed is not None and at < exposed + 7 * DAY)
            entered = None
        if type == "seen" and entered is None:
            entered = at
            exposed = at if exposed is None else exposed
    counted += contact.fact(60 * DAY, "other")
    expected = [] if exposed is None else [(exposed + 7 * DAY, contact.way, "reached" if reached else "missed")]
    assert counted == expected
