"""Functions of plugins in both matchers: the same rules fire, also where functions fail, and what is told agrees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from overture.match import available, build
from overture.match.explain import explain
from overture.model import Contact, Fact
from overture.model.errors import PluginFailed
from overture.model.pure import Function, Pure, noting
from overture.rules import RulesetInvalid, load

pytestmark = pytest.mark.skipif(not available(), reason="durable-rules is not installed")

HEAD = """\
apiVersion: overture/v1
kind: Ruleset
name: m
facts: {t: {a: "number?", b: "string?", c: "bool?"}, u: {a: "number?"}}
traits: {x: "number?"}
rules:
"""


def _even(arguments: Sequence[Any]) -> bool:
    if arguments[0] % 5 == 3:
        raise PluginFailed("plugin.raised", f"even does not know {arguments[0]}")
    return arguments[0] % 2 == 0


def _size(arguments: Sequence[Any]) -> int | None:
    return len(arguments[0]) or None


PURE = Pure({
    "even": Function("even", ("number",), "bool", _even),
    "size": Function("size", ("string",), "int?", _size),
})  # fmt: skip

atoms = st.sampled_from([
    "even(fact.a)", "even(contact.x)", "size(fact.b) > 2", "fact.c", "fact.a > 3", 'fact.b == "abc"', "has(contact.x)",
    'fact.b in ["a", "abc", "x", "zz"]', "even(fact.a + 1)", "size(fact.b) == fact.a",
])  # fmt: skip
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        inner.map(lambda c: f"not ({c})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda cs: "(" + " and ".join(cs) + ")"),
        st.lists(inner, min_size=2, max_size=3).map(lambda cs: "(" + " or ".join(cs) + ")"),
    ),
    max_leaves=6,
)
facts = st.fixed_dictionaries(
    {},
    optional={"a": st.integers(-3, 9), "b": st.sampled_from(["", "a", "abc", "zz", "long"]), "c": st.booleans()},
)


@settings(max_examples=300)
@given(st.lists(conditions, min_size=1, max_size=8), st.lists(facts, min_size=1, max_size=6), st.integers(-1, 8))
def test_both_matchers_and_the_explanation_agree(whens: list[str], given: list[dict[str, Any]], x: int) -> None:
    rules = "".join(f"  r{n}: {{when: 'fact.type == \"t\" and ({when})', then: []}}\n" for n, when in enumerate(whens))
    try:
        ruleset = load(HEAD + rules, PURE)
    except RulesetInvalid:  # one that can never hold
        assume(False)
        raise
    durable, reference = build("durable", ruleset.rules), build("reference", ruleset.rules)
    contact = Contact("ada", traits={} if x < 0 else {"x": x})
    for n, properties in enumerate(given):
        fact = Fact(f"f{n}", "t", "ada", 1, 1, properties)
        fired = [rule.name for rule in reference.match(fact, contact)]
        assert [rule.name for rule in durable.match(fact, contact)] == fired
        for rule in ruleset.rules:
            with noting() as failures:
                verdict = explain(rule.when, fact, contact)
            assert verdict.holds is (rule.name in fired)
            assert all(failure.asker == f"m#/rules/{rule.name}/when" for failure in failures)


def test_an_explanation_shows_what_the_call_answered_and_what_it_was_given() -> None:
    ruleset = load(HEAD + "  r: {when: 'fact.type == \"t\" and size(fact.b) > 2', then: []}\n", PURE)
    verdict = explain(ruleset.rules[0].when, Fact("f", "t", "ada", 1, 1, {"b": "abc"}), Contact("ada"))
    seen = {operand.text: operand.value for term in verdict.terms for operand in term.operands}
    assert seen == {"fact.type": "t", "size(fact.b)": 3, "fact.b": "abc"}
