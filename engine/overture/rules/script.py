"""A script as a ruleset declares it: what it is given, and what it may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from overture.model.script import Script
from overture.rules.tree import NOWHERE, Place
from overture.rules.types import Type

CONTACT_PARTS = ("id", "traits", "scores", "segments", "lists")
ROOTS = ("fact", "contact", "now", "request")
"""What a script can be given, each under a parameter of that name."""

Facts = Mapping[str, Mapping[str, Type]]


@dataclass(frozen=True, slots=True)
class Changes:
    """What the action ``run`` may do of what a script answers. ``traits`` and ``facts``: with their types."""

    traits: Mapping[str, Type] = field(default_factory=dict[str, Type])
    scores: frozenset[str] = frozenset()
    facts: Facts = field(default_factory=dict[str, Mapping[str, Type]])
    segments: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()

    def told(self) -> dict[str, list[str]]:
        """As they are written, without those that say nothing."""
        named = {
            "set": self.traits,
            "score": self.scores,
            "assert": self.facts,
            "segment": self.segments,
            "list": self.lists,
        }
        return {part: sorted(names) for part, names in named.items() if names}


@dataclass(frozen=True, slots=True)
class ScriptDecl:
    """``takes``: paths such as ``fact``, ``contact.traits``, ``contact.scores.lead``, ``now``, ``request``, sorted.
    ``changes``: None where no action may run it.
    """

    script: Script
    takes: tuple[str, ...]
    changes: Changes | None = field(default=None, compare=False)
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def name(self) -> str:
        return self.script.name

    @property
    def transforms(self) -> bool:
        """Whether it makes facts of requests; what does is good for nothing else."""
        return "request" in self.takes
