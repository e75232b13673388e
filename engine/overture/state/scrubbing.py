"""Which recorded facts go with a contact that is erased, and what stands in their place. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from overture.model import Fact
from overture.state.archive import entry_order
from overture.state.log import pack_entry, unpack

Place = tuple[int, int, int]
"""A log entry and the number of a fact in it, in log order."""

GONE = Fact("", "$erased", "", 0, 0)
"""What is left of a fact: that there was one, so that all others keep their places."""
# Of ours; they bring no contact into being, and may come behind the fact that erases.
_NOTHING_BEGINS = frozenset({"$tick", "$program", "$approval"})
_pack = msgspec.msgpack.Encoder().encode


class Scrub(msgspec.Struct, frozen=True, array_like=True):
    """The order to take a contact's facts out of a partition's record: up to the one that erased it, number
    ``position`` of ``entry``, and what of ours came after that to nobody, up to the log entry ``until``.

    ``done``: nothing of it is there any more, of ``facts`` facts.
    """

    erasure: str
    entry: str
    position: int
    until: str
    done: bool = False
    facts: int = 0

    @property
    def place(self) -> Place:
        return (*entry_order(self.entry), self.position)


class Scrubbing:
    """One pass over a record: show it every entry in log order with `look`, then have the entries changed.

    ``gone`` are the facts that were taken out, encoded, by contact.
    """

    def __init__(self, orders: Mapping[str, Scrub]) -> None:
        self.gone: dict[str, set[bytes]] = {name: set() for name in orders}
        self.facts = dict.fromkeys(orders, 0)
        self._orders = orders
        self._names = [name.encode() for name in orders]
        self._begins: dict[str, Place] = {}  # where a new contact of the same name begins

    def look(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Find what is to go. Blocking."""
        for id, blob in entries:
            for place, fact in self._of(id, blob):
                order = self._orders[fact.contact]
                if place > order.place and fact.type not in _NOTHING_BEGINS:
                    self._begins.setdefault(fact.contact, place)
                elif self._goes(place, fact):
                    self.facts[fact.contact] += 1
                    self.gone[fact.contact].add(_pack(fact))

    def change(self, id: str, blob: bytes) -> bytes:
        """The entry without what is to go; the same object where that is nothing."""
        going = {place[2] for place, fact in self._of(id, blob) if self._goes(place, fact)}
        if not going:
            return blob
        return pack_entry([GONE if n in going else fact for n, fact in enumerate(unpack([b"f", blob]))])

    def _of(self, id: str, blob: bytes) -> list[tuple[Place, Fact]]:
        if not any(name in blob for name in self._names):
            return []
        at = entry_order(id)
        return [((*at, n), fact) for n, fact in enumerate(unpack([b"f", blob])) if fact.contact in self._orders]

    def _goes(self, place: Place, fact: Fact) -> bool:
        if place <= self._orders[fact.contact].place:
            return True
        begins = self._begins.get(fact.contact)
        return fact.type in _NOTHING_BEGINS and (begins is None or place < begins)
