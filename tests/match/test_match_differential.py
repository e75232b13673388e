"""Generated rules × contacts × facts: durable == reference == the naive walk over the tree.

``OVERTURE_MATCH_EXAMPLES=100000`` makes it long.
"""

from __future__ import annotations

import os

import matchoracle
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from matchkit import rule
from matchpools import CONTACT_FIELDS, FACT_FIELDS, FLOATS, INTEGERS, NOT_FINITE, TEXTS, TYPES

from overture.match import Reference, available
from overture.model import Contact, Fact, Series
from overture.rules.ruleset import Rule
from overture.rules.series import series_key
from overture.rules.tree import (
    And,
    Arithmetic,
    Call,
    Compare,
    Decaying,
    Field,
    History,
    Items,
    Literal,
    Node,
    Not,
    Or,
    Window,
)

pytestmark = pytest.mark.skipif(not available(), reason="durable-rules is not installed")

EXAMPLES = int(os.environ.get("OVERTURE_MATCH_EXAMPLES", "2000"))

texts = st.sampled_from(range(len(TEXTS))).map(lambda i: TEXTS[i])  # not the texts: they are long to print
literals = st.one_of(texts, st.sampled_from(INTEGERS), st.sampled_from(FLOATS), st.booleans())
scalars = st.one_of(literals, st.none(), st.sampled_from(NOT_FINITE), st.text(max_size=3), st.integers(), st.floats())
values = st.one_of(
    scalars, scalars, st.lists(scalars, max_size=3), st.dictionaries(st.sampled_from("abx"), scalars, max_size=2)
)

fields = st.one_of(
    st.builds(Field, st.just("fact"), st.sampled_from(FACT_FIELDS)),
    st.builds(Field, st.just("contact"), st.sampled_from(CONTACT_FIELDS)),
)
constants = st.builds(Literal, literals)


def _lists(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.builds(Items, st.lists(nodes, max_size=4).map(tuple))


def _extend(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    terms = st.lists(nodes, min_size=1, max_size=4).map(tuple)
    return st.one_of(
        st.builds(And, terms),
        st.builds(Or, terms),
        st.builds(Not, nodes),
        st.builds(Arithmetic, st.sampled_from("+-*/%"), nodes, nodes),
        st.builds(Compare, st.sampled_from(["==", "!=", "<", "in", "not in"]), nodes, nodes),
        st.builds(
            lambda name, a, b: Call(name, (a, b)),
            st.sampled_from(["startswith", "endswith", "contains", "min", "max"]), nodes, nodes,
        ),
        st.builds(lambda name, a: Call(name, (a,)), st.sampled_from(["has", "lower", "len", "abs", "round"]), nodes),
        st.builds(lambda a, p: Call("matches", (a, Literal(p))), nodes, st.sampled_from(["^a", "b$", "[0-9]", ""])),
    )  # fmt: skip


series = st.sampled_from([series_key("t"), series_key("u", ("n",))])
over = st.none() | st.sampled_from([Window(5), Window(86_400_000), Window(calendar="day"), Window(calendar="week")])
remembered = st.one_of(
    st.builds(lambda w: History("count", series_key("t"), w), over),
    st.builds(lambda w: History("total", series_key("u", ("n",)), w), over),
    st.builds(lambda w, s: History("seen", s, w), over, series),
    st.builds(lambda kind, s: History(kind, s), st.sampled_from(["last", "first"]), series),
    st.builds(
        lambda path, h: Decaying(Field("contact", ("scores", *path)), h),
        st.sampled_from([("s",), ("k",), ("k", "x")]), st.sampled_from([1, 1_000, 86_400_000]),
    ),
)  # fmt: skip
clocks = st.one_of(st.just(Call("now", ())), st.builds(lambda x: Call("age", (x,)), st.one_of(fields, remembered)))

ORDERS = ["==", "==", "<", "<=", ">", ">="]
tests = st.one_of(
    st.builds(Compare, st.sampled_from(ORDERS), fields, constants),
    st.builds(Compare, st.sampled_from(ORDERS), constants, fields),
    st.builds(Compare, st.sampled_from(["in", "not in"]), fields, _lists(constants)),
    st.builds(Compare, st.just("!="), fields, constants),
    st.builds(Compare, st.sampled_from(["==", "<", "in"]), fields, fields),
    st.builds(Compare, st.just("in"), constants, fields),
    st.builds(Compare, st.sampled_from(ORDERS), remembered, st.builds(Literal, st.sampled_from([0, 1, 2.5, 3]))),
    st.builds(Compare, st.sampled_from(ORDERS), st.one_of(clocks, remembered), st.one_of(fields, remembered)),
    st.builds(
        lambda op, t: Compare(op, Field("fact", ("type",)), Literal(t)),
        st.sampled_from(["==", "!="]),
        st.sampled_from(TYPES),
    ),
)
conditions = st.recursive(st.one_of(tests, tests, tests, fields, constants), _extend, max_leaves=4)
conjunctions = st.builds(And, st.lists(st.one_of(tests, conditions), min_size=1, max_size=4).map(tuple))
types = st.sampled_from([("t",), ("t",), ("u",), ("t", "u")])
rulesets = st.lists(st.tuples(st.one_of(conjunctions, conditions), types), min_size=1, max_size=4).map(
    lambda drafts: [rule(f"r{i}", when, types) for i, (when, types) in enumerate(drafts)]
)

maps = st.dictionaries(st.sampled_from("abcn"), values, max_size=4)
nested = st.dictionaries(st.sampled_from("ab"), st.one_of(values, st.dictionaries(st.sampled_from("ab"), scalars)))
properties = st.builds(lambda m, n: {**m, **({"n": n} if n else {})}, maps, nested)
facts = st.builds(
    lambda type, id, at, p: Fact(id, type, "ada", at, at, p),
    st.sampled_from(TYPES), st.sampled_from(["f1", "a", ""]), st.sampled_from([0, 1, 5]), properties,
)  # fmt: skip
names = st.dictionaries(st.sampled_from(["", "a", "ab", "5", "true"]), st.just(1), max_size=3)
score = st.one_of(st.sampled_from(INTEGERS[:6]), st.sampled_from(FLOATS))
NOW = 1_774_602_000_000
instants = st.sampled_from([0, 1, 4, 5, 6, 86_400_000, 10**9, -3]).map(lambda ago: NOW - ago)


@st.composite
def kept(draw: st.DrawFn) -> Series:
    at = sorted(draw(st.lists(instants, min_size=1, max_size=4)))
    values = [draw(st.sampled_from([0.0, 1.0, 2.5, -0.1])) for _ in at]
    return Series(len(at) + draw(st.integers(0, 1)), sum(values), at[0], at[-1], at, values)


histories = st.fixed_dictionaries({}, optional={"t": kept(), "u:n": kept(), "u": kept()})
stamps = st.fixed_dictionaries(
    {}, optional={"s": instants, "k": st.one_of(instants, st.dictionaries(st.sampled_from("xy"), instants))}
)
contacts = st.builds(
    lambda id, traits, scores, segments, lists, zone, stamps, history: Contact(
        id,
        traits={**traits, **zone},
        scores=scores,
        segments=segments,
        lists=lists,
        clock=NOW,
        stamps=stamps,
        history=history,
    ),
    st.sampled_from(["a", "ada"]),
    properties,
    st.fixed_dictionaries(
        {}, optional={"s": score, "k": st.one_of(score, st.dictionaries(st.sampled_from("xy"), score))}
    ),
    names,
    names,
    st.fixed_dictionaries({}, optional={"timezone": st.sampled_from(["Europe/Berlin", "America/Havana", 3])}),
    stamps,
    histories,
)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rulesets, st.lists(st.tuples(facts, contacts), min_size=1, max_size=2))
def test_durable_is_reference_is_oracle(rules: list[Rule], seen: list[tuple[Fact, Contact]]) -> None:
    from overture.match.durable import Durable

    reference, durable = Reference(rules), Durable(rules)
    for fact, contact in [*seen, *seen]:  # twice: an evaluation leaves nothing behind
        expected = matchoracle.firing(rules, fact, contact)
        assert [r.name for r in reference.match(fact, contact)] == expected
        assert [r.name for r in durable.match(fact, contact)] == expected
        event(f"{min(len(expected), 4)} rules fire")
    assert (durable.fallbacks, durable.resets) == (0, 0)


@settings(max_examples=max(100, EXAMPLES // 20))
@given(st.lists(tests, min_size=8, max_size=12), facts, contacts)
def test_rules_that_all_fire_at_once(parts: list[Node], fact: Fact, contact: Contact) -> None:
    """More at once than the engine's search has room for, were they in one network."""
    from overture.match.durable import Durable

    pairs = [And((a, b)) for a in parts for b in parts]
    rules = [rule(f"r{i}", Or((pair, Field("fact", ("all",)))), TYPES) for i, pair in enumerate(pairs)]
    durable = Durable(rules)
    everything = Fact(fact.id, fact.type, "ada", 0, 0, {**fact.properties, "all": True})
    for seen in (everything, fact, everything):
        assert [r.name for r in durable.match(seen, contact)] == matchoracle.firing(rules, seen, contact)
    assert len(durable.match(everything, contact)) == len(rules)
    assert (durable.fallbacks, durable.resets) == (0, 0)
