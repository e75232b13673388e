"""A condition with everything it saw: the third execution of the tree, for why and why not.

And, or, not are walked; every test below them is evaluated by the closures themselves, so that there is one meaning.
Unlike a matcher it does not stop at the first answer: every term is evaluated, and the ones that decided are marked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from typing import Literal as OneOf

from overture.match.closures import compile_condition, compile_followed, compile_value
from overture.match.units import Unit, unit_in, unit_of
from overture.model import Contact, Fact
from overture.rules.reach import children
from overture.rules.spelling import spell
from overture.rules.tree import And, Compare, Decaying, Items, Literal, Node, Not, Or, Place


@dataclass(frozen=True, slots=True)
class Operand:
    """A part of a test and the value it had; None for missing."""

    text: str
    value: Any
    unit: Unit = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One node of a condition: whether it held, and why.

    ``kind`` is ``and`` ``or`` ``not``, which have ``terms``, or ``test``, which has the ``operands`` that it read.
    ``decided``: the verdict of the whole condition rests on this one. Of an ``and`` that failed that is its first
    failing term, of an ``or`` that held the first that held; otherwise all.
    """

    kind: OneOf["and", "or", "not", "test"]
    text: str
    place: Place
    holds: bool
    decided: bool
    operands: tuple[Operand, ...] = ()
    terms: tuple[Verdict, ...] = ()


def explain(node: Node, fact: Fact, contact: Contact, *, decided: bool = True) -> Verdict:
    """The verdict on a condition and on everything in it. Raises Refused as `compile_condition`."""
    match node:
        case And(terms) | Or(terms):
            stops = isinstance(node, Or)  # the first answer of this kind settles it
            answers = [compile_followed(term)(fact, contact) for term in terms]
            settled = next((i for i, answer in enumerate(answers) if answer in (stops, None)), None)
            below = tuple(
                explain(term, fact, contact, decided=decided and settled in (None, i)) for i, term in enumerate(terms)
            )
            holds = answers[settled] is True if settled is not None else not stops
            return Verdict("or" if stops else "and", spell(node), node.place, holds, decided, (), below)
        case Not(term):
            below = explain(term, fact, contact, decided=decided)
            holds = compile_condition(node)(fact, contact)
            return Verdict("not", spell(node), node.place, holds, decided, (), (below,))
        case _:
            holds = compile_condition(node)(fact, contact)
            seen = {spell(n): n for n in _read(node)}
            operands = tuple(
                Operand(text, compile_value(n)(fact, contact), unit_in(node, n)) for text, n in seen.items()
            )
            return Verdict("test", spell(node), node.place, holds, decided, operands)


def first_failing(verdict: Verdict) -> Verdict | None:
    """Where a condition failed: down to the first failing term of each ``and``; None where it held."""
    if verdict.holds:
        return None
    failing = next((term for term in verdict.terms if not term.holds), None) if verdict.kind == "and" else None
    return verdict if failing is None else first_failing(failing)


def parts(node: Node) -> tuple[Node, ...]:
    """What a node is made of. A decaying score is one thing: what it was when it last changed is nobody's business."""
    return () if isinstance(node, Decaying) else children(node)


def _read(test: Node) -> Iterator[Node]:
    """What a test read, outermost first: fields, features of history, what was calculated from them."""
    below = parts(test)
    if not below and not isinstance(test, Literal | Items):
        yield test
    if isinstance(test, Compare) and (unit_of(test.left) or unit_of(test.right)):
        yield from (side for side in below if isinstance(side, Literal))  # 259200000 is better told as 3d
    for part in below:
        if parts(part) and not isinstance(part, Items) and not _constant(part):
            yield part
        yield from _read(part)


def _constant(node: Node) -> bool:
    return isinstance(node, Literal) or (bool(parts(node)) and all(map(_constant, parts(node))))
