"""A second opinion: a naive walk over the tree, written from the words of `overture.rules.tree` and nothing else."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import re2
from momentkit import ZONES, naive_start

from overture.match.functions import SEARCHED
from overture.model import Contact, Fact, Series
from overture.rules.ruleset import Rule
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
)


class Names(frozenset[str]):
    """A set of names: contact.segments, contact.lists."""


def firing(rules: list[Rule], fact: Fact, contact: Contact) -> list[str]:
    return [r.name for r in rules if fact.type in r.types and value(r.when, fact, contact) is True]


def kind(x: Any) -> str:
    if isinstance(x, bool):
        return "boolean"
    if isinstance(x, int | float):
        return "number"
    return {str: "text", list: "list", dict: "object", Names: "names", type(None): "null"}[type(x)]


def equal(a: Any, b: Any) -> bool:
    if kind(a) != kind(b):
        return False
    if kind(a) == "list":
        return len(a) == len(b) and not [1 for x, y in zip(a, b, strict=True) if not equal(x, y)]
    if kind(a) == "object":
        return sorted(a) == sorted(b) and not [1 for k in a if not equal(a[k], b[k])]
    if kind(a) == "number" and finite(a) and finite(b):
        return Fraction(a) == Fraction(b)
    return bool(a == b)


def finite(x: Any) -> bool:
    return isinstance(x, int) or math.isfinite(x)


def contains(whole: Any, part: Any) -> bool:
    if kind(whole) == "list":
        return any(equal(part, x) for x in whole)
    if kind(whole) == "names":
        return kind(part) == "text" and part in set(whole)
    return kind(whole) == "text" and kind(part) == "text" and whole.find(part) >= 0


def read(field: Field, fact: Fact, contact: Contact) -> Any:
    path = list(field.path)
    if field.root == "fact":
        if len(path) == 1 and path[0] in ("id", "type", "occurred_at"):
            return getattr(fact, path[0])
        found: Any = fact.properties
    elif path == ["id"]:
        return contact.id
    elif path in (["segments"], ["lists"]):
        return Names(getattr(contact, path[0]))
    elif path[0] == "scores":
        if len(path) == 2:
            score = contact.scores.get(path[1], 0)
            return None if isinstance(score, dict) else score
        score = contact.scores.get(path[1])
        return score.get(path[2], 0) if isinstance(score, dict) else 0
    else:
        found = contact.traits
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def value(node: Node, fact: Fact, contact: Contact) -> Any:
    def of(n: Node) -> Any:
        return value(n, fact, contact)

    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Field):
        return read(node, fact, contact)
    if isinstance(node, Items):
        return [of(i) for i in node.items]
    if isinstance(node, And):
        return all(of(t) is True for t in node.terms)
    if isinstance(node, Or):
        return any(of(t) is True for t in node.terms)
    if isinstance(node, Not):
        return of(node.term) is not True
    if isinstance(node, Compare):
        return compared(node.op, of(node.left), of(node.right))
    if isinstance(node, Arithmetic):
        return calculated(node.op, of(node.left), of(node.right))
    if isinstance(node, History):
        return remembered(node, contact)
    if isinstance(node, Decaying):
        return faded(node, contact)
    assert isinstance(node, Call)
    if node.name in ("now", "age"):
        return contact.clock if node.name == "now" else calculated("-", contact.clock, of(node.arguments[0]))
    return called(node.name, [of(a) for a in node.arguments])


def remembered(node: History, contact: Contact) -> Any:
    series = contact.history.get(node.series.id, Series())
    if node.kind in ("last", "first"):
        return getattr(series, node.kind) if series.n else None
    if node.window is None:
        answer = {"count": series.n, "seen": series.n > 0, "total": series.total}[node.kind]
    else:
        begin = contact.clock - node.window.ms
        if node.window.calendar:
            zone = contact.traits.get("timezone")
            known = kind(zone) == "text" and zone in ZONES
            begin = naive_start(contact.clock, node.window.calendar, zone if known else "UTC") - 1
        inside = [i for i, at in enumerate(series.at) if at > begin]
        answer = {"count": len(inside), "seen": bool(inside)}.get(node.kind)
        if answer is None:
            answer = sum(Fraction(series.values[i]) for i in inside)
    return round(float(answer), 6) if node.kind == "total" else answer


def faded(node: Decaying, contact: Contact) -> Any:
    value, since = contact.scores.get(node.field.path[1], 0), contact.stamps.get(node.field.path[1], 0)
    for key in node.field.path[2:]:
        value = value.get(key, 0) if isinstance(value, dict) else 0
        since = since.get(key, 0) if isinstance(since, dict) else since
    if isinstance(value, dict):
        return None
    elapsed = max(0, contact.clock - since) if isinstance(since, int) and since else 0
    return round(value * 0.5 ** (elapsed / node.half_life), 6)


def compared(op: str, a: Any, b: Any) -> bool:
    if a is None or b is None:
        return False
    if op in ("==", "!="):
        return equal(a, b) == (op == "==")
    if op in ("in", "not in"):
        return contains(b, a) == (op == "in")
    if kind(a) != kind(b) or kind(a) not in ("number", "text"):
        return False
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op])


def calculated(op: str, a: Any, b: Any) -> Any:
    if kind(a) != "number" or kind(b) != "number" or (op in "/%" and b == 0):
        return None
    try:
        result = {
            "+": lambda: a + b,
            "-": lambda: a - b,
            "*": lambda: a * b,
            "/": lambda: a / b,
            "%": lambda: a % b,
        }[op]()
    except OverflowError:
        return None
    return result if finite(result) and abs(result) <= 2**53 else None


def called(name: str, xs: list[Any]) -> Any:
    x, y = xs[0], xs[1] if len(xs) > 1 else None
    if name == "has":
        return x is not None
    if name == "contains":
        return compared("in", y, x)
    if name == "len":
        return len(x) if kind(x) in ("text", "list", "object", "names") else None
    if name in ("startswith", "endswith", "lower", "matches"):
        if kind(x) != "text" or (name != "lower" and kind(y) != "text"):
            return None if name == "lower" else False
        if name == "matches" and len(x) > SEARCHED:
            return False
        if name == "startswith":
            return x[: len(y)] == y
        if name == "endswith":
            return y == "" or x[-len(y) :] == y
        if name == "lower":
            return x.lower()
        return x.encode("utf-8", "ignore").decode() == x and bool(re2.search(y, x))
    if any(kind(x) != "number" for x in xs):
        return None
    if name == "round":
        return None if not finite(x) or abs(x) > 2**53 else round(x)
    if name == "abs":
        result = abs(x)
    elif name == "max":
        result = x if not y > x else y
    else:
        assert name == "min"
        result = x if not y < x else y
    return result if finite(result) and abs(result) <= 2**53 else None
