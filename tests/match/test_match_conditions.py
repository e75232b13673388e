"""The meaning of each operator and function, for present, missing and oddly typed operands."""

from __future__ import annotations

from typing import Any

import pytest
from matchkit import both, call, compare, contact, either, fact, no, node, rule, sums

from overture.match import build, compile_condition, compile_value, holds
from overture.match.functions import FUNCTIONS
from overture.model import Refused
from overture.rules import syntax
from overture.rules.historic import HISTORY
from overture.rules.tree import And, Call, Node, Or

FACT = fact(
    {
        "text": "alpha",
        "five": "5",
        "n": 5,
        "one": 1,
        "zero": 0,
        "half": 0.5,
        "yes": True,
        "no": False,
        "null": None,
        "list": ["a", 1, True, None, [2]],
        "other": ["a", 1, True, None, [2]],
        "deep": {"a": {"b": "x"}},
        "also": {"a": {"b": "x"}},
        "empty": "",
        "big": 2**53,
        "bigger": 2**53 + 1,
        "huge": 10**400,
        "tiny": 1e-7,
    }
)
ADA = contact(
    traits={"country": "DE", "address": {"city": "Köln"}, "vip": True, "type": "person"},
    scores={"lead": 40, "interest": {"seo": 10}},
    segments={"hot": 1},
    lists={"news": 1},
)

CASES: list[tuple[Node, bool]] = [
    # like with like
    (compare("fact.text", "==", ("alpha",)), True),
    (compare("fact.text", "==", ("alpha ",)), False),
    (compare("fact.five", "==", 5), False),
    (compare("fact.five", "!=", 5), True),
    (compare("fact.n", "==", ("5",)), False),
    (compare("fact.n", "==", 5.0), True),
    (compare("fact.yes", "==", 1), False),
    (compare("fact.yes", "!=", 1), True),
    (compare("fact.one", "==", True), False),
    (compare("fact.zero", "==", False), False),
    (compare("fact.yes", "==", True), True),
    (compare("fact.yes", "!=", True), False),
    (compare(5, "==", "fact.n"), True),
    (compare("fact.list", "==", "fact.other"), True),
    (compare("fact.deep", "==", "fact.also"), True),
    (compare("fact.deep", "!=", "fact.list"), True),
    (compare([1], "==", [True]), False),
    (compare(["fact.n", 1], "==", [5.0, 1]), True),
    (compare("fact.bigger", "==", float(2**53)), False),
    (compare("fact.big", "==", float(2**53)), True),
    # missing
    (compare("fact.gone", "==", ("x",)), False),
    (compare("fact.gone", "!=", ("x",)), False),
    (compare("fact.gone", "not in", [("x",)]), False),
    (compare("fact.null", "!=", 1), False),
    (compare("fact.null", "!=", True), False),
    (compare("fact.gone", "==", "fact.null"), False),
    (compare("fact.gone", "<", 1), False),
    (no(compare("fact.gone", "==", ("x",))), True),
    (no("fact.gone"), True),
    (compare("fact.text.deeper", "==", ("x",)), False),
    # order
    (compare("fact.n", ">=", 5), True),
    (compare("fact.n", ">", 5), False),
    (compare("fact.n", "<", 5.5), True),
    (compare(4, "<", "fact.n"), True),
    (compare("fact.five", ">=", 5), False),
    (compare("fact.text", "<", ("b",)), True),
    (compare("fact.text", ">", ("alph",)), True),
    (compare("fact.empty", "<", ("a",)), True),
    (compare("fact.yes", ">", 0), False),
    (compare("fact.yes", ">=", True), False),
    (compare("fact.list", "<", "fact.list"), False),
    (compare("fact.tiny", ">", 0), True),
    (compare("fact.huge", ">", 1e308), True),
    # in
    (compare("contact.country", "in", [("DE",), ("AT",)]), True),
    (compare("contact.country", "not in", [("DE",), ("AT",)]), False),
    (compare("fact.one", "in", [True, ("1",)]), False),
    (compare("fact.one", "in", [True, 1.0]), True),
    (compare("fact.one", "not in", [True]), True),
    (compare("fact.list", "in", [1]), False),
    (compare(1, "in", "fact.list"), True),
    (compare(False, "in", "fact.list"), False),
    (compare("fact.null", "in", "fact.list"), False),
    (compare(("lph",), "in", "fact.text"), True),
    (compare(1, "in", "fact.text"), False),
    (compare(1, "not in", "fact.text"), True),
    (compare(("a",), "in", "fact.deep"), False),
    (compare(("hot",), "in", "contact.segments"), True),
    (compare(("cold",), "not in", "contact.segments"), True),
    (compare("fact.gone", "not in", "contact.segments"), False),
    (compare("fact.list", "not in", "contact.lists"), True),
    (compare(("news",), "in", "contact.lists"), True),
    (compare("fact.n", "in", ["fact.n", "fact.gone"]), True),
    (compare("fact.n", "in", []), False),
    # only true is true
    (node("fact.yes"), True),
    (node("fact.one"), False),
    (node("fact.text"), False),
    (both("fact.yes", "fact.one"), False),
    (both("fact.yes", "contact.vip"), True),
    (both("fact.yes", "contact.vip", "fact.yes", "fact.no"), False),
    (either("fact.one", "fact.no", "fact.yes"), True),
    (either("fact.one", "fact.no"), False),
    (no("fact.text"), True),
    (And(()), True),
    (Or(()), False),
    (compare(both("fact.yes"), "==", True), True),
    # fields
    (compare("fact.type", "==", ("t",)), True),
    (compare("fact.id", "==", ("f1",)), True),
    (compare("fact.occurred_at", ">=", 1000), True),
    (compare("fact.deep.a.b", "==", ("x",)), True),
    (compare("contact.id", "==", ("ada",)), True),
    (compare("contact.address.city", "==", ("Köln",)), True),
    (compare("contact.type", "==", ("person",)), True),
    (compare("contact.scores.lead", ">=", 40), True),
    (compare("contact.scores.never", "==", 0), True),
    (compare("contact.scores.interest.seo", "==", 10), True),
    (compare("contact.scores.interest.ads", "==", 0), True),
    (compare("contact.scores.never.ads", "==", 0), True),
    # arithmetic
    (compare(sums("fact.n", "*", 2), "==", 10), True),
    (compare(sums("fact.n", "/", 2), "==", 2.5), True),
    (compare(sums(-7, "%", 5), "==", 3), True),
    (call("has", sums("fact.n", "/", 0)), False),
    (call("has", sums("fact.n", "%", 0.0)), False),
    (call("has", sums("fact.n", "+", True)), False),
    (call("has", sums("fact.text", "+", "fact.text")), False),
    (call("has", sums("fact.big", "+", 0)), True),
    (call("has", sums("fact.big", "+", 1)), False),
    (call("has", sums("fact.huge", "+", 0.5)), False),
    (call("has", sums(1e300, "*", 1e300)), False),
    (compare(sums("fact.n", "-", "fact.gone"), "!=", 1), False),
    # functions
    (call("has", "fact.text"), True),
    (call("has", "fact.null"), False),
    (call("has", "fact.no"), True),
    (call("startswith", "fact.text", ("al",)), True),
    (call("startswith", "fact.n", ("5",)), False),
    (call("startswith", "fact.text", "fact.gone"), False),
    (call("endswith", "fact.text", ("ha",)), True),
    (call("contains", "fact.text", ("ph",)), True),
    (call("contains", "fact.list", 1), True),
    (call("contains", "contact.segments", ("hot",)), True),
    (compare(call("lower", "contact.country"), "==", ("de",)), True),
    (call("has", call("lower", "fact.n")), False),
    (call("matches", "fact.text", ("^al",)), True),
    (call("matches", "fact.text", ("ph",)), True),
    (call("matches", "fact.text", ("^ph",)), False),
    (call("matches", "fact.n", ("5",)), False),
    (compare(call("len", "fact.text"), "==", 5), True),
    (compare(call("len", "fact.list"), "==", 5), True),
    (compare(call("len", "contact.segments"), "==", 1), True),
    (call("has", call("len", "fact.n")), False),
    (compare(call("min", "fact.n", 3), "==", 3), True),
    (compare(call("max", "fact.n", 3, 9), "==", 9), True),
    (call("has", call("max", "fact.n", "fact.gone")), False),
    (call("has", call("max", "fact.n", "fact.yes")), False),
    (compare(call("abs", -3), "==", 3), True),
    (call("has", call("abs", "fact.bigger")), False),
    (compare(call("round", 2.5), "==", 2), True),
    (compare(call("round", 2.375, 2), "==", 2.38), True),
    (call("has", call("round", "fact.text")), False),
    (call("has", call("round", "fact.huge")), False),
]


@pytest.mark.parametrize(("when", "expected"), CASES)
def test_condition(when: Node, expected: bool) -> None:
    assert holds(when, FACT, ADA) is expected
    assert compile_condition(when)(FACT, ADA) is expected
    for kind in ("durable", "reference"):
        matched = build(kind, [rule("a", when), rule("b", no(when)), rule("c", both(when, "fact.yes"))]).match(
            FACT, ADA
        )
        assert [r.name for r in matched] == (["a", "c"] if expected else ["b"])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (node("fact.n"), 5),
        (node(True), True),
        (node("fact.gone"), None),
        (node("fact.list"), ["a", 1, True, None, [2]]),
        (node("contact.segments"), ["hot"]),
        (node("contact.scores.interest"), None),
        (node(["fact.n", ("x",)]), [5, "x"]),
        (sums(sums("fact.n", "+", 1), "/", 4), 1.5),
        (compare("fact.n", ">", 1), True),
        (call("lower", ("ÄB",)), "äb"),
        (call("startswith", "fact.gone", ("x",)), False),
    ],
)
def test_value(expression: Node, expected: Any) -> None:
    found = compile_value(expression)(FACT, ADA)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("when", "code"),
    [
        (Call("eval", (node(1),)), "condition.function"),
        (call("startswith", "fact.text"), "condition.arguments"),
        (call("matches", "fact.text", ("(",)), "condition.pattern"),
        (call("matches", "fact.text", "fact.text"), "condition.pattern"),
    ],
)
def test_what_cannot_be_compiled_is_refused(when: Node, code: str) -> None:
    with pytest.raises(Refused) as refused:
        compile_condition(when)
    assert refused.value.code == code


def test_every_function_that_the_parser_lets_through_is_here_and_no_other() -> None:
    asking_more = {"matches", "now", "age", "local"}
    folded = {"days"}
    assert {*FUNCTIONS, *asking_more, *folded, *HISTORY} == syntax.FUNCTIONS | syntax.METHODS
