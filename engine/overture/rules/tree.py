"""The syntax tree of a condition: one tree, executed in two ways that must agree (see `overture.match`).

Every node carries the place it was written at, so that any execution can point at it. What a tree *means* is
defined by `overture.match.closures`:

* a missing field or a null is *missing*; every comparison with a missing operand is false, also ``!=`` and ``not in``;
* ``==`` and ``!=`` compare like with like: text, number (never a boolean), boolean, list; of different kinds: ``==`` is
  false, ``!=`` true; ``< <= > >=`` order numbers or text, false for anything else;
* ``in`` tests membership in a list or in a set of names (``contact.segments``, ``contact.lists``) or a part of a text;
* ``and``, ``or``, ``not`` and the whole condition take only ``true`` for true;
* arithmetic takes numbers; anything else, division by zero, or a result that is not finite or beyond ±2^53 is missing;
* ``now()`` is the contact's clock; windows of history end there (see `overture.match.history`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as OneOf
from typing import get_args

from overture.model.pure import Function


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands in the document it came from, both counted from 1."""

    line: int = 0
    column: int = 0


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Literal:
    """``"text"``, ``3``, ``2.5``, ``True``; a const is folded into a literal."""

    value: str | int | float | bool
    place: Place = Place()


Ordinal = OneOf["first", "second", "third", "fourth"]
ORDINALS: tuple[Ordinal, ...] = get_args(Ordinal)
Root = OneOf["fact", "contact", "journey", "wait"] | Ordinal


@dataclass(frozen=True, slots=True)
class Field:
    """``fact.path``, ``contact.scores.interest.seo``: a root and one or more names.

    ``first.path`` … are the facts of a join and stand only in the `relation` of one of its parts. ``journey.key`` and
    ``wait.matched`` stand only in a journey; they are read from the context of the fact that it is shown.
    """

    root: Root
    path: tuple[str, ...]
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Items:
    """``["DE", "AT"]``: a list of nodes."""

    items: tuple[Node, ...]
    place: Place = Place()


Comparison = OneOf["==", "!=", "<", "<=", ">", ">=", "in", "not in"]
FLIPPED: dict[str, Comparison] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""What a comparison says when its sides change places."""


@dataclass(frozen=True, slots=True)
class Compare:
    """One comparison; ``a < b < c`` is written as ``And`` of two."""

    op: Comparison
    left: Node
    right: Node
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class And:
    terms: tuple[Node, ...]
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Or:
    terms: tuple[Node, ...]
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Not:
    term: Node
    place: Place = Place()


Operator = OneOf["+", "-", "*", "/", "%"]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    op: Operator
    left: Node
    right: Node
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Call:
    """``has(x)``, ``matches(text, pattern)``; ``x.startswith(y)`` is ``Call("startswith", (x, y))``, and
    ``local(x).hour`` is ``Call("local", (x, Literal("hour")))``. ``function``: the plugin's whose name it is; ``asker``
    is then the place of the whole expression, as in ``growth#/rules/hot/when``.
    """

    name: str
    arguments: tuple[Node, ...]
    place: Place = Place()
    function: Function | None = None
    asker: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """The facts of the last ``ms``, or those since 00:00 of this day, Monday, or first of the month where the contact
    lives; exactly one of the two is given.
    """

    ms: int = 0
    calendar: OneOf["", "day", "week", "month"] = ""


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Which facts of a contact a history feature is about; made by `overture.rules.series.series_key`.

    ``where`` is a condition over the fact only. ``field`` is what ``total`` sums, empty for the other features.
    ``id`` is the same for the same meaning, wherever and whenever it was written: contacts keep their series under it.
    """

    id: str
    type: str
    field: tuple[str, ...] = ()
    where: Node | None = None


Kind = OneOf["count", "total", "last", "first", "seen"]


@dataclass(frozen=True, slots=True)
class History:
    """``count("page_viewed", within="7d")`` and its kin: what the contact remembers of its facts."""

    kind: Kind
    series: SeriesKey
    window: Window | None = None
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Decaying:
    """A score that halves every ``half_life`` ms, as it stands at the contact's clock.

    The linker puts it in the place of the plain field: only then is it known which scores decay.
    """

    field: Field
    half_life: int
    place: Place = Place()


Node = Literal | Field | Items | Compare | And | Or | Not | Arithmetic | Call | History | Decaying
