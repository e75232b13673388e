"""Routing, shared by both matchers: a fact is never shown to a rule that cannot fire on it.

First the fact's type, then the literal that a rule tests a field against: a rule on ``fact.type == "page_viewed" and
fact.path == "/pricing"`` is looked up by ``/pricing``, and what is left of its condition is nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from overture.match.closures import comparison, compile_value
from overture.match.fields import Get
from overture.match.folding import fold, is_constant, shape
from overture.model import Contact, Fact
from overture.rules.ruleset import Rule
from overture.rules.tree import And, Field, Items, Literal, Node, Or

T = TypeVar("T")
MIN_LITERALS = 4
"""A field that is tested against fewer is not worth a look-up, and in the engine not a network, of its own."""

Keys = dict[Field, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Route:
    """Where one rule is looked up. ``position`` is its place among the rules given.

    On a fact of one of ``types`` the rule holds exactly where ``when`` does; if ``field`` is given, it can hold only
    where that field is one of ``literals``, and where it is, the rule holds exactly where ``rest`` does.
    """

    position: int
    types: frozenset[str]
    when: Node
    rest: Node
    field: Field | None = None
    literals: tuple[Any, ...] = ()


def routes(rules: Sequence[Rule]) -> Iterator[Route]:
    """The routes of the rules, in their order; a rule whose condition cannot hold on some type has none there."""
    drafts: list[tuple[int, frozenset[str], Node, Keys]] = []
    seen: dict[Field, set[Any]] = {}
    for position, rule in enumerate(rules):
        variants: dict[Any, tuple[Node, list[str]]] = {}
        for fact_type in sorted(rule.types):
            when = fold(rule.when, fact_type)
            if not is_constant(when, False):
                variants.setdefault(shape(when), (when, []))[1].append(fact_type)
        for when, types in variants.values():
            keys = _keys(when)
            for field, literals in keys.items():
                seen.setdefault(field, set()).update(shape(literals))
            drafts.append((position, frozenset(types), when, keys))
    for position, types, when, keys in drafts:
        # The field tested against the most different literals tells the most rules apart.
        field = max(keys, key=lambda f: len(seen[f]), default=None)
        if field is not None and len(seen[field]) >= MIN_LITERALS:
            yield Route(position, types, when, _rest(when, field, keys[field]), field, keys[field])
        else:
            yield Route(position, types, when, when)


def literals_of(node: Node) -> tuple[Field, tuple[Any, ...]] | None:
    """The field and the literals of ``field == literal`` or ``field in [literals]``, else None."""
    match comparison(node):
        case ("==", field, Literal(value)):
            return field, (value,)
        case ("in", field, Items(items)) if all(isinstance(i, Literal) for i in items):
            return field, tuple(i.value for i in items if isinstance(i, Literal))
        case _:
            return None


def _keys(node: Node) -> Keys:
    """Fields that must be one of some literals if the condition is to hold."""
    match node:
        case And(terms):
            keys: Keys = {}
            for term in terms:
                keys = {**_keys(term), **keys}
            return keys
        case Or(terms):
            first, *others = [_keys(t) for t in terms]
            return {
                field: (*literals, *(x for o in others for x in o[field]))
                for field, literals in first.items()
                if all(field in o for o in others)
            }
        case _:
            found = literals_of(node)
            return {Field(found[0].root, found[0].path): found[1]} if found else {}


def _rest(when: Node, field: Field, literals: tuple[Any, ...]) -> Node:
    """The condition without the test that the look-up has made."""
    terms = when.terms if isinstance(when, And) else (when,)
    rest = tuple(t for t in terms if not _is_test(t, field, literals))
    return And(rest, when.place) if rest else Literal(True, when.place)


def _is_test(node: Node, field: Field, literals: tuple[Any, ...]) -> bool:
    found = literals_of(node)
    return found is not None and (found[0].root, found[0].path, shape(found[1])) == (
        field.root,
        field.path,
        shape(literals),
    )


class Index(Generic[T]):
    """Items to be found for one fact type: always, or by the literal that a field is equal to."""

    def __init__(self) -> None:
        self._always: list[T] = []
        self._tables: dict[Field, dict[type[Any], dict[Any, list[T]]]] = {}
        self._lookups: list[tuple[Get, dict[type[Any], dict[Any, list[T]]]]] = []

    def add(self, item: T, field: Field | None = None, literals: Sequence[Any] = ()) -> None:
        if field is None:
            self._always.append(item)
            return
        tables = self._tables.get(field)
        if tables is None:
            # True, 1 and "1" are kept apart by their type; 1 and 1.0 are one number.
            numbers: dict[Any, list[T]] = {}
            tables = self._tables[field] = {str: {}, bool: {}, int: numbers, float: numbers}
            self._lookups.append((compile_value(field), tables))
        for literal in literals:
            items = tables[type(literal)].setdefault(literal, [])
            if item not in items[-1:]:
                items.append(item)

    def find(self, fact: Fact, contact: Contact) -> list[T]:
        if not self._lookups:
            return self._always
        found = self._always.copy()
        for get, tables in self._lookups:
            x = get(fact, contact)
            table = tables.get(x.__class__)
            if table is not None and (items := table.get(x)) is not None:
                found += items
        return found
