"""Can a condition hold at all, can two hold together? Certain only in one direction: a contradiction of literals."""

from __future__ import annotations

from collections.abc import Mapping

from overture.rules.reach import Value, conjuncts, literal_test
from overture.rules.tree import FLIPPED, And, Call, Compare, Field, Literal, Node, Not, Or

Key = tuple[str, tuple[str, ...]]
"""Root and path of a field."""


def satisfiable(node: Node) -> bool:
    """False only where it is certain that no fact and contact can make the condition true."""
    match node:
        case Literal():
            return node.value is True
        case Or():
            return any(satisfiable(term) for term in node.terms)
        case And():
            terms = list(conjuncts(node))
            return all(satisfiable(term) for term in terms) and all(b.possible() for b in bounds_of(node).values())
        case _:
            return True


def _upper(limit: tuple[float, bool]) -> tuple[float, bool]:
    return (limit[0], not limit[1])


class Bounds:
    """What the literals of one ``and`` leave open for one field."""

    def __init__(self) -> None:
        self.allowed: set[tuple[str, Value]] | None = None
        self.denied: set[tuple[str, Value]] = set()
        self.low: tuple[float, bool] | None = None  # limit, and whether the limit itself is out
        self.high: tuple[float, bool] | None = None
        self.present: bool | None = None
        self.contradiction = False

    def allow(self, values: set[tuple[str, Value]]) -> None:
        self.allowed = values if self.allowed is None else self.allowed & values

    def has(self, present: bool) -> None:
        self.contradiction |= self.present is not None and self.present != present
        self.present = present

    def limit(self, op: str, value: float) -> None:
        strict = op in ("<", ">")
        if op in (">", ">="):
            self.low = max(self.low or (value, strict), (value, strict))
        else:
            self.high = min(self.high or (value, strict), (value, strict), key=_upper)

    def excludes(self, other: Bounds) -> bool:
        if self.allowed is not None and other.allowed is not None and self.allowed.isdisjoint(other.allowed):
            return True  # the usual case, and the quick one
        return not self.meet(other).possible()

    def meet(self, other: Bounds) -> Bounds:
        """What both leave open."""
        both = Bounds()
        if self.allowed is not None and other.allowed is not None:
            both.allowed = self.allowed & other.allowed
        else:
            both.allowed = other.allowed if self.allowed is None else self.allowed
        both.denied = self.denied | other.denied
        both.low = max(filter(None, (self.low, other.low)), default=None)
        both.high = min(filter(None, (self.high, other.high)), default=None, key=_upper)
        both.contradiction = {self.present, other.present} == {True, False}
        return both

    def possible(self) -> bool:
        if self.contradiction:
            return False
        if self.allowed is not None:
            left = {v for v in self.allowed - self.denied if v[0] != "number" or self.within(v[1])}
            return bool(left)
        if self.low and self.high:
            return self.low[0] < self.high[0] or (self.low[0] == self.high[0] and not (self.low[1] or self.high[1]))
        return True

    def within(self, value: Value) -> bool:
        assert not isinstance(value, str)  # only numbers are kept in order
        above = self.low is None or value > self.low[0] or (value == self.low[0] and not self.low[1])
        below = self.high is None or value < self.high[0] or (value == self.high[0] and not self.high[1])
        return above and below


def bounds_of(node: Node) -> Mapping[Key, Bounds]:
    """What the terms of a condition that must all hold leave open, by field."""
    bounds: dict[Key, Bounds] = {}

    def of(field: Field) -> Bounds:
        return bounds.setdefault((field.root, field.path), Bounds())

    for term in conjuncts(node):
        if isinstance(term, Compare):
            for side in (term.left, term.right):
                # A comparison with a missing field is false; a score is never missing in one, it is 0.
                if isinstance(side, Field) and side.path[0] != "scores":
                    of(side).has(True)
        match term:
            case Compare(op="==" | "in" | "!=" | "not in") if tested := literal_test(term):
                values = {_tagged(v) for v in tested[1]}
                if term.op in ("==", "in"):
                    of(tested[0]).allow(values)
                else:
                    of(tested[0]).denied |= values
            case Compare(
                op="<" | "<=" | ">" | ">=" as op, left=Field() as field, right=Literal(value=int() | float() as n)
            ):
                of(field).limit(op, n)
            case Compare(
                op="<" | "<=" | ">" | ">=" as op, left=Literal(value=int() | float() as n), right=Field() as field
            ):
                of(field).limit(FLIPPED[op], n)
            case Call(name="has", arguments=(Field() as field,)):
                of(field).has(True)
            case Not(term=Call(name="has", arguments=(Field() as field,))):
                of(field).has(False)
            case _:
                pass
    return bounds


def exclusive(a: Mapping[Key, Bounds], b: Mapping[Key, Bounds]) -> bool:
    """Two conditions with these bounds can never hold together; False where that is not certain."""
    return any(key in b and limits.excludes(b[key]) for key, limits in a.items())


def _tagged(value: Value) -> tuple[str, Value]:
    """Equal like with like: 1, True and "1" are three things."""
    if isinstance(value, bool):
        return ("boolean", value)
    return ("text", value) if isinstance(value, str) else ("number", value)
