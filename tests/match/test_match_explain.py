"""Why and why not: the tree says what the matchers say, and the smallest change that it tells does what it promises."""

from __future__ import annotations

import os

import matchoracle
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from matchkit import both, call, compare, contact, either, fact, no, node, rule, sums
from matchpools import TYPES
from momentkit import tree
from test_match_differential import conditions, contacts, facts
from test_match_differential import tests as single_tests

from overture.match import Reference, compile_value
from overture.match.change import smallest_change
from overture.match.edits import applied
from overture.match.explain import Verdict, explain, first_failing
from overture.match.nearly import NearMisses
from overture.match.units import said as told
from overture.model import Contact, Fact
from overture.model.series import Series
from overture.rules.reach import conjuncts
from overture.rules.series import series_key
from overture.rules.spelling import spell
from overture.rules.tree import And, Decaying, Field, History, Node, Or, Window

EXAMPLES = int(os.environ.get("OVERTURE_MATCH_EXAMPLES", "2000")) // 4

ADA = contact(scores={"lead": 20}, traits={"country": "FR", "tags": ["a"]}, segments={"known": 1})
VISIT = fact({"path": "/x", "n": 3})


def every(verdict: Verdict) -> list[Verdict]:
    return [verdict, *(below for term in verdict.terms for below in every(term))]


def sentence(when: Node) -> str:
    change = smallest_change(when, VISIT, ADA)
    assert change is not None
    return change.sentence


# --- what is generated ------------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(conditions, facts, contacts)
def test_the_verdict_is_the_matchers(when: Node, fact: Fact, contact: Contact) -> None:
    verdict = explain(when, fact, contact)
    assert verdict.holds is bool(Reference([rule("r", when, TYPES)]).match(fact, contact))
    assert verdict.holds is (matchoracle.value(when, fact, contact) is True)
    assert (first_failing(verdict) is None) is verdict.holds
    for part in every(verdict):
        holds = [term.holds for term in part.terms]
        assert part.holds is {"and": all(holds), "or": any(holds), "not": holds == [False]}.get(part.kind, part.holds)
    deciding = [part for part in every(verdict) if part.decided]
    assert verdict in deciding
    assert all(any(term.decided for term in part.terms) for part in deciding if part.terms)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.one_of(conditions, st.lists(single_tests, min_size=2, max_size=4).map(lambda t: And(tuple(t)))), facts, contacts
)
def test_the_smallest_change_made_the_condition_holds(when: Node, fact: Fact, contact: Contact) -> None:
    change = smallest_change(when, fact, contact)
    event("holds" if explain(when, fact, contact).holds else "no change" if change is None else "a change")
    if explain(when, fact, contact).holds:
        assert change is None
    elif change is not None:
        before = (fact, contact.copy())
        made = applied(when, change.edits, fact, contact)
        assert made is not None
        changed, *seen = made
        assert Reference([rule("r", changed, (*TYPES, seen[0].type))]).match(*seen)
        assert (fact, contact) == before, "what was given stays as it was"
        assert change.sentence.endswith(".")
        for edit in change.edits:
            # as texts: a NaN is no other NaN
            assert edit.name or repr(edit.before) == repr(compile_value(edit.operand)(fact, contact))


NAMES = [f"f{n}" for n in range(4)]


@settings(max_examples=EXAMPLES)
@given(
    st.recursive(
        st.builds(
            lambda name, op, n: compare(f"fact.{name}", op, n),
            st.sampled_from(NAMES), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(-9, 9),
        ),
        lambda nodes: st.builds(Or, st.lists(nodes, min_size=1, max_size=3).map(tuple)),
        max_leaves=6,
    ),
    st.dictionaries(st.sampled_from(NAMES), st.integers(-9, 9)),
)  # fmt: skip
def test_where_a_change_is_easy_there_is_one(when: Node, properties: dict[str, int]) -> None:
    change = smallest_change(when, fact(dict(properties)), ADA)
    assert explain(when, fact(dict(properties)), ADA).holds or change is not None
    assert change is None or len(change.edits) == 1


# --- what it says -----------------------------------------------------------------------------------------------


def test_every_term_is_told_and_the_one_that_decided_marked() -> None:
    when = both(
        compare("fact.path", "==", ("/x",)),
        compare("contact.scores.lead", ">=", 25),
        either(compare("contact.country", "==", ("DE",)), call("has", "contact.zip")),
    )
    verdict = explain(when, VISIT, ADA)
    assert [(t.text, t.holds, t.decided) for t in verdict.terms] == [
        ('fact.path == "/x"', True, False),
        ("contact.scores.lead >= 25", False, True),
        ('contact.country == "DE" or has(contact.zip)', False, False),
    ]
    failing = first_failing(verdict)
    assert failing is not None
    assert failing.text == "contact.scores.lead >= 25"
    last = verdict.terms[2].terms[1]
    assert [(o.text, o.value) for o in last.operands] == [("contact.zip", None)]


def test_what_was_calculated_is_told_with_what_it_was_calculated_from() -> None:
    verdict = explain(compare(sums("fact.n", "*", 2), ">=", 10), VISIT, ADA)
    assert [(o.text, o.value) for o in verdict.operands] == [("fact.n * 2", 6), ("fact.n", 3)]


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (compare("contact.scores.lead", ">=", 25), "contact.scores.lead was 20; 25 or more would do."),
        (compare(25, "<", "contact.scores.lead"), "contact.scores.lead was 20; more than 25 would do."),
        (compare("fact.missing", "<", 5), "fact.missing was missing; less than 5 would do."),
        (compare("contact.country", "in", [("DE",), ("AT",)]), 'contact.country was "FR"; one of "DE", "AT" would do.'),
        (no(compare("contact.country", "==", ("FR",))), 'contact.country was "FR"; anything but "FR" would do.'),
        (call("startswith", "fact.path", ("/p",)), 'fact.path was "/x"; something that begins with "/p" would do.'),
        (call("matches", "fact.path", ("^/p",)), 'fact.path was "/x"; something that matches "^/p" would do.'),
        (call("has", "contact.zip"), "contact.zip was missing; any value would do."),
        (no(call("has", "contact.country")), 'contact.country was "FR"; having none would do.'),
        (node("contact.vip"), "contact.vip was missing; true would do."),
        (compare(sums("fact.n", "+", 2), ">=", 10), "fact.n was 3; 8 would do."),
        (compare(call("len", "contact.tags"), ">=", 3), "len(contact.tags) was 1; 3 or more would do."),
        (compare("fact.n", ">=", "contact.limit"), "contact.limit was missing; 3 or less would do."),
        (
            compare(("vip",), "in", "contact.segments"),
            'contact.segments did not have "vip"; with it the condition would hold.',
        ),
        (
            no(compare(("known",), "in", "contact.segments")),
            'contact.segments had "known"; without it the condition would hold.',
        ),
        # of an `or` the cheapest, of an `and` all that failed
        (
            either(compare("contact.country", "==", ("DE",)), compare("contact.scores.lead", ">=", 21)),
            "contact.scores.lead was 20; 21 or more would do.",
        ),
        (
            both(compare("contact.scores.lead", ">=", 25), compare("fact.path", "==", ("/y",))),
            'Together these would do: contact.scores.lead: 25 or more (was 20); fact.path: "/y" (was "/x").',
        ),
        # one value that several tests ask for
        (both(compare("fact.n", ">=", 5), compare("fact.n", "!=", 5)), "fact.n was 3; 6 would do."),
        (both(compare("fact.n", ">", 5), compare("fact.n", "<", 6)), "fact.n was 3; 5.5 would do."),
        (both(call("has", "contact.zip"), compare("contact.zip", "==", (1,))), "contact.zip was missing; 1 would do."),
    ],
    ids=lambda x: spell(x) if not isinstance(x, str) else "",
)
def test_the_sentence(when: Node, said: str) -> None:
    assert sentence(when) == said


@pytest.mark.parametrize(
    "when",
    [
        node(False),
        compare("contact.id", "==", ("bob",)),
        both(compare("fact.n", "<", 3), compare("fact.n", ">", 4)),
        call("matches", "fact.path", ("^[a-z]+[0-9]{3}$",)),
        compare("contact.a", "<", "contact.b"),
    ],
    ids=spell,
)
def test_where_no_change_is_known_none_is_told(when: Node) -> None:
    assert smallest_change(when, VISIT, ADA) is None


def test_a_condition_of_the_largest_size_is_answered() -> None:
    tests = [compare(f"fact.p{n % 7}", "==", n) for n in range(240)]
    assert smallest_change(Or((And(tuple(tests)), *tests)), VISIT, ADA) is not None


def test_numbers_beyond_all_bounds_are_no_trouble() -> None:
    for value in (10**400, -(10**400), 1e308, float("inf"), float("nan")):
        change = smallest_change(compare("fact.n", "==", 5), fact({"n": value}), ADA)
        assert change is not None
        assert change.edits[0].after == 5


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.one_of(single_tests, conditions), min_size=2, max_size=4), facts, contacts)
def test_a_near_miss_is_a_rule_with_one_failing_part(terms: list[Node], fact: Fact, contact: Contact) -> None:
    when = And((compare("fact.type", "==", (fact.type,)), *terms))
    one = rule("r", when, (fact.type,))
    found = list(NearMisses({fact.type: [one]}).find(fact, contact))
    if found:
        ((missed, failed),) = found
        assert missed is one
        assert not explain(when, fact, contact).holds
        assert failed in [part.text for part in every(explain(when, fact, contact)) if not part.holds]
    failing = [term for term in terms if not isinstance(term, And) and not explain(term, fact, contact).holds]
    event(f"{len(found)} found, {min(len(failing), 2)} failing")
    assert len(failing) < 2 or not found


@pytest.mark.parametrize(
    ("source", "failed"),
    [
        ('fact.type == "t" and fact.n == 3 and fact.m == 2', ["fact.m == 2"]),
        ('fact.type == "t" and fact.n == 3 and not (fact.type == "t" and fact.n == 3)', None),
        ('fact.n == 3 and (fact.type == "u" or fact.m == 2)', ["fact.m == 2"]),
        ('fact.type == "t" and fact.n == 4 and fact.m == 2', []),
    ],
)
def test_a_near_miss_is_told_in_the_words_of_the_rule(source: str, failed: list[str] | None) -> None:
    when = tree(source)
    found = [text for _, text in NearMisses({"t": [rule("r", when, ("t",))]}).find(fact({"n": 3}, type="t"), ADA)]
    expected = [spell(list(conjuncts(when))[-1])] if failed is None else failed
    assert found == expected


# --- time and history -------------------------------------------------------------------------------------------


DAY = 86_400_000
VISITS = series_key("page_viewed", (), None)


@pytest.mark.parametrize(
    ("when", "said", "shown"),
    [
        (
            compare(call("age", "contact.joined"), ">=", 3 * DAY),
            "age(contact.joined) was 2d 3h; 3d or more would do.",
            ["3d", "2d 3h", "1774422000000"],
        ),
        (
            compare(call("now"), ">", "contact.until"),
            "now() was 2026-03-27T10:00:00.000Z; later than 2026-04-01T00:00:00.000Z would do.",
            ["2026-03-27T10:00:00.000Z", "2026-04-01T00:00:00.000Z"],
        ),
        (
            compare(History("count", VISITS, Window(7 * DAY)), ">=", 3),
            'count("page_viewed", within="7d") was 2; 3 or more would do.',
            ["2"],
        ),
        (History("seen", VISITS, Window(DAY)), 'seen("page_viewed", within="1d") was false; true would do.', ["false"]),
        (
            compare(Decaying(Field("contact", ("scores", "lead")), DAY), ">=", 15),
            "contact.scores.lead was 10; 15 or more would do.",
            ["10"],
        ),
    ],
    ids=lambda x: "" if isinstance(x, str | list) else spell(x),
)
def test_instants_durations_and_what_is_remembered(when: Node, said: str, shown: list[str]) -> None:
    clock = 1_774_605_600_000
    traits = {"joined": clock - 2 * DAY - 3 * 3_600_000, "until": 1_775_001_600_000}
    history = {VISITS.id: Series(2, 0, clock - 3 * DAY, clock - 2 * DAY, [clock - 3 * DAY, clock - 2 * DAY])}
    ada = contact(
        clock=clock, traits=traits, history=history, scores={"lead": 20}, stamps={"lead": clock - DAY}
    )  # fmt: skip
    change = smallest_change(when, VISIT, ada)
    assert change is not None
    assert change.sentence == said
    assert [told(o.value, o.unit) for o in explain(when, VISIT, ada).operands] == shown
    made = applied(when, change.edits, VISIT, ada)
    assert made is not None
    assert explain(*made).holds
