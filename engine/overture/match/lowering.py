"""A condition as the engine can take it: alternatives, each a conjunction of positive tests.

Three kinds of test are the engine's own; whatever else a condition says (functions, arithmetic, field against field,
``!=``, ``not``, segments) is computed by its closure, and the engine tests that it is true. No negation is lowered:
the engine's ``$not``, ``$nex`` and ``$neq`` do not mean what they say. No ``$or`` either: alternatives are rules of
their own, so that one network holds a tree of tests and its depth-first search never holds more entries than rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any
from typing import Literal as OneOf

from overture.match.closures import asks_plugins, comparison
from overture.match.folding import shape
from overture.match.routing import literals_of
from overture.rules.tree import And, Field, Literal, Node, Or

MAX_ALTERNATIVES = 8
MAX_TESTS = 150
"""Different tests in one network, each at most one property of the projection; the engine takes 250."""

Kind = type[str] | type[float] | type[bool]
KINDS: dict[type[Any], Kind] = {str: str, bool: bool, int: float, float: float}
"""1 and 1.0 are one number; True, 1 and "1" are three things."""


@dataclass(frozen=True, slots=True)
class Among:
    """The field is one of these literals, each with its kind."""

    field: Field
    literals: frozenset[tuple[Kind, Any]]


@dataclass(frozen=True, slots=True)
class Ordered:
    """The field is a text (or a number) that stands so to a literal of that kind."""

    field: Field
    op: OneOf["<", "<=", ">", ">="]
    kind: Kind
    literal: Any


@dataclass(frozen=True, slots=True)
class Computed:
    """The condition ``node``; ``shape`` makes equal conditions of several rules one test."""

    shape: Any
    node: Node = field(compare=False)


Test = Among | Ordered | Computed
Conjunction = tuple[Test, ...]  # the empty one holds always


def lower(node: Node) -> list[Conjunction]:
    """The condition holds exactly where at least one of these holds; at most `MAX_ALTERNATIVES` of them.

    One that asks functions of plugins is one test, asked from left to right: where one of them fails, all of it does.
    """
    if asks_plugins(node):
        return [_computed(node)]
    alternatives = [_arrange(a) for a in _alternatives(node)]
    if len({test for a in alternatives for test in a}) > MAX_TESTS:
        return [_computed(node)]
    return alternatives


def _alternatives(node: Node) -> list[Conjunction]:
    match node:
        case Literal(value):
            return [()] if value is True else []
        case And(terms):
            parts = [_alternatives(t) for t in terms]
            while prod(map(len, parts)) > MAX_ALTERNATIVES:
                widest = max(range(len(parts)), key=lambda i: len(parts[i]))
                parts[widest] = [_computed(terms[widest])]
            return [sum(choice, ()) for choice in product(*parts)]
        case Or(terms):
            alternatives = [a for t in terms for a in _alternatives(t)]
            return alternatives if len(alternatives) <= MAX_ALTERNATIVES else [_computed(node)]
        case Field(root, path):
            return [(Among(Field(root, path), frozenset({(bool, True)})),)]
        case _:
            return [_comparison(node)]


def _comparison(node: Node) -> Conjunction:
    if found := literals_of(node):
        return (Among(_bare(found[0]), frozenset((KINDS[type(x)], x) for x in found[1])),)
    match comparison(node):
        case ("<" | "<=" | ">" | ">=" as op, operand, Literal(value)) if type(value) is not bool:
            return (Ordered(_bare(operand), op, KINDS[type(value)], value),)
        case _:
            return _computed(node)


def _computed(node: Node) -> Conjunction:
    return (Computed(shape(node), node),)


def _bare(operand: Field) -> Field:
    return Field(operand.root, operand.path)


def _arrange(conjunction: Conjunction) -> Conjunction:
    """Each test once; those that the engine finds by name before those that it must compare."""
    tests = dict.fromkeys(conjunction)
    return tuple(sorted(tests, key=lambda t: isinstance(t, Ordered)))
