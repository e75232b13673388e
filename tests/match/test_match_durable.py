"""How the durable matcher routes, groups, recovers and gives back."""

from __future__ import annotations

import pytest
from matchkit import both, call, compare, contact, either, fact, no, rule

from overture.match import Matcher, Reference, build
from overture.model import Contact, Fact
from overture.rules.ruleset import Rule
from overture.rules.tree import Node

durable_rules_engine = pytest.importorskip("durable_rules_engine")

from overture.match.durable import Durable  # noqa: E402
from overture.match.lowering import MAX_ALTERNATIVES, MAX_TESTS, Computed, lower  # noqa: E402

ADA = contact(traits={"country": "DE"})


def names(matcher: Matcher, seen: Fact, who: Contact = ADA) -> list[str]:
    return [r.name for r in matcher.match(seen, who)]


def on(fact_type: str, *terms: Node) -> Node:
    return both(compare("fact.type", "==", (fact_type,)), *terms)


@pytest.fixture(params=["durable", "reference"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def test_in_the_order_of_the_rules_given(kind: str) -> None:
    more = [rule(f"path-{x}", compare("fact.a", "==", (x,))) for x in "pqrst"]
    rules = [
        *more,
        rule("second-field", compare("fact.b", "==", 2)),
        rule("by-path", compare("fact.a", "==", ("x",))),
        rule("always", compare("fact.type", "==", ("t",))),
        rule("range", compare("fact.b", ">", 1)),
        rule("other-path", compare("fact.a", "==", ("y",))),
    ]
    assert names(build(kind, rules), fact({"a": "r", "b": 3})) == ["path-r", "always", "range"]
    seen = fact({"a": "x", "b": 2})
    assert names(build(kind, rules), seen) == ["second-field", "by-path", "always", "range"]
    assert names(build(kind, rules[::-1]), seen) == ["range", "always", "by-path", "second-field"]


def test_a_rule_sees_only_its_types(kind: str) -> None:
    either_type = either(
        compare("fact.type", "==", ("t",)), both(compare("fact.type", "==", ("u",)), compare("fact.n", ">", 1))
    )
    matcher = build(
        kind,
        [
            rule("t", on("t")),
            rule("either", either_type, ("t", "u")),
            rule("not-t", compare("fact.type", "!=", ("t",)), ("t", "u", "v")),
            rule("never", on("u"), ("t",)),
        ],
    )
    assert names(matcher, fact()) == ["t", "either"]
    assert names(matcher, fact({"n": 2}, "u")) == ["either", "not-t"]
    assert names(matcher, fact({"n": 1}, "u")) == ["not-t"]
    assert names(matcher, fact({"n": 2}, "v")) == ["not-t"]
    assert names(matcher, fact({"n": 2}, "w")) == []


def test_literals_of_different_kinds_do_not_meet(kind: str) -> None:
    literals = [True, 1, ("1",), ("True",), 1.5, False, 0, ("",), 10**30]
    matcher = build(kind, [rule(str(x), compare("fact.a", "==", x)) for x in literals])
    values = [True, 1, "1", "True", 1.5, False, 0, "", 10**30]
    for literal, value in zip(literals, values, strict=True):
        assert names(matcher, fact({"a": value})) == [str(literal)]
    assert names(matcher, fact({"a": 1.0})) == ["1"]
    assert names(matcher, fact({"a": -0.0})) == ["0"]
    assert names(matcher, fact({"a": [1]})) == names(matcher, fact({"a": None})) == names(matcher, fact()) == []


def test_equal_literals_in_one_list_fire_once(kind: str) -> None:
    matcher = build(kind, [rule("a", compare("fact.a", "in", [1, 1.0, ("1",), 1]))])
    assert names(matcher, fact({"a": 1})) == ["a"]


def test_alternatives_that_hold_together_fire_once() -> None:
    when = either(*[compare("fact.n", ">", i) for i in range(MAX_ALTERNATIVES)])
    assert len(lower(when)) == MAX_ALTERNATIVES
    assert names(Durable([rule("a", when), rule("b", no(when))]), fact({"n": 100})) == ["a"]


def test_what_would_have_too_many_alternatives_or_tests_is_computed() -> None:
    wide = either(*[compare("fact.n", ">", i) for i in range(MAX_ALTERNATIVES + 1)])
    deep = both(*[either(compare(f"fact.p{i}", ">", 1), compare(f"fact.p{i}", "<", -1)) for i in range(40)])
    long = both(*[compare(f"fact.p{i}", "==", i) for i in range(MAX_TESTS + 1)])
    assert [type(t) for c in lower(wide) for t in c] == [Computed]
    assert 1 < len(lower(deep)) <= MAX_ALTERNATIVES
    assert [type(t) for c in lower(long) for t in c] == [Computed]
    rules = [rule("wide", wide), rule("deep", deep), rule("long", long)]
    durable = Durable(rules)
    everything = {f"p{i}": 2 for i in range(40)}
    assert names(durable, fact({"n": 1, **everything})) == ["wide", "deep"]
    assert names(durable, fact({f"p{i}": i for i in range(MAX_TESTS + 1)})) == ["long"]
    assert names(durable, fact({**everything, "p39": 1})) == []


def test_500_rules_on_one_fact_in_networks_that_the_engine_can_search() -> None:
    rules = [rule(f"r{i}", both(compare("fact.n", ">", i), compare("fact.m", "<=", i))) for i in range(500)]
    durable = Durable(rules)
    assert len(durable.networks) == 10
    assert names(durable, fact({"n": 10**6, "m": -1})) == [f"r{i}" for i in range(500)]
    assert names(durable, fact({"n": 250, "m": 248})) == ["r248", "r249"]
    assert names(durable, fact({"n": "250", "m": 248})) == []
    assert (durable.fallbacks, durable.resets) == (0, 0)


def test_equal_conditions_by_the_hundred() -> None:
    rules = [
        rule(f"r{i}", both(compare("fact.a", "==", ("x",)), call("startswith", "fact.b", ("y",)))) for i in range(300)
    ]
    assert len(names(Durable(rules), fact({"a": "x", "b": "yy"}))) == 300


def test_names_of_tests_differ_in_the_engine_that_knows_them_by_hash_only() -> None:
    def fnv1a(name: str) -> int:
        value = 0x811C9DC5
        for byte in name.encode():
            value = (value ^ byte) * 0x01000193 % 2**32
        return value

    used = ["sid", "id", "any", "warm", "$s", *[f"p{i}" for i in range(2 * MAX_TESTS)]]
    assert len({fnv1a(name) for name in used}) == len(used)


RULES: list[Rule] = [
    rule("a", compare("fact.n", ">", 1)),
    rule("b", compare("fact.a", "==", ("x",))),
    rule("c", on("t")),
]


def test_after_an_engine_error_the_reference_answers_and_the_network_starts_afresh() -> None:
    durable = Durable(RULES)
    seen = fact({"n": 2, "a": "x"})
    assert names(durable, seen) == ["a", "b", "c"]
    for network in durable.networks:
        durable_rules_engine.delete_ruleset(network.handle)  # pull the engine away from under it
    failed = 0
    while durable.resets < len(durable.networks):
        failed += 1
        assert names(durable, seen) == ["a", "b", "c"]
        assert failed == durable.resets == durable.fallbacks
    assert names(durable, seen) == ["a", "b", "c"]
    assert names(durable, fact({"n": 1})) == ["c"]
    assert durable.fallbacks == len(durable.networks)


def test_a_session_left_dirty_is_not_used_again() -> None:
    durable = Durable([rule("a", compare("fact.n", ">", 1))])
    # A fact of the same id that was never retracted, as an evaluation that was cut short would leave it.
    durable_rules_engine.assert_fact(durable.networks[0].handle, '{"sid":"w","id":"f","p0":2}')
    for n, expected in [(2, ["a"]), (1, []), (2, ["a"]), (0, [])]:
        assert names(durable, fact({"n": n})) == expected
    assert (durable.resets, durable.fallbacks) == (1, 1)


def test_closing_gives_the_networks_back_and_hurts_nobody_else() -> None:
    first, second = Durable(RULES), Durable(RULES)
    handles = [network.handle for network in first.networks]
    first.close()
    for handle in handles:
        with pytest.raises(durable_rules_engine.error):
            durable_rules_engine.assert_fact(handle, '{"sid":"w","id":"f","p0":2}')
    assert names(second, fact({"n": 2, "a": "x"})) == ["a", "b", "c"]


def test_build() -> None:
    assert isinstance(build("durable", RULES), Durable)
    assert isinstance(build("reference", RULES), Reference)
    assert build("durable", []).match(fact(), ADA) == []
