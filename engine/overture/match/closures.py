"""A condition or expression compiled to Python closures: the executable definition of what a tree means.

No source text is made and none is run: a closure is picked for each node, and the common shapes (a property against
a literal) have closures of their own, because this is what a fact's cost is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

from overture.match.fields import NAMES, Get, field_of
from overture.match.functions import FUNCTIONS, age, pattern
from overture.match.history import compile_decaying, compile_history
from overture.match.values import ARITHMETIC, COMPARISONS
from overture.match.zone import local_field
from overture.model import Candidate, Contact, Fact, Refused
from overture.model.errors import PluginFailed
from overture.model.pure import Function, note
from overture.rules.reach import walk
from overture.rules.tree import (
    FLIPPED,
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
)

Test = Callable[[Fact, Contact], bool]
T = TypeVar("T")
V = TypeVar("V")


def holds(node: Node, fact: Fact, contact: Contact) -> bool:
    """Whether the condition holds; compiles it each time, so for one-off use."""
    return compile_condition(node)(fact, contact)


def compile_condition(node: Node) -> Test:
    """The tree as a test. A segment's condition reads no fact; then any fact will do.

    Where a plugin's function fails that is asked on the way, the condition does not hold; the failure is noted.

    Raises:
        Refused: an unknown function, a wrong number of arguments, a pattern that is not valid.
    """
    test = _test(node)
    return _without_failures(test, False) if asks_plugins(node) else test


def compile_value(node: Node) -> Get:
    """The tree as a value: text, number, boolean, list, object, or ``None`` for missing.

    A set of names (``contact.segments``, ``contact.lists``) is the sorted list of its names. Where a plugin's function
    fails, the value is missing; the failure is noted.

    Raises:
        Refused: as `compile_condition`.
    """
    get = _value(node)
    return _without_failures(get, None) if asks_plugins(node) else get


def compile_followed(node: Node) -> Callable[[Fact, Contact], bool | None]:
    """`compile_condition`, but where a plugin's function fails the test answers None: nobody knows."""
    test = _test(node)
    return _without_failures(test, None) if asks_plugins(node) else test


def asks_plugins(node: Node) -> bool:
    """Whether evaluating it may call a function of a plugin."""
    return any(isinstance(part, Call) and part.function is not None for part in walk(node))


def _without_failures(get: Callable[[Fact, Contact], T], instead: V) -> Callable[[Fact, Contact], T | V]:
    def contained(f: Fact, c: Contact) -> T | V:
        try:
            return get(f, c)
        except PluginFailed:
            return instead

    return contained


def _test(node: Node) -> Test:
    match node:
        case And(terms):
            return _all([_test(t) for t in terms])
        case Or(terms):
            return _any([_test(t) for t in terms])
        case Not(term):
            test = _test(term)
            return lambda f, c: not test(f, c)
        case Compare():
            return _compare(node)
        case Call():
            get = _call(node)
            return lambda f, c: get(f, c) is True
        case _:
            get = _value(node)
            return lambda f, c: get(f, c) is True


def _value(node: Node) -> Get:
    match node:
        case Literal(value):
            return lambda f, c: value
        case Field():
            return field_of(node)
        case Items(items):
            gets = [_value(i) for i in items]
            return lambda f, c: [get(f, c) for get in gets]
        case Arithmetic(op, left, right):
            calculate, a, b = ARITHMETIC[op], _value(left), _value(right)
            return lambda f, c: calculate(a(f, c), b(f, c))
        case Call():
            return _call(node)
        case History():
            return compile_history(node)
        case Decaying():
            return compile_decaying(node)
        case _:
            return _test(node)


def compile_relation(node: Node) -> Callable[[Sequence[Fact | Candidate], Contact], bool]:
    """How the facts of a join stand to each other, as a test over them in the order of its parts."""
    return cast(Any, compile_condition(node))


def comparison(node: Node) -> tuple[str, Field, Node] | None:
    """``(op, field, other side)`` of a comparison that has a field on one side, turned so that it stands left."""
    if isinstance(node, Compare):
        if isinstance(node.left, Field):
            return node.op, node.left, node.right
        if isinstance(node.right, Field) and node.op in FLIPPED:
            return FLIPPED[node.op], node.right, node.left
    return None


def names_of(node: Node) -> str:
    """``segments`` or ``lists`` if the node is that set of names, else empty."""
    if isinstance(node, Field) and node.root == "contact" and len(node.path) == 1 and node.path[0] in NAMES:
        return node.path[0]
    return ""


# --- and, or -------------------------------------------------------------------------------------------------


def _all(tests: list[Test]) -> Test:
    match tests:
        case [a]:
            return a
        case [a, b]:
            return lambda f, c: a(f, c) and b(f, c)
        case [a, b, d]:
            return lambda f, c: a(f, c) and b(f, c) and d(f, c)
        case _:

            def every(f: Fact, c: Contact) -> bool:
                for test in tests:  # noqa: SIM110 - a generator costs three times as much here
                    if not test(f, c):
                        return False
                return True

            return every


def _any(tests: list[Test]) -> Test:
    match tests:
        case [a]:
            return a
        case [a, b]:
            return lambda f, c: a(f, c) or b(f, c)
        case _:

            def some(f: Fact, c: Contact) -> bool:
                for test in tests:  # noqa: SIM110 - see above
                    if test(f, c):
                        return True
                return False

            return some


# --- comparisons ---------------------------------------------------------------------------------------------


def _compare(node: Compare) -> Test:
    op, left, right = node.op, node.left, node.right
    if op in ("in", "not in"):
        return _membership(op == "in", left, right)
    turned = comparison(node)
    if turned is not None:
        turned_op, field, other = turned
        if isinstance(other, Literal):
            return _field_literal(turned_op, field, other.value)
    compare, a, b = COMPARISONS[op], _value(left), _value(right)
    return lambda f, c: compare(a(f, c), b(f, c))


def _field_literal(op: str, field: Field, value: Any) -> Test:
    get = field_of(field)
    if type(value) is str:
        if op == "==":
            name = field.path[0]
            if field.root == "fact" and len(field.path) == 1 and name not in ("type", "id", "occurred_at", "context"):
                return lambda f, c: f.properties.get(name) == value
            return lambda f, c: get(f, c) == value
        if op == "!=":
            return lambda f, c: (x := get(f, c)) is not None and x != value
        compare = COMPARISONS[op]
        return lambda f, c: compare(get(f, c), value)
    if type(value) is bool:
        if op == "==":
            return lambda f, c: get(f, c) is value
        if op == "!=":
            return lambda f, c: (x := get(f, c)) is not None and x is not value
        return lambda f, c: False
    match op:
        case "==":
            return lambda f, c: (x := get(f, c)) == value and type(x) is not bool
        case "!=":
            return lambda f, c: (x := get(f, c)) is not None and (x != value or type(x) is bool)
        case "<":
            return lambda f, c: (type(x := get(f, c)) is int or type(x) is float) and x < value
        case "<=":
            return lambda f, c: (type(x := get(f, c)) is int or type(x) is float) and x <= value
        case ">":
            return lambda f, c: (type(x := get(f, c)) is int or type(x) is float) and x > value
        case _:
            return lambda f, c: (type(x := get(f, c)) is int or type(x) is float) and x >= value


def _membership(positive: bool, left: Node, right: Node) -> Test:
    a = _value(left)
    names = names_of(right)
    if names == "segments":
        return _among_names(positive, a, lambda c: c.segments)
    if names == "lists":
        return _among_names(positive, a, lambda c: c.lists)
    if isinstance(right, Items) and all(isinstance(i, Literal) for i in right.items):
        return _among_literals(positive, a, [i.value for i in right.items if isinstance(i, Literal)])
    compare, b = COMPARISONS["in" if positive else "not in"], _value(right)
    return lambda f, c: compare(a(f, c), b(f, c))


def _among_names(positive: bool, get: Get, names: Callable[[Contact], dict[str, int]]) -> Test:
    if positive:
        return lambda f, c: type(x := get(f, c)) is str and x in names(c)
    return lambda f, c: (x := get(f, c)) is not None and not (type(x) is str and x in names(c))


def _among_literals(positive: bool, get: Get, values: list[Any]) -> Test:
    tables = typed_tables((v, True) for v in values)

    def among(f: Fact, c: Contact) -> bool:
        x = get(f, c)
        table = tables.get(x.__class__)
        return (table is not None and x in table) is positive and x is not None

    return among


def typed_tables(pairs: Iterable[tuple[Any, T]]) -> dict[type[Any], dict[Any, T]]:
    """Look-ups by literal that keep ``True``, ``1`` and ``"1"`` apart, and ``1`` and ``1.0`` together.

    Use as ``tables.get(type(x))`` and then ``.get(x)``; a value that is no text, number or boolean has no table.
    """
    numbers: dict[Any, T] = {}
    tables: dict[type[Any], dict[Any, T]] = {str: {}, bool: {}, int: numbers, float: numbers}
    for value, item in pairs:
        tables[type(value)][value] = item
    return tables


# --- calls ---------------------------------------------------------------------------------------------------


def _call(node: Call) -> Get:
    name, arguments = node.name, node.arguments
    if node.function is not None:
        return _plugged(node, node.function)
    match node:
        case Call("now", ()):
            return lambda f, c: c.clock
        case Call("age", (instant,)):
            since = _value(instant)
            return lambda f, c: age(since(f, c), c)
        case Call("local", (instant, Literal(str() as shown))):
            moment = _value(instant)
            return lambda f, c: local_field(moment(f, c), shown, c)
        case _:
            pass
    if name == "matches":
        if len(arguments) != 2 or not isinstance(arguments[1], Literal) or not isinstance(arguments[1].value, str):
            raise Refused("condition.pattern", "matches() takes a value and a pattern written as a text.")
        get, matches = _value(arguments[0]), pattern(arguments[1].value)
        return lambda f, c: matches(get(f, c))
    if name not in FUNCTIONS:
        raise Refused("condition.function", f"There is no function {name}().")
    function, fewest, most = FUNCTIONS[name]
    if not fewest <= len(arguments) <= most:
        raise Refused("condition.arguments", f"{name}() does not take {len(arguments)} arguments.")
    if name == "contains":
        return _membership(True, arguments[1], arguments[0])
    gets = [_value(a) for a in arguments]
    match gets:
        case [a]:
            return lambda f, c: function(a(f, c))
        case [a, b]:
            if name == "startswith" and isinstance(arguments[1], Literal) and isinstance(arguments[1].value, str):
                start = arguments[1].value
                return lambda f, c: type(x := a(f, c)) is str and x.startswith(start)
            return lambda f, c: function(a(f, c), b(f, c))
        case _:
            return lambda f, c: function(*[get(f, c) for get in gets])


def _plugged(node: Call, function: Function) -> Get:
    """A function of a plugin. Where an argument is missing that must not be, so is the value, and nothing is called."""
    gets = [_value(argument) for argument in node.arguments]
    needed = [n for n, kind in enumerate(function.parameters[: len(gets)]) if not kind.endswith("?")]
    rest = [None] * (len(function.parameters) - len(gets))
    name, asker, call = node.name, node.asker, function.call

    def ask(f: Fact, c: Contact) -> Any:
        values = [get(f, c) for get in gets]
        if any(values[n] is None for n in needed):
            return None
        try:
            return call([*values, *rest])
        except PluginFailed as error:
            note(name, asker, error)
            raise

    return ask
