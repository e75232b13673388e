"""Examples out of recorded facts: the pure step notes what it knew of a contact when it was scored, and what came.

So training sees a contact as a decision at that instant sees it, and nothing that came later.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

from overture.decide import Plan
from overture.decide.asked import step_asking
from overture.model import Contact, Fact
from overture.model.artefact import Feature
from overture.model.script import Ask
from overture.rules.learning import Model
from overture.training.facts import Source

MOST = 200_000  # examples that are kept of either side of the split
VALUES = 2_000_000  # of features in them


class Example(NamedTuple):
    """What was known of a contact ``at`` an instant (ms), and whether it ``met`` what is predicted in the time.
    ``rule``: what the plain rule said, where there is one."""

    at: int
    contact: str
    features: dict[str, Feature]
    met: bool
    rule: float = 0.0


class Drawn:
    """Examples, of more than ``most`` an even sample: which ones depends on nothing but themselves."""

    def __init__(self, most: int) -> None:
        self.seen = 0
        self._most = most
        self._one_in = 1
        self._kept: list[Example] = []

    def add(self, example: Example) -> None:
        self.seen += 1
        if self._draws(example):
            self._kept.append(example)
            if len(self._kept) > self._most:
                self._one_in *= 2
                self._kept = [each for each in self._kept if self._draws(each)]

    def in_order(self) -> list[Example]:
        """By time, then contact."""
        return sorted(self._kept, key=lambda each: (each.at, each.contact))

    def _draws(self, example: Example) -> bool:
        return crc32(f"{example.contact}\n{example.at}".encode()) % self._one_in == 0


class Examples:
    """Reads them. ``failed``: facts that could not be decided, which change nothing. ``ask`` has scripts answer."""

    def __init__(self, source: Source, plan: Plan, model: Model, ask: Ask) -> None:
        self.failed = 0
        self._source = source
        self._plan = plan
        self._model = model
        self._ask = ask

    def read(self, last: int) -> Iterator[Example]:
        """All of which it is known by ``last``, the instant at which the record ends."""
        for part in range(self._source.parts):
            contacts: dict[str, Contact] = {}
            for fact in self._source.facts(part):
                yield from self._decide(contacts, fact)
            for name in list(contacts):
                yield from self._decide(contacts, Fact(f"tick:{last}", "$tick", name, last, last))

    def _decide(self, contacts: dict[str, Contact], fact: Fact) -> Iterator[Example]:
        before = contacts.get(fact.contact) or Contact(fact.contact)
        try:
            done = step_asking(before, fact, self._plan, fact.accepted_at, self._ask)
        except Exception:
            self.failed += 1
            return
        contacts[fact.contact] = done.contact
        for key, outcome in done.outcomes:
            if key == self._model.key:
                at = outcome.due - self._model.within_ms
                yield Example(at, fact.contact, outcome.features, outcome.met)


def last_of(source: Source) -> tuple[int, int]:
    """The instants at which the first and the last fact took effect; (0, 0) where there is none."""
    first, last = 0, 0
    for part in range(source.parts):
        for fact in source.facts(part):
            if not fact.type.startswith("$"):
                first = min(first, fact.instant) if first else fact.instant
                last = max(last, fact.instant)
    return first, last
