"""Conditions: what the tree looks like, where its nodes stand, and what the checker knows about it."""

from __future__ import annotations

import gc
import sys
import threading
import time

import pytest

from overture.model import Diagnostic
from overture.rules.condition import check_rule
from overture.rules.reach import fact_types, reads, required_literals
from overture.rules.report import Report
from overture.rules.satisfy import satisfiable
from overture.rules.scope import EITHER, KEYED, PLAIN, Scope
from overture.rules.spelling import spell
from overture.rules.syntax import parse_syntax
from overture.rules.tree import And, Arithmetic, Call, Compare, Field, Items, Literal, Node, Not, Place
from overture.rules.types import ANY, DATETIME, INT, STRING, Type


@pytest.fixture
def scope() -> Scope:
    scope = Scope()
    scope.facts["page"] = {"path": STRING, "seats": INT, "referrer": Type("string", optional=True)}
    scope.facts["paid"] = {"seats": INT, "extra": ANY}
    scope.traits = {"country": Type("string", optional=True), "since": DATETIME, "address": Type("object")}
    scope.consts = {"hot": Literal(60), "dach": Items((Literal("DE"), Literal("AT")))}
    scope.scores = {"lead": PLAIN, "interest": KEYED, "loyalty": EITHER}
    scope.segments = {"vip"}
    scope.lists = {"news"}
    return scope


def parse_condition(
    source: str,
    scope: Scope,
    place: Place = Place(1, 1),  # noqa: B008
) -> tuple[Node | None, list[Diagnostic]]:
    """The checked tree of a rule's condition that begins at ``place``, None after an error; and all findings."""

    def locate(offset: int) -> Place:
        line = source.count("\n", 0, offset)
        if not line:
            return Place(place.line, place.column + offset)
        return Place(place.line + line, offset - source.rfind("\n", 0, offset))

    report = Report()
    node: Node | None = None
    with report.until_full():
        node = parse_syntax(source, locate, scope.consts, report)
        if node is not None:
            check_rule(node, scope, report, "", place)
    return (None if report.failed else node), report.ordered()


def tree(source: str, scope: Scope) -> Node:
    node, found = parse_condition(source, scope)
    assert node is not None, found
    return node


def test_the_tree_of_a_condition(scope: Scope) -> None:
    node = tree('fact.type == "page" and fact.seats >= 10', scope)

    assert node == And(
        (
            Compare("==", Field("fact", ("type",), Place(1, 1)), Literal("page", Place(1, 14)), Place(1, 1)),
            Compare(">=", Field("fact", ("seats",), Place(1, 25)), Literal(10, Place(1, 39)), Place(1, 25)),
        ),
        Place(1, 1),
    )


def test_places_continue_from_where_the_source_begins(scope: Scope) -> None:
    node, found = parse_condition('fact.type == "page"\n  and fact.pth == "ü" and fact.seets > 1', scope, Place(7, 11))

    assert node is None
    assert [(d.code, d.line, d.column, d.hint) for d in found] == [
        ("condition.unknown_field", 8, 7, "Did you mean 'path'?"),
        ("condition.unknown_field", 8, 27, "Did you mean 'seats'?"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        'fact.path.lower().startswith("/x")',
        'fact.path.contains("x") and fact.path.endswith("y")',
        r'matches(fact.path, "^/p/\d+$")',
        'has(fact.referrer) and fact.referrer != "x"',
        'contact.country in consts.dach and "vip" not in contact.segments and "news" in contact.lists',
        'contact.country in ["DE", "AT"] or not has(contact.country)',
        "contact.scores.lead >= consts.hot",
        'contact.scores.interest["seo"] > 3 and contact.scores.interest.ads > 3',
        "contact.scores.loyalty > 3 and contact.scores.loyalty.gold > 3",
        "1 < fact.seats <= 5",
        "-fact.seats + 2 * 3 % 4 / 2 < max(1, abs(-2), round(2.5, 1))",
        "contact.since < fact.occurred_at",
        'contact.address.city.name == "Wien"',
        'len(fact.path) > 3 and "/" in fact.path',
        "fact.id != contact.id",
        "not (1 == 2)",
    ],
)
def test_what_the_language_has(source: str, scope: Scope) -> None:
    node, found = parse_condition(f'fact.type == "page" and ({source})', scope)

    assert found == []
    assert fact_types(node) == {"page"} if node else False


def test_chains_become_trees(scope: Scope) -> None:
    node = tree('fact.type == "page" and 1 < fact.seats < 5', scope)
    assert isinstance(node, And)
    chain = node.terms[1]
    assert isinstance(chain, And)
    assert [t.op for t in chain.terms if isinstance(t, Compare)] == ["<", "<"]

    node = tree('fact.type == "page" and fact.path.lower().startswith("/x")', scope)
    assert isinstance(node, And)
    call = node.terms[1]
    assert isinstance(call, Call)
    assert call.name == "startswith"
    assert isinstance(call.arguments[0], Call)
    assert call.arguments[0].name == "lower"


def test_consts_are_folded_at_the_place_of_their_use(scope: Scope) -> None:
    node = tree('fact.type == "page" and fact.seats > consts.hot and -3 < -fact.seats', scope)
    assert isinstance(node, And)
    assert isinstance(node.terms[1], Compare)
    assert node.terms[1].right == Literal(60, Place(1, 38))
    assert isinstance(node.terms[2], Compare)
    assert node.terms[2].left == Literal(-3, Place(1, 53))
    assert isinstance(node.terms[2].right, Arithmetic)


def test_each_branch_is_checked_against_its_own_fact_type(scope: Scope) -> None:
    ok = '(fact.type == "page" and fact.path == "/") or (fact.type == "paid" and fact.extra.deep > 2)'
    assert parse_condition(ok, scope)[1] == []

    _, found = parse_condition(
        'fact.seats > 1 and (fact.type == "paid" or fact.type == "page") and fact.path == "/"', scope
    )
    assert [(d.code, d.column) for d in found] == [("condition.unknown_field", 69)]


@pytest.mark.parametrize(
    ("source", "types"),
    [
        ('fact.type == "a"', {"a"}),
        ('"a" == fact.type', {"a"}),
        ('fact.type in ["a", "b"] and fact.type != "a"', {"b"}),
        ('fact.type in ["a", "b"] and not fact.type == "a"', {"b"}),
        ('fact.type == "a" or fact.type in ["b", "c"]', {"a", "b", "c"}),
        ('fact.type == "a" and fact.type == "b"', set()),
        ('fact.type != "a"', None),
        ('fact.type == "a" or fact.x > 1', None),
        ('not fact.type == "a"', None),
        ("fact.type in contact.list", None),
        ('fact.type == "a" and (fact.type == "b" or contact.x > 1)', {"a"}),
    ],
)
def test_fact_types_of_a_condition(source: str, types: set[str] | None) -> None:
    assert fact_types(parse(source)) == types


@pytest.mark.parametrize(
    ("source", "possible"),
    [
        ('fact.x == "a" and fact.x == "b"', False),
        ('fact.x == 1 and fact.x == "1"', False),
        ("fact.x == 1 and fact.x == 1.0", True),
        ("fact.x == True and fact.x == 1", False),
        ('fact.x in ["a", "b"] and fact.x in ["b", "c"]', True),
        ('fact.x in ["a", "b"] and fact.x not in ["b", "a"]', False),
        ("fact.x > 3 and fact.x < 3", False),
        ("fact.x >= 3 and fact.x <= 3", True),
        ("fact.x > 3 and 3 >= fact.x", False),
        ("fact.x > 3 and fact.x in [1, 2]", False),
        ("has(fact.x) and not has(fact.x)", False),
        ("not has(fact.x) and fact.x > 1", False),
        ("not has(contact.scores.lead) and contact.scores.lead < 1", True),
        ("fact.x == 1 and (fact.x == 2 or fact.y == 3)", True),
        ("(fact.x == 1 and fact.x == 2) or (fact.y == 3 and fact.y != 3)", False),
        ("False", False),
    ],
)
def test_contradictions(source: str, possible: bool) -> None:
    assert satisfiable(parse(source)) is possible


def test_what_a_condition_reads() -> None:
    node = parse(
        'contact.scores.lead > 1 and contact.scores.interest["a"] > 1 and contact.address.city == "x" and fact.a.b == 1'
        ' and "vip" in contact.segments and "news" not in contact.lists and len(contact.segments) > 1'
        ' and contact.id == "x"'
    )
    assert reads(node) == {
        "scores.lead", "scores.interest", "traits.address", "fact.a.b", "segments.vip", "lists.news", "segments", "id",
    }  # fmt: skip


def test_literals_that_a_fact_must_carry() -> None:
    node = parse(
        'fact.type == "a" and fact.path == "/x" and ("k" == fact.a.b and fact.n > 3) and (fact.z == 1 or fact.z == 2)'
    )
    assert required_literals(node) == {("path",): "/x", ("a", "b"): "k"}
    assert required_literals(parse('not (fact.path == "/x")')) == {}


@pytest.mark.parametrize(
    "source",
    [
        "(" * 3000,
        "[" * 4000,
        "()" * 1000,
        "a" + "(" * 30 + ")" * 30,
        "not " * 1000 + "1",
        "-" * 4000 + "1",
        "fact" + ".a" * 2000,
        "1" + "+1" * 2000,
        "9" * 4000,
        "1e999",
        "fact.x == 1" + " or fact.x == 1" * 250,
        "'a' * 10**9 == fact.x",
        "f'{1}'",
        "b'x'",
        "'\\N{DASH}'",
        "'\ud800'",
        "'a' 'b'",
        "1j",
        "...",
        "lambda: 1",
        "1 if 2 else 3",
        "{1: 2}",
        "fact[fact.x]",
        "fact.x[1:2]",
        "*a",
        "await x",
        "x := 1",
        "fact.type\\\n == 'a'",
        "\x00",
        "ª",
        "",
    ],
)
def test_hostile_text_is_a_diagnostic(source: str, scope: Scope) -> None:
    started = time.monotonic()
    node, found = parse_condition(source, scope)
    assert node is None
    assert found
    assert all(d.line == 1 or "\n" in source for d in found)
    assert time.monotonic() - started < 5  # not a measurement: a runaway would take minutes


class _Finalized:
    """Garbage that runs Python when it is collected, in the middle of whatever another thread allocates."""

    def __init__(self) -> None:
        self.circle = self

    def __del__(self) -> None:
        for _ in range(50):
            pass


def test_expressions_are_parsed_in_several_threads_at_once() -> None:
    source = " and ".join(f"fact.x{i} == {i}" for i in range(60))
    wrong: list[BaseException] = []

    def deep(frames: int) -> None:
        if frames:
            return deep(frames - 1)
        for _ in range(100):
            try:
                parse(source)
            except BaseException as error:
                wrong.append(error)
        return None

    def litter() -> None:
        while any(thread.is_alive() for thread in threads):
            _Finalized()

    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(5)
    try:
        threads = [threading.Thread(target=deep, args=(frames,)) for frames in (0, 50, 20)]
        for thread in threads:
            thread.start()
        litter()
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*threshold)
    assert wrong == []


def parse(source: str) -> Node:
    """The unchecked tree."""
    report = Report()
    node = parse_syntax(source, lambda i: Place(1, i + 1), {}, report)
    assert node is not None, report.diagnostics
    assert not isinstance(node, Not) or node.term
    return node


def test_a_word_of_the_language_may_stand_right_before_a_text(scope: Scope) -> None:
    glued = tree('fact.type == "page" and fact.path in"abc" or fact.type == "page"and not"a"in fact.path', scope)
    spaced = tree('fact.type == "page" and fact.path in "abc" or fact.type == "page" and not "a" in fact.path', scope)
    assert spell(glued) == spell(spaced)
    _, found = parse_condition('fact.type == "page" and not"a"', scope)
    assert [d.code for d in found] == ["condition.type"]
