"""Rules over several facts: what is remembered of each part, and whether the fact at hand completes a join.

A join is completed by whichever of its facts is accepted last: each fact is remembered for the parts that it matches
by itself, and looked at together with those remembered for the others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from operator import attrgetter, itemgetter
from typing import Any

from overture.decide.limits import CANDIDATES, LATE, LINKS, PART_BYTES, size
from overture.match import compile_condition, compile_relation
from overture.model import Candidate, Contact, Fact
from overture.rules.ruleset import Join, Part, Rule
from overture.rules.spelling import spell

Parts = list[list[Candidate]]
Chosen = list[Fact | Candidate]
_occurred_at = attrgetter("occurred_at")


@dataclass(slots=True)
class Links:
    """How many more links between two facts may be looked at in one step, over all joins."""

    left: int = LINKS

    @property
    def spent(self) -> bool:
        return self.left < 0


class Joining:
    """The join of one rule. ``id``: contacts keep its facts under it; another one where the join says another thing."""

    def __init__(self, rule: Rule, join: Join) -> None:
        self.id = f"{rule.id}?{_fingerprint(join)}"
        self._within = join.within_ms
        self._reads = [part.reads for part in join.parts]
        self._own = [compile_condition(part.when) for part in join.parts]
        self._relations: list[Callable[[Sequence[Fact | Candidate], Contact], bool] | None] = [
            None if part.relation is None else compile_relation(part.relation) for part in join.parts
        ]

    def see(self, fact: Fact, contact: Contact, links: Links) -> bool:
        """Remember the fact for the parts that it matches; whether it completes the join, as far as ``links`` reach."""
        matched = [n for n, own in enumerate(self._own) if own(fact, contact)]
        if not matched:
            return False
        known = contact.joins.get(self.id) or [[] for _ in self._own]
        complete = any(len(self.longest(n, fact, known, contact, links)) == len(self._own) for n in matched)
        contact.joins[self.id] = [
            self._with(part, fact, n, contact.clock) if n in matched else part for n, part in enumerate(known)
        ]
        return complete

    def longest(self, place: int, fact: Fact, known: Parts, contact: Contact, links: Links | None = None) -> Chosen:
        """As many facts as fit together from the first part on, with ``fact`` at its place; all complete the join.

        ``links``: how far to look, to the end by default.
        """
        longest: Chosen = []

        def go_on(chosen: Chosen) -> bool:
            nonlocal longest
            n = len(chosen)
            if n > len(longest):
                longest = chosen
            if n == len(self._own):
                return True
            options: Sequence[Fact | Candidate] = [fact] if n == place else self._in_time(chosen, known[n])
            for option in options:
                if links is not None:
                    links.left -= 1
                    if links.spent:
                        return False
                if self._fits(chosen, option, contact) and go_on([*chosen, option]):
                    return True
            return False

        go_on([])
        return longest

    def _in_time(self, chosen: Chosen, part: list[Candidate]) -> list[Candidate]:
        """Those of one part that come after the chosen ones and near enough, newest first."""
        if not chosen:
            return part[::-1]
        first, last = chosen[0].occurred_at, chosen[-1].occurred_at
        begin = bisect_left(part, last, key=_occurred_at)
        return part[begin : bisect_right(part, first + self._within, begin, key=_occurred_at)][::-1]

    def _fits(self, chosen: Chosen, option: Fact | Candidate, contact: Contact) -> bool:
        """Whether a fact can be the next one after those of the parts before."""
        if chosen:
            first, last = chosen[0].occurred_at, chosen[-1].occurred_at
            if not last <= option.occurred_at <= first + self._within or any(c.id == option.id for c in chosen):
                return False
        relation = self._relations[len(chosen)]
        return relation is None or relation([*chosen, option], contact)

    def _with(self, part: list[Candidate], fact: Fact, n: int, clock: int) -> list[Candidate]:
        """The newest facts of one part; those that no fact can come for any more are left out."""
        kept = [c for c in part if c.occurred_at > clock - self._within - LATE]
        new = Candidate(fact.id, fact.type, fact.occurred_at, _small(fact, self._reads[n]))
        insort(kept, new, key=lambda c: (c.occurred_at, c.id))
        return kept[-CANDIDATES:]


def _small(fact: Fact, names: Iterable[str]) -> dict[str, Any]:
    """These properties of a fact, the smallest first, as far as there is room."""
    found = ((name, fact.properties[name]) for name in names if fact.properties.get(name) is not None)
    room, kept = PART_BYTES, dict[str, Any]()
    for length, name, value in sorted(((size(x), name, x) for name, x in found), key=itemgetter(0, 1)):
        room -= length
        if room >= 0:
            kept[name] = value
    return kept


def joined(a: Parts, b: Parts) -> Parts:
    """What two contacts that become one remember of a join."""
    both = ({c.id: c for c in (*x, *y)}.values() for x, y in zip(a, b, strict=True))
    return [sorted(part, key=lambda c: (c.occurred_at, c.id))[-CANDIDATES:] for part in both]


def _fingerprint(join: Join) -> str:
    text = "\n".join((str(join.within_ms), *map(_spelled, join.parts)))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _spelled(part: Part) -> str:
    return f"{spell(part.when)} / {spell(part.relation) if part.relation is not None else ''}"
