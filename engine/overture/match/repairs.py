"""Values worth trying in the place of one operand of a test, with the words for them. What they promise is tried."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any, cast

from overture.match.closures import compile_value, names_of
from overture.match.edits import Edit, put
from overture.match.explain import parts
from overture.match.folding import shape
from overture.match.units import Unit, said, unit_in
from overture.match.values import bounded, in_range, is_number
from overture.model import Contact, Fact
from overture.rules.tree import FLIPPED, Call, Compare, Literal, Node

_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<", "in": "not in", "not in": "in"}
_PLAIN = re.compile(r"\^?([\w/ @.:-]*)\$?")  # a pattern that says its own match
_PHRASES = {">=": "{} or more", ">": "more than {}", "<=": "{} or less", "<": "less than {}"}
_WHEN = {">=": "{} or later", ">": "later than {}", "<=": "{} or earlier", "<": "before {}"}

ELSEWHERE = 50  # values tried that other tests of the condition name

Found = tuple[Any, str]  # a value and what would do, in words


def repairs(
    root: Node, test: Node, operand: Node, before: Any, want: bool, fact: Fact, contact: Contact
) -> Iterator[Edit]:
    """Edits of ``operand`` that may turn ``test``, a part of the condition ``root``; ``before`` is its value now."""
    read = _Reader(fact, contact)
    kind = names_of(operand)
    if kind:
        members: dict[str, int] = getattr(contact, kind)
        for name in _names(test, operand, read):
            yield Edit(operand, name in members, name not in members, "", name)
        return
    unit = unit_in(test, operand)
    alone = _occurrences(root, shape(operand)) == 1
    elsewhere = islice(_elsewhere(root, operand, read), ELSEWHERE)
    found = [
        *_own(test, operand, before, want, read, alone, unit),
        *((value, said(value, unit)) for value in elsewhere),
    ]
    tried: set[str] = set()
    for value, needs in found:
        if (key := repr(value)) in tried:
            continue
        tried.add(key)
        yield Edit(operand, before, value, needs, unit=unit)


class _Reader:
    """The values of other nodes, as they are."""

    def __init__(self, fact: Fact, contact: Contact) -> None:
        self._fact = fact
        self._contact = contact

    def __call__(self, node: Node) -> Any:
        return compile_value(node)(self._fact, self._contact)

    def with_value(self, node: Node, operand: Any, value: Any) -> Any:
        """The value of a calculation if a part of it were another."""
        return self(put(node, operand, Literal(value)))


def _own(test: Node, operand: Node, before: Any, want: bool, read: _Reader, alone: bool, unit: Unit) -> Iterator[Found]:
    """What the test itself asks for."""
    match test:
        case Compare(op, left, right):
            yield from _compared(op if want else _OPPOSITE[op], left, right, operand, before, read, alone, unit)
        case Call(name, (subject, *rest)) if subject == operand:
            yield from _called(name, rest, before, want, read)
        case _ if test == operand:
            yield want, said(want)
            if not want:
                yield None, "having none"
        case _:
            pass


def _compared(
    op: str, left: Node, right: Node, operand: Node, before: Any, read: _Reader, alone: bool, unit: Unit
) -> Iterator[Found]:
    wanted = shape(operand)
    if op in ("in", "not in"):
        if shape(left) == wanted:
            yield from _part_of(op, read(right), before, alone)
        elif shape(right) == wanted:
            yield from _containing(op, read(left), before)
        return
    if _occurrences(left, wanted):
        side, other = left, read(right)
    else:
        side, other, op = right, read(left), FLIPPED[op]
    if other is None:
        return
    if shape(side) == wanted:
        yield from _bound(op, other, alone, unit)
    elif is_number(other):
        for value in _solved(side, wanted, before, other, read):
            yield from _bound(op, value, False, unit)
    elif isinstance(side, Call):
        yield from _bound(op, other, False, unit)


def _bound(op: str, value: Any, alone: bool, unit: Unit) -> Iterator[Found]:
    """Values that stand in the relation ``op`` to ``value``, the nearest first."""
    if op == "!=":
        yield _another(value), f"anything but {said(value, unit)}" if alone else said(_another(value), unit)
        return
    phrase = (_WHEN if unit == "instant" else _PHRASES).get(op, "{}").format(said(value, unit)) if alone else ""
    if not is_number(value):
        near = [value]
        if isinstance(value, str) and op in ("<", ">"):
            near, phrase = ([""] if op == "<" else [f"{value}a"]), ""
    else:
        near = [] if op in ("<", ">") else [value]
        if bounded(value) is not None:
            near += [math.floor(value) + 1, math.ceil(value) - 1]
    for candidate in near:
        yield candidate, phrase or said(candidate, unit)


def _part_of(op: str, whole: Any, before: Any, alone: bool) -> Iterator[Found]:
    if whole is None:
        return
    if op == "not in":
        another = _another(before)
        yield another, f"anything not in {said(whole)}" if alone else said(another)
    elif isinstance(whole, list):
        items = [item for item in cast("list[Any]", whole) if item is not None]
        for item in items:
            yield item, f"one of {', '.join(map(said, items))}" if alone and len(items) > 1 else said(item)
    else:
        yield whole, said(whole)


def _containing(op: str, part: Any, before: Any) -> Iterator[Found]:
    if part is None:
        return
    if op == "not in":
        yield [], f"something without {said(part)}"
        yield "", f"something without {said(part)}"
    else:
        yield from (([*before, part] if isinstance(before, list) else value, f"something with {said(part)} in it")
                    for value in ([part], part))  # fmt: skip


_BEGINNINGS = {"startswith": "begins with", "endswith": "ends with", "contains": "contains", "matches": "matches"}


def _called(name: str, rest: list[Node], before: Any, want: bool, read: _Reader) -> Iterator[Found]:
    if name == "has":
        yield (True, "any value") if want else (None, "having none")
        return
    if name not in _BEGINNINGS or len(rest) != 1 or (asked := read(rest[0])) is None:
        return
    verb = _BEGINNINGS[name]
    if not want:
        negative = {"begins with": "begin with", "ends with": "end with", "contains": "contain", "matches": "match"}[
            verb
        ]
        yield "", f"anything that does not {negative} {said(asked)}"
        yield None, "having none"
        return
    value = asked
    if name == "matches":
        plain = _PLAIN.fullmatch(asked) if isinstance(asked, str) else None
        if plain is None:
            return
        value = plain[1]
    phrase = f"something that {verb} {said(asked)}"
    if isinstance(before, list):
        yield [*before, value], phrase
    yield value, phrase


def _solved(side: Node, operand: Any, before: Any, target: float, read: _Reader) -> Iterator[float]:
    """Where a calculation with the operand reaches the target, if it is linear there, and the integers near it."""
    at = before if in_range(before) else 0
    here, there = read.with_value(side, operand, at), read.with_value(side, operand, at + 1)
    if not is_number(here) or not is_number(there) or here == there or bounded(target) is None:
        return
    exact = at + (target - here) / (there - here)
    if math.isfinite(exact) and bounded(exact) is not None:
        yield int(exact) if exact == int(exact) else exact
        yield math.floor(exact)
        yield math.ceil(exact)


def _names(test: Node, operand: Node, read: _Reader) -> Iterator[str]:
    """The names that a test asks a set of names for."""
    match test:
        case Compare("in" | "not in", left, right) if shape(right) == shape(operand):
            value = read(left)
        case Call("contains", (whole, part)) if shape(whole) == shape(operand):
            value = read(part)
        case _:
            return
    if isinstance(value, str) and value:  # nothing can be called ""
        yield value


def _elsewhere(root: Node, operand: Node, read: _Reader) -> Iterator[Any]:
    """Values that other tests of the condition compare the operand with: one may satisfy several of them at once."""
    numbers: list[float] = []
    for compared in _compared_with(root, shape(operand)):
        value = read(compared)
        for item in cast("list[Any]", value) if isinstance(value, list) else [value]:
            if in_range(item):
                numbers.append(item)
            elif item is not None:
                yield item
    numbers.sort()
    for low, high in pairwise(numbers):
        yield (low + high) / 2
    for number in numbers:
        yield from (number, math.floor(number) + 1, math.ceil(number) - 1)


def _compared_with(node: Node, operand: Any) -> Iterator[Node]:
    match node:
        case Compare(_, left, right):
            yield from (b for a, b in ((left, right), (right, left)) if shape(a) == operand)
        case Call(_, (subject, other)) if shape(subject) == operand:
            yield other
        case _:
            pass
    for part in parts(node):
        yield from _compared_with(part, operand)


def _another(value: Any) -> Any:
    """A value of the same kind, not equal to it."""
    match value:
        case bool():
            return not value
        case str():
            return f"{value}x"
        case int() | float():
            return 1 if bounded(value) is None else math.floor(value) + 1
        case _:
            return ""


def _occurrences(node: Node, operand: Any) -> int:
    return (shape(node) == operand) + sum(_occurrences(part, operand) for part in parts(node))
