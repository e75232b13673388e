"""What is left of a condition once the fact's type is known, and what tells two conditions apart."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, cast

from overture.match.closures import compile_condition
from overture.model import Contact, Fact
from overture.rules.reach import walk
from overture.rules.tree import And, Call, Decaying, Field, History, Literal, Node, Not, Or

_TYPE = ("type",)
_NOBODY = Contact("")


def fold(node: Node, fact_type: str) -> Node:
    """A condition that holds exactly where ``node`` does on facts of this type, without the tests of the type.

    One that no longer depends on anything becomes ``Literal(True)`` or ``Literal(False)``.
    """
    if all(_known(part) for part in walk(node)):
        return Literal(compile_condition(node)(Fact("", fact_type, "", 0, 0), _NOBODY), node.place)
    match node:
        case And(terms, place):
            rest = tuple(t for t in (fold(t, fact_type) for t in terms) if not is_constant(t, True))
            if any(is_constant(t, False) for t in rest):
                return Literal(False, place)
            return And(rest, place) if rest else Literal(True, place)
        case Or(terms, place):
            rest = tuple(t for t in (fold(t, fact_type) for t in terms) if not is_constant(t, False))
            if any(is_constant(t, True) for t in rest):
                return Literal(True, place)
            return Or(rest, place) if rest else Literal(False, place)
        case Not(term, place):
            rest = fold(term, fact_type)
            return Literal(rest.value is False, place) if isinstance(rest, Literal) else Not(rest, place)
        case _:
            return node


def is_constant(node: Node, value: bool) -> bool:
    return isinstance(node, Literal) and node.value is value


def _known(node: Node) -> bool:
    """Whether the value of this one node follows from the fact's type."""
    match node:
        case Field(root, path):
            return root == "fact" and path == _TYPE
        case History() | Decaying() | Call("now" | "age" | "local"):
            return False
        case Call():
            return node.function is None  # which may fail
        case _:
            return True


def shape(value: Any) -> Any:
    """A key that is equal for trees of one meaning wherever they are written; ``True``, ``1`` and ``"1"`` differ."""
    if is_dataclass(value) and not isinstance(value, type):
        return (type(value), *(shape(getattr(value, f.name)) for f in fields(value) if f.name != "place"))
    if isinstance(value, tuple):
        return tuple(map(shape, cast("tuple[Any, ...]", value)))
    return (type(value), value)
