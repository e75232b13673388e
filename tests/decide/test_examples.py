"""Examples that models learn from: noted when a contact is scored, counted once, with what came in their time."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import msgspec
import pytest
from decidekit import HEAD, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide import Plan, step
from overture.decide.limits import EXAMPLES
from overture.model import Contact, Effect, Fact
from overture.model.artefact import Artefact, Linear, digest
from overture.model.example import Outcome
from overture.rules import Ruleset, link, load

START = 1_790_000_000_000
HOUR, DAY = 3_600_000, 86_400_000

SHOP = """
facts: {seen: {}, bought: {}, other: {}}
traits: {country: "string?", vip: "bool?"}
scores: {likely: {min: 0, max: 1}}
models:
  buys:
    predict: fact.type == "bought"
    within: 7d
    every: 1d
    features: {visits: 'count("seen", within="30d")', country: contact.country}
rules:
  score: {when: 'fact.type == "seen"', then: [{score: {name: likely, by: buys}}]}
"""
OTHERWISE = SHOP.replace("    every: 1d\n", "    every: 1d\n    otherwise: 0.2\n")


def ruleset(text: str = SHOP) -> Ruleset:
    return load(HEAD.format(name="shop") + text)


def plan(text: str = SHOP, version: int = 1, **learned: Artefact) -> Plan:
    named = {f"shop/{name}": artefact for name, artefact in learned.items()}
    return Plan(link([ruleset(text)], version, learned=named), "reference")


def learned(text: str = SHOP) -> Linear:
    edition = ruleset(text).models["buys"].edition
    return Linear(edition, -1.0, {"visits": 0.5, "country=DE": 0.25})


def fact(id: str, type: str, at: int, contact: str = "ada", properties: Any = None, **more: Any) -> Fact:
    return Fact(id, type, contact, START + at, START + at, properties or {}, **more)


class On:
    def __init__(self, plan: Plan, contact: str = "ada") -> None:
        self.plan = plan
        self.contact = Contact(contact)
        self.n = 0
        self.effects: list[Effect] = []

    def fact(self, at: int, type: str, **more: Any) -> list[Outcome]:
        """Shows a fact; answers the examples that were counted on the way."""
        self.n += 1
        return self.take(fact(f"f{self.n}", type, at, self.contact.id, **more))

    def take(self, fact: Fact) -> list[Outcome]:
        before = encode(self.contact)
        outcome = step(self.contact, fact, self.plan, fact.accepted_at)
        assert encode(self.contact) == before
        self.contact = outcome.contact
        self.effects = [effect for trace in outcome.traces for effect in trace.all_effects]
        return [found for _, found in outcome.outcomes]


def test_before_anything_was_learned_it_says_so() -> None:
    silent, prior = On(plan()), On(plan(OTHERWISE))
    silent.fact(0, "seen")
    assert [(e.kind, e.name, e.reason) for e in silent.effects] == [("scorer", "buys", "model.nothing_learned")]
    assert "likely" not in silent.contact.scores
    prior.fact(0, "seen")
    assert prior.effects[0].before == "prior"
    assert prior.contact.scores["likely"] == 0.2


def test_what_was_learned_decides_and_the_trace_has_version_and_contributions() -> None:
    on = On(plan(buys=learned()))
    on.fact(0, "identify", properties={"country": "DE"})
    on.fact(HOUR, "seen")
    told = on.effects[0]
    assert (told.kind, told.name, told.key, told.before) == ("scorer", "buys", "likely", digest(learned()))
    assert told.after == {"value": 0.437823, "contributions": {"visits": 0.5, "country": 0.25}}
    assert on.contact.scores["likely"] == 0.437823


def test_what_was_learned_of_another_question_decides_nothing() -> None:
    other = SHOP.replace("within: 7d", "within: 8d")
    on = On(plan(other, buys=learned()))
    on.fact(0, "seen")
    assert on.effects[0].reason == "model.nothing_learned"


def test_yes_and_no_count_once_at_the_same_age() -> None:
    buyer, other = On(plan()), On(plan())
    assert buyer.fact(0, "seen") == other.fact(0, "seen") == []
    assert buyer.fact(HOUR, "bought") == []
    features = {"visits": 1.0, "country": None}
    assert buyer.fact(8 * DAY, "other") == [Outcome(START + 7 * DAY, features, True)]
    assert other.fact(8 * DAY, "other") == [Outcome(START + 7 * DAY, features, False)]
    assert buyer.fact(9 * DAY, "bought") == []
    assert buyer.fact(20 * DAY, "other") == []


@pytest.mark.parametrize("at", [-HOUR, 0, 7 * DAY, 9 * DAY])
def test_what_came_before_the_score_or_after_its_time_is_no_outcome(at: int) -> None:
    on = On(plan())
    on.fact(0, "seen")
    counted = on.fact(at, "bought")
    counted += on.fact(30 * DAY, "other")
    assert [found.met for found in counted] == [False]


def test_an_example_of_a_contact_is_noted_so_often_and_no_more() -> None:
    on = On(plan())
    for hour in range(50):
        on.fact(hour * HOUR, "seen")
    (known,) = on.contact.examples.values()
    assert [(e.at - START) // HOUR for e in known] == [0, 24, 48]
    assert [found.features["visits"] for found in on.fact(20 * DAY, "other")] == [1.0, 25.0, 49.0]
    (known,) = on.contact.examples.values()
    assert [(e.counted, e.features) for e in known] == [(True, {})]  # only when the last one was
    assert on.fact(20 * DAY + 1, "seen") == []
    assert len(next(iter(on.contact.examples.values()))) == 1


def test_a_contact_holds_so_many() -> None:
    rules = "".join(
        f"  m{n}: {{predict: 'fact.type == \"bought\"', within: 100d, every: 5d, features: {{vip: contact.vip}}}}\n"
        for n in range(10)
    )
    acts = ", ".join(f"{{score: {{name: likely, by: m{n}}}}}" for n in range(10))
    rule = f"rules:\n  r: {{when: 'fact.type == \"seen\"', then: [{acts}]}}\n"
    text = f"{SHOP.partition('models:')[0]}models:\n{rules}{rule}"
    on = On(plan(text))
    for day in range(0, 90, 5):
        on.fact(day * DAY, "seen")
    assert sum(map(len, on.contact.examples.values())) == EXAMPLES


def test_merged_contacts_are_one_person() -> None:
    known, anonymous = On(plan()), On(plan(), "anon")
    anonymous.fact(0, "seen")
    handed = step(anonymous.contact, fact("l", "$link", HOUR, "anon", {"into": "ada"}), plan(), START).forwards
    assert [f.type for f in handed] == ["$merge"]
    known.take(handed[0])
    known.fact(2 * HOUR, "bought")
    assert [found.met for found in known.fact(8 * DAY, "other")] == [True]


def test_a_rollback_of_the_rules_still_sees_the_outcome_and_another_edition_forgets() -> None:
    on = On(plan())
    on.fact(0, "seen")
    on.plan = plan(SHOP.replace("within: 7d", "within: 8d"), 2)
    on.fact(HOUR, "other")
    assert on.contact.examples == {}


def test_another_artefact_leaves_examples_as_they_are() -> None:
    first = plan()
    on = On(first)
    on.fact(0, "seen")
    again = link([ruleset()], 5, learned={"shop/buys": learned()}, base=1)
    on.plan = first.learned(again)
    on.fact(2 * DAY, "seen")
    assert on.effects[0].before == digest(learned())
    counted = on.fact(30 * DAY, "other")
    assert [(found.version, found.probability) for found in counted] == [("", 0.0), (digest(learned()), 0.5)]
    assert on.contact.program == 1


facts = st.lists(st.tuples(st.sampled_from(["seen", "bought"]), st.integers(0, 20 * 24)), max_size=12)


@given(facts)
@settings(max_examples=60)
def test_it_does_not_matter_how_often_anybody_looks(told: list[tuple[str, int]]) -> None:
    seldom, often = On(plan()), On(plan())
    one: list[Outcome] = []
    other: list[Outcome] = []
    clock = 0
    for n, (type, hour) in enumerate(sorted(told, key=lambda each: each[1])):
        for at in range(clock, hour, 7):
            other += often.take(fact(f"t{n}.{at}", "$tick", at * HOUR))
        clock = hour
        one += seldom.fact(hour * HOUR + n, type)
        other += often.fact(hour * HOUR + n, type)
    one += seldom.fact(60 * DAY, "other")
    other += often.fact(60 * DAY, "other")
    assert one == other
    assert len({found.due for found in one}) == len(one)


def test_outcomes_in_whatever_order_they_come() -> None:
    told = [("bought", HOUR), ("other", 2 * HOUR), ("bought", 3 * HOUR)]
    for order in permutations(told):
        on = On(plan())
        on.fact(0, "seen")
        for type, at in order:
            on.fact(at, type)
        assert [found.met for found in on.fact(8 * DAY, "other")] == [True]
        assert msgspec.convert(msgspec.to_builtins(on.contact), Contact) == on.contact


def test_an_erased_contact_takes_its_examples_along() -> None:
    on = On(plan())
    on.fact(0, "seen")
    assert on.contact.examples
    outcome = step(on.contact, fact("e", "$erase", HOUR, properties={"erasure": "er-1"}), on.plan, START)
    assert outcome.erases
    assert (outcome.contact.examples, outcome.outcomes) == ({}, [])
