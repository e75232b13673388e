"""Rules with ``while``: there from the commit in which the condition holds, gone with the one in which it stops."""

from __future__ import annotations

from typing import Any

import pytest
from decidekit import Show, done, encode, made, plan
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.match import compile_condition
from overture.model import Contact, Fact

T = 1_800_000_000_000
DAY = 86_400_000
DOCUMENT = """\
facts:
  viewed: {}
  won: {n: number}
traits:
  city: "string?"
  tier: "string?"
  wish: "string?"
scores:
  fit: {}
  capped: {min: 0, max: 10}
  told: {}
lists:
  locals: {}
rules:
  won:
    when: fact.type == "won"
    then:
      - score: {name: capped, add: = fact.n}
  changed:
    when: fact.type == "score.changed" and fact.name == "fit"
    then:
      - score: {name: told, add: 1}
  new-york:
    while: contact.city == "New York"
    then:
      - score: {name: fit, add: 5}
      - score: {name: capped, add: 5}
      - set: {tier: metro}
      - list: {add: locals}
  boston:  # tried before new-york: it sets the trait before that one takes it back
    while: contact.city == "Boston" and count("viewed", within="2d") >= 2
    then:
      - score: {name: fit, add: 1}
      - set: {tier: keen}
segments:
  fitting:
    when: contact.scores.fit >= 5
"""
OTHER = "facts: {viewed: {}}\n"
PLAN = plan(DOCUMENT, OTHER)


def test_moving_away_takes_it_back() -> None:
    show = Show(PLAN)
    outcome = show.fact("identify", city="New York")
    assert done(outcome) == [
        ("a/new-york", "while", "new-york", True),
        ("a/new-york", "score", "fit", 5),
        ("a/new-york", "score", "capped", 5),
        ("a/new-york", "set", "tier", "metro"),
        ("a/new-york", "list", "locals", True),
        ("a/fitting.on_enter", "segment", "fitting", True),
        ("a/changed", "score", "told", 1),
    ]
    assert outcome.scores.keys() == {"fit", "capped", "told"}
    again = show.fact("identify", city="New York")
    assert done(again) == []
    outcome = show.fact("identify", city="Boston")
    assert done(outcome) == [
        ("a/new-york", "while", "new-york", False),
        ("a/new-york", "list", "locals", False),
        ("a/new-york", "unset", "tier", None),
        ("a/new-york", "score", "capped", 0),
        ("a/new-york", "score", "fit", 0),
        ("a/fitting.on_leave", "segment", "fitting", False),
        ("a/changed", "score", "told", 2),
    ]
    assert (outcome.contact.held, outcome.contact.lists, "tier" in outcome.contact.traits) == ({}, {}, False)


def test_only_what_was_there_to_add_is_taken_back() -> None:
    show = Show(PLAN)
    show.fact("won", n=8)
    show.fact("identify", city="New York")
    assert show.contact.scores["capped"] == 10
    show.fact("won", n=-3)
    show.fact("identify", city="Boston")
    assert show.contact.scores["capped"] == 5  # 8 - 3


def test_what_somebody_else_has_set_meanwhile_stays() -> None:
    show = Show(PLAN)
    show.fact("identify", city="New York", tier="gold")
    assert show.contact.traits["tier"] == "metro"
    show.fact("identify", tier="platinum")
    show.fact("identify", city="Boston")
    assert show.contact.traits["tier"] == "platinum"
    show.fact("identify", tier="gold")
    show.fact("identify", city="New York")
    show.fact("identify", city="Boston")
    assert show.contact.traits["tier"] == "gold"


def test_it_ends_with_the_clock_and_two_rules_over_one_trait_do_not_confuse_it() -> None:
    show = Show(PLAN)
    show.take(Fact("f1", "viewed", "ada", T, T))
    show.take(Fact("f2", "identify", "ada", T, T, {"city": "New York"}))
    show.take(Fact("f3", "viewed", "ada", T + 1, T + 1))
    assert (show.contact.traits["tier"], show.contact.scores["fit"]) == ("metro", 5)
    show.take(Fact("f4", "identify", "ada", T + 2, T + 2, {"city": "Boston"}))
    assert (show.contact.traits["tier"], show.contact.scores["fit"]) == ("keen", 1)
    assert show.contact.due == T + 2 * DAY
    outcome = show.take(Fact("tick", "$tick", "ada", T + 2 * DAY, T + 2 * DAY))
    assert ("tier" in outcome.contact.traits, outcome.contact.scores["fit"]) == (False, 0)
    (moment,) = outcome.moments
    assert moment.fact.occurred_at == T + 2 * DAY


SHARED = """\
traits: {x: "bool?", y: "bool?", plan: "string?"}
lists: {vip: {}}
rules:
  a:
    while: contact.x
    then: [{list: {add: vip}}, {set: {plan: pro}}]
  b:
    while: contact.y
    then: [{set: {plan: pro}}, {list: {add: vip}}]
"""
ROLES = st.lists(st.fixed_dictionaries({}, optional={"x": st.booleans(), "y": st.booleans()}), max_size=6)


@given(ROLES)
def test_what_two_rules_hold_is_there_until_both_have_stopped(changes: list[dict[str, bool]]) -> None:
    show = Show(plan(SHARED))
    for change in [{"plan": "free"}, *changes]:
        contact = show.fact("identify", **change).contact
        held = bool(contact.traits.get("x") or contact.traits.get("y"))
        assert ("vip" in contact.lists, contact.traits["plan"]) == (held, "pro" if held else "free")


def test_moving_from_one_rule_to_another_keeps_what_both_hold() -> None:
    text = SHARED.replace("contact.x", 'contact.plan == "m"').replace("contact.y", 'contact.plan == "n"')
    show = Show(plan(text.replace("{set: {plan: pro}}, ", "").replace(", {set: {plan: pro}}", "")))
    for moved in ("m", "n", "m"):  # whichever rule is followed first
        assert "vip" in show.fact("identify", plan=moved).contact.lists
    assert show.fact("identify", plan="o").contact.lists == {}


@given(ROLES, ROLES)
def test_two_contacts_that_become_one_keep_what_either_holds(mine: list[Any], theirs: list[Any]) -> None:
    known, visitor = Show(plan(SHARED)), Show(plan(SHARED), "anonymous_id:x")
    for show, changes in ((known, mine), (visitor, theirs)):
        for n, change in enumerate(changes):
            show.take(made("identify", n, 0, change, show.contact.id))
    (merge,) = visitor.take(made("$link", 300, 0, {"into": "ada"}, "anonymous_id:x")).forwards
    known.take(merge)
    for change in ({}, {"x": False}, {"y": False}):
        contact = known.fact("identify", **change).contact
        held = bool(contact.traits.get("x") or contact.traits.get("y"))
        assert ("vip" in contact.lists, contact.traits.get("plan")) == (held, "pro" if held else None)


def test_a_deploy_takes_back_what_rules_did_that_say_another_thing_now() -> None:
    show = Show(PLAN)
    show.fact("identify", city="New York")
    show.plan = plan(DOCUMENT.replace("name: fit, add: 5", "name: fit, add: 7"), OTHER, version=2)
    outcome = show.fact("other")
    assert (outcome.contact.scores["fit"], outcome.trace.firings) == (7, [])
    show.plan = plan(DOCUMENT.replace('contact.city == "New York"', 'contact.city == "Rome"'), OTHER, version=3)
    outcome = show.fact("other")
    assert (outcome.contact.scores["fit"], outcome.contact.lists, set(outcome.contact.segments)) == (0, {}, set())
    assert [(e.kind, e.name, e.after) for e in outcome.trace.effects if e.name == "fit"] == [("score", "fit", 0)]
    rest = DOCUMENT[: DOCUMENT.index("  new-york:")] + DOCUMENT[DOCUMENT.index("  boston:") :]
    show.fact("identify", city="Rome")
    assert show.contact.scores["fit"] == 5
    show.plan = plan(rest, version=4)
    outcome = show.fact("other")
    assert (outcome.contact.scores["fit"], outcome.contact.held) == (0, {})


def test_another_rulesets_deploy_does_not_touch_it() -> None:
    show = Show(plan(DOCUMENT, OTHER))
    show.fact("identify", city="New York")
    show.plan = plan(DOCUMENT, OTHER + "lists: {some: {}}\n", version=2)
    outcome = show.fact("other")
    assert (outcome.trace.effects, outcome.scores, outcome.contact.scores["fit"]) == ([], {}, 5)


CITIES = st.sampled_from(["New York", "Boston", None])
FED = st.lists(
    st.one_of(
        st.tuples(st.just("viewed"), st.just({})),
        st.tuples(st.just("won"), st.fixed_dictionaries({"n": st.integers(-4, 4)})),
        st.tuples(st.just("identify"), st.fixed_dictionaries({"city": CITIES})),
        st.tuples(st.just("identify"), st.fixed_dictionaries({"wish": CITIES})),
    ),
    max_size=15,
)
DAYS = st.integers(0, 30)  # tenths between two facts


def holding(contact: Contact) -> dict[str, bool]:
    any_fact = Fact("", "", "", 0, 0)
    return {rule.id: compile_condition(rule.when)(any_fact, contact) for rule in PLAN.program.whiles}


@settings(max_examples=150)
@given(FED, st.data())
def test_it_holds_exactly_while_the_condition_does(fed: list[tuple[str, Any]], data: st.DataObject) -> None:
    show, at = Show(PLAN), T
    for n, (type, properties) in enumerate(fed):
        at += data.draw(DAYS) * DAY // 10
        contact = show.take(Fact(f"f{n}", type, "ada", at, at, properties)).contact
        held = holding(contact)
        assert {id for id, holds in held.items() if holds} == contact.held.keys()
        assert contact.scores.get("fit", 0) == 5 * held["a/new-york"] + held["a/boston"]
        assert ("locals" in contact.lists) == held["a/new-york"]
        if not any(held.values()):
            assert "tier" not in contact.traits
        assert ("fitting" in contact.segments) == (contact.scores.get("fit", 0) >= 5)


@settings(max_examples=100)
@given(FED, FED)
def test_two_contacts_that_become_one_hold_it_once(mine: list[Any], theirs: list[Any]) -> None:
    known, visitor = Show(PLAN), Show(PLAN, "anonymous_id:x")
    for show, fed in ((known, mine), (visitor, theirs)):
        for n, (type, properties) in enumerate(fed):
            if "n" not in properties:
                show.take(made(type, n, 0, properties, show.contact.id))
    (merge,) = visitor.take(made("$link", 300, 0, {"into": "ada"}, "anonymous_id:x")).forwards
    merged = known.take(merge).contact
    held = holding(merged)
    assert {id for id, holds in held.items() if holds} == merged.held.keys()
    assert merged.scores.get("fit", 0) == 5 * held["a/new-york"] + held["a/boston"]
    gone = known.fact("identify", city="Rome").contact
    if not holding(gone)["a/boston"]:
        assert (gone.scores.get("fit", 0), gone.lists) == (0, {})
    assert encode(gone)


@pytest.mark.parametrize("city", ["New York", "Boston"])
def test_a_step_that_is_rolled_back_still_follows_the_condition(city: str) -> None:
    links = "".join(
        f'  r{n}:\n    when: fact.type == "c{n}"\n    then:\n      - assert: {{type: c{n + 1}}}\n' for n in range(20)
    )
    facts = "".join(f"  c{n}: {{}}\n" for n in range(21))
    text = DOCUMENT.replace("facts:\n", f"facts:\n{facts}").replace("rules:\n", f"rules:\n{links}")
    text = text.replace('fact.type == "c0"', 'fact.type == "trait.changed"')
    show = Show(plan(text))
    outcome = show.fact("identify", city=city)
    assert outcome.trace.error.startswith("chain.too_deep")
    assert outcome.contact.scores.get("fit", 0) == (5 if city == "New York" else 0)
