"""The smallest change that would have made a condition hold: searched for, and tried before it is told.

From the leaves up: for a failing test, the values of what it reads that would turn it; for an ``and`` all of its
failing terms together, for an ``or`` the cheapest. A change costs by how many things it touches and how far it moves
them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from overture.match.closures import compile_condition, compile_value, names_of
from overture.match.edits import Edit, editable, holds_with
from overture.match.explain import parts
from overture.match.folding import shape
from overture.match.repairs import repairs
from overture.match.units import said
from overture.match.values import in_range
from overture.model import Contact, Fact
from overture.rules.spelling import spell
from overture.rules.tree import And, Call, Field, Node, Not, Or

KEPT = 8  # ways to turn one node that are followed up
TRIES = 4_000  # evaluations in one search; a condition of ordinary size needs some dozens

Way = tuple[float, tuple[Edit, ...]]


@dataclass(frozen=True, slots=True)
class Change:
    """What would have to be different, all of it together."""

    edits: tuple[Edit, ...]

    @property
    def sentence(self) -> str:
        """``contact.scores.lead was 20; 25 or more would do.``"""
        if len(self.edits) == 1:
            (edit,) = self.edits
            if edit.name:
                had, put = ("did not have", "with") if edit.after else ("had", "without")
                return f"{spell(edit.operand)} {had} {said(edit.name)}; {put} it the condition would hold."
            return f"{_was(edit)}; {edit.needs} would do."
        return f"Together these would do: {'; '.join(_demand(edit) for edit in self.edits)}."


def smallest_change(node: Node, fact: Fact, contact: Contact) -> Change | None:
    """None where the condition holds, or where no change is known that makes it hold."""
    search = _Search(node, fact, contact)
    if search.holds(node, ()):
        return None
    return next((Change(edits) for _, edits in search.ways(node, True) if search.holds(node, edits)), None)


def _was(edit: Edit) -> str:
    return f"{spell(edit.operand)} was {said(edit.before, edit.unit)}"


def _demand(edit: Edit) -> str:
    if edit.name:
        return f"{said(edit.name)} {'in' if edit.after else 'not in'} {spell(edit.operand)}"
    return f"{spell(edit.operand)}: {edit.needs} (was {said(edit.before, edit.unit)})"


class _Search:
    def __init__(self, root: Node, fact: Fact, contact: Contact) -> None:
        self._root = root
        self._fact = fact
        self._contact = contact
        self._tries = TRIES

    def holds(self, node: Node, edits: tuple[Edit, ...]) -> bool | None:
        if not edits:
            return compile_condition(node)(self._fact, self._contact)
        self._tries -= 1
        return holds_with(node, edits, self._fact, self._contact)

    def ways(self, node: Node, want: bool) -> list[Way]:
        """How the node can be made to hold, or not to: the cheapest first."""
        if self.holds(node, ()) is want:
            return [(0.0, ())]
        match node:
            case Not(term):
                return self.ways(term, not want)
            case And(terms) | Or(terms) if isinstance(node, And) is want:
                return self._together(node, terms, want)
            case And(terms) | Or(terms):
                simplest = sorted(terms, key=_size)  # if the tries run out, then on what would be costly anyway
                return _cheapest(way for term in simplest for way in self.ways(term, want))
            case _:
                return _cheapest(self._turned(node, want))

    def _together(self, node: Node, terms: tuple[Node, ...], want: bool) -> list[Way]:
        found: list[Way] = [(0.0, ())]
        for term in terms:
            ways = self.ways(term, want)
            found = _cheapest(both for a in found for b in ways if (both := _merged(a, b)) is not None)
        return [way for way in found if self.holds(node, way[1]) is want]  # what held before may not any more

    def _turned(self, test: Node, want: bool) -> Iterator[Way]:
        """Single edits that turn a test."""
        seen: set[object] = set()
        for operand in _operands(test):
            if (kind := shape(operand)) in seen or not editable(operand):
                continue
            seen.add(kind)
            before = None if names_of(operand) else compile_value(operand)(self._fact, self._contact)
            for edit in repairs(self._root, test, operand, before, want, self._fact, self._contact):
                if self._tries > 0 and self.holds(test, (edit,)) is want:
                    yield _cost(edit), (edit,)


def _operands(test: Node) -> Iterator[Node]:
    """What could be different: first what is read, then what was calculated from it. Time that passes is one thing."""
    below = _read(test)
    for part in below:
        yield from _operands(part)
    if below:
        yield from (part for part in below if _read(part))
    else:
        yield test


def _size(node: Node) -> int:
    return 1 + sum(map(_size, parts(node)))


def _read(node: Node) -> tuple[Node, ...]:
    return () if isinstance(node, Call) and node.name in ("age", "local") else parts(node)


def _cheapest(ways: Iterator[Way]) -> list[Way]:
    return heapq.nsmallest(KEPT, ways, key=lambda way: way[0])


def _merged(a: Way, b: Way) -> Way | None:
    """Both; None where they want different things of one operand."""
    edits = {edit.target: edit for edit in a[1]}
    cost = a[0]
    for edit in b[1]:
        other = edits.setdefault(edit.target, edit)
        if other is edit:
            cost += _cost(edit)
        elif shape(other.after) != shape(edit.after):
            return None
    return cost, tuple(edits.values())


def _cost(edit: Edit) -> float:
    """1 for each thing that changes, and up to 1 for how far; more for what was calculated, and for another type."""
    a, b = edit.before, edit.after
    if edit.operand == Field("fact", ("type",), edit.operand.place):
        return 3.0
    extra = 0.5 if _read(edit.operand) else 0.0
    if in_range(a) and in_range(b):
        return 1.0 + extra + min(1.0, abs(a / 2 - b / 2) / (abs(a / 2) + abs(b / 2) + 1))
    return extra + (1.2 if edit.name else 1.5 if a is not None and b is not None else 1.8)
