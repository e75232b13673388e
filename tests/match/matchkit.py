"""Short names for building trees, rules and facts in these tests."""

from __future__ import annotations

import os
from typing import Any

from overture.model import Contact, Fact
from overture.rules.ruleset import Rule
from overture.rules.tree import And, Arithmetic, Call, Compare, Field, Items, Literal, Node, Not, Or, Place

T = ("t",)


def node(x: Any) -> Node:
    """``"fact.a.b"`` and ``"contact.x"`` are fields, a list is Items, ``("text",)`` a text, other values literals."""
    if isinstance(x, str):
        root, *path = x.split(".")
        assert root in ("fact", "contact"), x
        return Field(root, tuple(path))  # type: ignore[arg-type]
    if isinstance(x, tuple):
        return Literal(x[0])
    if isinstance(x, list):
        return Items(tuple(node(i) for i in x))
    return Literal(x) if isinstance(x, int | float) else x


def compare(left: Any, op: Any, right: Any) -> Node:
    return Compare(op, node(left), node(right))


def both(*terms: Any) -> Node:
    return And(tuple(node(t) for t in terms))


def either(*terms: Any) -> Node:
    return Or(tuple(node(t) for t in terms))


def no(term: Any) -> Node:
    return Not(node(term))


def sums(left: Any, op: Any, right: Any) -> Node:
    return Arithmetic(op, node(left), node(right))


def call(name: str, *arguments: Any) -> Node:
    return Call(name, tuple(node(a) for a in arguments))


def rule(name: str, when: Node, types: tuple[str, ...] = T) -> Rule:
    return Rule(name, "test", "rev", when, frozenset(types), (), place=Place(1, 1))


def fact(properties: dict[str, Any] | None = None, type: str = "t", id: str = "f1", at: int = 1000) -> Fact:
    return Fact(id, type, "ada", at, at, properties or {})


def contact(**parts: Any) -> Contact:
    return Contact("ada", **parts)


def rss() -> int:
    """Resident memory of this process in kB (Linux)."""
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
