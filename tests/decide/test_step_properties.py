"""What holds for the shipped rulesets whatever facts come in whatever order."""

from __future__ import annotations

from typing import Any

import pytest
from decidekit import Show, encode, made, shipped
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide import Plan, step
from overture.match import compile_condition
from overture.model import Contact, Step

DURABLE, REFERENCE, AGAIN = shipped("durable"), shipped("reference"), shipped("durable")
OFFERS = st.sampled_from(["seo", "ads", ""])
STAGES = st.sampled_from(["lead", "proposal", "ex-customer", "customer"])
CONSENTS = st.sampled_from(["granted", "denied"])
PATHS = st.sampled_from(["/sales", "/landing/x", "/", "/careers"])


def kind(type: str, **properties: Any) -> Any:
    return st.tuples(st.just(type), st.fixed_dictionaries(properties))


FACTS = st.lists(
    st.one_of(
        kind("page_viewed", path=PATHS, offer=OFFERS),
        kind("whitepaper_downloaded", offer=OFFERS),
        kind("appointment_booked"),
        kind("newsletter_unsubscribed", offer=OFFERS),
        kind("newsletter_unsubscribed"),
        kind("guide_downloaded", guide=st.sampled_from("ab")),
        kind("order_completed", order_id=st.sampled_from("1234"), total=st.sampled_from([0.1, 0.2, 3, -1])),
        kind("cart.updated", cart_id=st.just("c")),
        kind("identify", stage=st.none() | STAGES),
        kind("identify", timezone=st.sampled_from(["Asia/Tokyo", "America/New_York", None])),
        kind("consent", channel=st.just("email"), purpose=st.just("marketing"), state=CONSENTS),
        kind("message.failed", channel=st.just("email"), address=st.just("a@x.org"), permanent=st.booleans()),
        kind("unheard.of", any=st.integers(-(2**63), 2**63 - 1)),
    ),
    max_size=25,
)  # fmt: skip


def shown(facts: list[tuple[str, dict[str, Any]]], plan: Plan = DURABLE) -> Show:
    show = Show(plan)
    for n, (type, properties) in enumerate(facts):
        show.take(made(type, n, 0, properties))
    return show


def flat(contact: Contact) -> dict[tuple[str, str], Any]:
    """Every score by name and key."""
    kept: dict[tuple[str, str], Any] = {}
    for name, score in contact.scores.items():
        kept |= {(name, key): n for key, n in score.items()} if isinstance(score, dict) else {(name, ""): score}
    return kept


def comparable(outcome: Step) -> bytes:
    return encode([outcome.contact, outcome.trace, outcome.messages, outcome.scores, sorted(outcome.segments)])


@settings(max_examples=300)
@given(FACTS)
def test_scores_are_the_sum_of_the_effects_on_record(facts: list[tuple[str, dict[str, Any]]]) -> None:
    show = shown(facts)
    ledger: dict[tuple[str, str], float] = {}
    for outcome in show.steps:
        written: set[str] = set()
        for effect in (e for f in outcome.trace.firings for e in f.effects if e.kind == "score" and not e.reason):
            place = effect.name, effect.key
            assert effect.before == ledger.get(place, 0)
            ledger[place] = effect.after
            written.add(f"{effect.name}:{effect.key}" if effect.key else effect.name)
        assert outcome.scores.keys() == written
    assert flat(show.contact) == ledger


@settings(max_examples=300)
@given(FACTS)
def test_membership_is_what_the_condition_says(facts: list[tuple[str, dict[str, Any]]]) -> None:
    conditions = {s.name: compile_condition(s.when) for s in DURABLE.program.segments if s.when is not None}
    show, before = Show(DURABLE), set[str]()
    for n, (type, properties) in enumerate(facts):
        outcome = show.take(made(type, n, 0, properties))
        now = set(outcome.contact.segments)
        for name, holds in conditions.items():
            assert (name in now) == holds(outcome.trace.fact, outcome.contact), name
        assert before ^ now <= outcome.segments
        before = now


@settings(max_examples=300)
@given(FACTS)
def test_the_same_arguments_give_the_same_answer(facts: list[tuple[str, dict[str, Any]]]) -> None:
    show = shown(facts)
    contact = Contact("ada")
    for outcome in show.steps:
        before = encode(contact)
        fact, now = outcome.trace.fact, outcome.trace.at
        for plan in (DURABLE, REFERENCE, AGAIN):
            assert comparable(step(contact, fact, plan, now)) == comparable(outcome)
            assert encode(contact) == before
        contact = outcome.contact


@settings(max_examples=200)
@given(FACTS)
def test_replaying_the_record_gives_the_same_state(facts: list[tuple[str, dict[str, Any]]]) -> None:
    show = shown(facts)
    again = Show(DURABLE)
    for outcome in show.steps:
        again.take(outcome.trace.fact, outcome.trace.at)
    assert encode(again.contact) == encode(show.contact)
    assert [comparable(s) for s in again.steps] == [comparable(s) for s in show.steps]


@settings(max_examples=200)
@given(FACTS, FACTS)
def test_one_contact_or_two_that_become_one(mine: list[Any], theirs: list[Any]) -> None:
    """Linking loses no score, no code, no list and no consent, and brings no segment that does not hold."""
    known, visitor = shown(mine), Show(DURABLE, "anonymous_id:x")
    for n, (type, properties) in enumerate(theirs, 100):
        visitor.take(made(type, n, 0, properties, "anonymous_id:x"))
    before, joining = known.contact, visitor.contact
    (merge,) = visitor.take(made("$link", 300, 0, {"into": "ada"}, "anonymous_id:x")).forwards
    merged = known.take(merge).contact
    places = {place for contact in (before, joining) for place in flat(contact)}
    for place in places:
        assert flat(merged).get(place, 0) == pytest.approx(flat(before).get(place, 0) + flat(joining).get(place, 0))
    assert [*before.issued, *joining.issued] == merged.issued
    assert set(merged.lists) == {*before.lists, *joining.lists}
    assert merged.traits == joining.traits | before.traits
    conditions = {s.name: compile_condition(s.when) for s in DURABLE.program.segments if s.when is not None}
    for name, holds in conditions.items():
        assert (name in merged.segments) == holds(merge, merged), name
