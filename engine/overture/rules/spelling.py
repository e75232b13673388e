"""A tree as text again: the one canonical way to write it, which parses to the same tree."""

from __future__ import annotations

import json
from keyword import iskeyword

from overture.model.pure import METHODS
from overture.rules.durations import window_text
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


def spell(node: Node) -> str:
    """The text of the tree; places play no part in it, consts stand as their values."""
    match node:
        case Literal(value):
            return _text(value) if isinstance(value, str) else repr(value)
        case Field(root, path):
            return root + "".join(_member(name) for name in path)
        case Items(items):
            return f"[{', '.join(spell(item) for item in items)}]"
        case And(terms):
            return " and ".join(_inner(term) for term in terms) or "True"
        case Or(terms):
            return " or ".join(_inner(term) for term in terms) or "False"
        case Not(term):
            return f"not {_inner(term)}"
        case Compare(op, left, right) | Arithmetic(op, left, right):
            return f"{_operand(left)} {op} {_operand(right)}"
        case Call("local", (instant, Literal(value))):
            return f"local({spell(instant)}).{value}"
        case Call(name, (receiver, *rest)) if name in METHODS:
            number = isinstance(receiver, Literal) and not isinstance(receiver.value, str)
            said = f"({spell(receiver)})" if number else _operand(receiver)
            return f"{said}.{name}({', '.join(spell(a) for a in rest)})"
        case Call(name, arguments):
            return f"{name}({', '.join(spell(a) for a in arguments)})"
        case History(kind, series, window):
            given = [_text(series.type)]
            if series.field:
                given.append(_text(".".join(series.field)))
            if window is not None:
                given.append(f"within={_text(window_text(window))}")
            if series.where is not None:
                given.append(f"where={_text(spell(series.where))}")
            return f"{kind}({', '.join(given)})"
        case Decaying(field):
            return spell(field)


def _inner(node: Node) -> str:
    """A term of and, or, not."""
    return f"({spell(node)})" if isinstance(node, And | Or | Not) else spell(node)


def _operand(node: Node) -> str:
    bracketed = And | Or | Not | Compare | Arithmetic
    negative = isinstance(node, Literal) and not isinstance(node.value, str) and node.value < 0
    return f"({spell(node)})" if isinstance(node, bracketed) or negative else spell(node)


def _member(name: str) -> str:
    return f".{name}" if name.isidentifier() and not iskeyword(name) else f"[{_text(name)}]"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
