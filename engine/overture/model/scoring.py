"""What a scorer is given and what it answers: values that it can read and nobody can change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, cast

from overture.model.contact import Contact, Number
from overture.model.decay import all_scores
from overture.model.fact import Fact


class View(Mapping[str, Any]):
    """A mapping of JSON values that is read only, all the way down: mappings in it are views, lists are tuples."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Any:
        return frozen(self._values[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"View({self._values!r})"


def frozen(value: Any) -> Any:
    """A JSON value as one that is read only."""
    if value.__class__ is dict:
        return View(value)
    if value.__class__ is list:
        return tuple(map(frozen, value))
    return value


@dataclass(frozen=True, slots=True)
class FactView:
    """The fact on which the rule fired. ``at``: when it occurred, in ms since the epoch, UTC."""

    type: str
    properties: Mapping[str, Any]
    context: Mapping[str, Any]
    at: int


@dataclass(frozen=True, slots=True)
class ContactView:
    """The contact as conditions see it at this moment. ``scores``: name to number, or to key to number."""

    id: str
    traits: Mapping[str, Any]
    scores: Mapping[str, Any]
    segments: Set[str]
    lists: Set[str]


@dataclass(frozen=True, slots=True)
class ScoreInput:
    """Everything that a score may depend on. ``now`` is the contact's clock, in ms since the epoch, UTC.

    ``score`` is the name of the score that is set and ``key`` its key, empty for a plain one.
    """

    fact: FactView
    contact: ContactView
    now: int
    score: str = ""
    key: str = ""


def score_input(
    fact: Fact, contact: Contact, half_lives: Mapping[str, int], score: str = "", key: str = ""
) -> ScoreInput:
    """What a scorer sees. ``half_lives`` (ms) of the scores that decay: it reads them as of now."""
    return ScoreInput(
        FactView(fact.type, View(fact.properties), View(fact.said), fact.occurred_at),
        ContactView(
            contact.id,
            View(contact.traits),
            View(cast("dict[str, Any]", all_scores(contact, half_lives, contact.clock))),
            frozenset(contact.segments),
            frozenset(contact.lists),
        ),
        contact.clock,
        score,
        key,
    )


@dataclass(frozen=True, slots=True)
class Scored:
    """What the score is from now on, and what made it so: name to share, for people to read."""

    value: Number
    contributions: Mapping[str, Number] = field(default_factory=dict[str, Number])
