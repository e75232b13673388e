"""What a network sees of a fact and its contact: one flat JSON object of names and small integers, all of our making.

The engine confuses ``"5"`` with ``5`` and ``1`` with ``true``, compares only the first 65,535 characters of a text,
orders text by its JSON spelling, misreads ``1e-07`` and integers of 20 digits, and takes 250 properties. So no value
gets into it, only what its rules need to know of one: that it *is* one of the literals of a test, as the presence of
that test's name; and where it stands among the literals that it is compared with, as a rank. Ranks and presence are
exact for every text, integer and float, so that no fact is outside what the engine can be trusted with.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from overture.match.closures import compile_condition, compile_value
from overture.match.fields import Get
from overture.match.lowering import Among, Computed, Kind, Ordered, Test
from overture.model import Contact, Fact
from overture.rules.tree import Field

Writer = Callable[[Fact, Contact], str]

_OPERATORS = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_TYPES: dict[Kind, tuple[type[Any], ...]] = {str: (str,), bool: (bool,), float: (int, float)}


class Projection:
    """The names given to the tests of one network, and how to write down a fact in them."""

    def __init__(self, tests: Iterable[Test]) -> None:
        tests = dict.fromkeys(tests)
        self._names: dict[Any, str] = {}
        among: dict[Field, dict[Kind, dict[Any, str]]] = {}
        ordered: dict[Field, dict[Kind, set[Any]]] = {}
        computed: list[Writer] = []
        for test in tests:
            match test:
                case Among(field, literals):
                    entry = self._entry(test)
                    for kind, literal in literals:
                        table = among.setdefault(field, {}).setdefault(kind, {})
                        table[literal] = table.get(literal, "") + entry
                case Ordered(field, _, kind, literal):
                    ordered.setdefault(field, {}).setdefault(kind, set()).add(literal)
                case Computed(_, node):
                    computed.append(_if_true(compile_condition(node), self._entry(test)))
        self._ladders: dict[tuple[Field, Kind], list[Any]] = {}
        self.writers: list[Writer] = []
        for field in dict.fromkeys([*among, *ordered]):
            lookups = among.get(field, {})
            spells: dict[Kind, Callable[[Any], str]] = {kind: _presence(table) for kind, table in lookups.items()}
            for kind, literals in ordered.get(field, {}).items():
                ladder = self._ladders[field, kind] = sorted(literals)
                spells[kind] = _rank(ladder, self._name((field, kind)), lookups.get(kind, {}))
            self.writers.append(_by_type(compile_value(field), spells))
        self.writers += computed

    def write(self, fact: Fact, contact: Contact) -> str:
        """``,"p0":1,"p1":5``: what the tests need to know; empty if none of them can be true."""
        return "".join([write(fact, contact) for write in self.writers])

    def condition(self, test: Test) -> dict[str, Any]:
        """The engine's form of a test."""
        if isinstance(test, Ordered):
            rank = 2 * bisect_left(self._ladders[test.field, test.kind], test.literal) + 1
            return {_OPERATORS[test.op]: {self._name((test.field, test.kind)): rank}}
        return {"$ex": {self._name(test): 1}}

    def _name(self, key: Any) -> str:
        return self._names.setdefault(key, f"p{len(self._names)}")

    def _entry(self, test: Test) -> str:
        return f',"{self._name(test)}":1'


def _if_true(test: Callable[[Fact, Contact], bool], entry: str) -> Writer:
    return lambda f, c: entry if test(f, c) else ""


def _presence(table: dict[Any, str]) -> Callable[[Any], str]:
    return lambda x: table.get(x, "")


def _rank(ladder: list[Any], name: str, table: dict[Any, str]) -> Callable[[Any], str]:
    """The i-th literal has the odd rank 2i + 1, what lies between two has the even one between."""
    entries = [f',"{name}":{rank}' for rank in range(2 * len(ladder) + 1)]

    def spell(x: Any) -> str:
        if x != x:  # NaN has no place in an order
            return ""
        entry = entries[bisect_left(ladder, x) + bisect_right(ladder, x)]
        return entry + table.get(x, "") if table else entry

    return spell


def _by_type(get: Get, spells: dict[Kind, Callable[[Any], str]]) -> Writer:
    by_type = {t: spell for kind, spell in spells.items() for t in _TYPES[kind]}

    def write(f: Fact, c: Contact) -> str:
        x = get(f, c)
        spell = by_type.get(x.__class__)
        return spell(x) if spell is not None else ""

    return write
