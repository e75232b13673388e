"""How many contacts stand at which step of which journey: counted by the commits that move them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from overture.model import Contact, Position
from overture.state import keys
from overture.state.lease import Command
from overture.state.wire import Wire


class Stand(NamedTuple):
    journey: str
    revision: str
    step: str


def moved(counts: Counter[Stand], before: Contact, after: Contact) -> None:
    """Count what one step has changed."""
    counts.update(_stands(after.journeys))
    counts.subtract(_stands(before.journeys))


def counted(p: int, counts: Counter[Stand]) -> list[Command]:
    """The commands of a commit."""
    return [("HINCRBY", keys.positions(p), " ".join(stand), n) for stand, n in counts.items() if n]


async def standing(wire: Wire, partitions: int) -> Counter[Stand]:
    """How many positions stand where, over all partitions, as far as facts were decided."""
    found: Counter[Stand] = Counter()
    for flat in await asyncio.gather(*(wire.call("HGETALL", keys.positions(p)) for p in range(partitions))):
        for i in range(0, len(flat), 2):
            found[Stand(*flat[i].decode().split(" "))] += int(flat[i + 1])
    return +found


def _stands(positions: Iterable[Position]) -> Iterable[Stand]:
    return (Stand(position.journey, position.revision, position.step) for position in positions)
