"""A test as read from a document: what is known of the contact, what happens then, what must come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from overture.model import Draft
from overture.rules.tree import Place

Kind = Literal[
    "scores", "traits", "segments", "lists", "sent", "facts", "issued", "held", "suppressed", "journey", "error"
]


@dataclass(frozen=True, slots=True)
class Named:
    """A name, and where it is written."""

    text: str
    place: Place
    pointer: str


@dataclass(frozen=True, slots=True)
class Show:
    """A fact comes in; ``fields`` says where each of its keys is written."""

    draft: Draft
    backfill: bool
    place: Place
    pointer: str
    fields: Mapping[str, Named]


@dataclass(frozen=True, slots=True)
class Advance:
    """The clock goes to ``to`` (ms)."""

    to: int
    place: Place


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that an ``expect`` says.

    ``path``: the name, or name and key, of what it is about; empty for ``sent`` and ``error``. ``expected``: a number
    (``scores``), any value (``traits``), whether the contact is in it (``segments``, ``lists``), how many or the
    properties of each (``facts``, ``issued``), the messages (``sent``), a code or None (``held``,
    ``suppressed``, ``error``), a step, ``ended``, ``end:`` with an outcome or None for never begun (``journey``).
    ``place`` is where that is written, ``name`` what it is about.
    """

    kind: Kind
    path: tuple[str, ...]
    expected: Any
    place: Place
    name: Named

    @property
    def what(self) -> str:
        return ".".join((self.kind, *self.path))


@dataclass(frozen=True, slots=True)
class Expect:
    claims: tuple[Claim, ...]
    place: Place


Step = Show | Advance | Expect


@dataclass(frozen=True, slots=True)
class Given:
    """What is known of the contact before the test, as facts; ``traits`` are those written there."""

    drafts: tuple[Draft, ...]
    traits: Mapping[str, Named]


@dataclass(frozen=True, slots=True)
class Knows:
    """What a model of the ruleset has learned before the test."""

    model: Named
    intercept: float
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Trial:
    """One test. ``at``: where its clock starts (ms). Without ``given`` nobody has heard of the contact yet."""

    name: str
    at: int
    contact: str
    given: Given | None
    rulesets: tuple[Named, ...]
    steps: tuple[Step, ...]
    place: Place
    pointer: str
    learned: tuple[Knows, ...] = ()
