"""A checked model: what ``models`` means. Durations are milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from overture.model.ids import digest
from overture.rules.spelling import spell
from overture.rules.tree import NOWHERE, Node, Place


@dataclass(frozen=True, slots=True)
class Model:
    """How likely a contact is to do something: a fact for which ``predict`` holds, ``within_ms`` after it is scored.

    ``types`` are the fact types on which it can hold. ``features`` are expressions over the contact. At most one
    example for each contact and ``every_ms`` is noted. ``online``: it learns from them; otherwise what decides is
    trained elsewhere. ``otherwise``: what the score is before anything was learned; None: it stays as it is.

    ``edition`` is the same as long as it asks the same: what was learned for another one decides nothing.
    """

    name: str
    ruleset: str
    kind: Literal["online", "batch"]
    predict: Node
    types: frozenset[str]
    within_ms: int
    every_ms: int
    features: Mapping[str, Node]
    otherwise: float | None = None
    edition: str = ""
    place: Place = NOWHERE

    @property
    def id(self) -> str:
        return f"{self.ruleset}/{self.name}"

    @property
    def key(self) -> str:
        """By which its examples are kept."""
        return f"{self.id}#{self.edition}"


def edition_of(predict: Node, within_ms: int, features: Mapping[str, Node]) -> str:
    """16 hexadecimal digits."""
    asked = [part for name, node in sorted(features.items()) for part in (name, spell(node))]
    return digest("model", spell(predict), str(within_ms), *asked)[:8].hex()
