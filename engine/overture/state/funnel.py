"""What became of contacts on journeys: counted by the commits that move them, so that nothing counts twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple

from overture.state import keys
from overture.state.lease import Command
from overture.state.wire import Wire

HELD_OUT = "held_out"


class Cell(NamedTuple):
    """What is counted: of one journey and revision, ``what`` happened, at a step if at one.

    Of positions ``group`` is `HELD_OUT` or empty, and ``variant`` ``split=way`` where only those count that went that
    way: each event counts once without a variant, and once with each that the position has. ``detail`` is the outcome
    or the reason.
    """

    journey: str  # "ruleset/journey"
    revision: str
    what: str
    step: str = ""
    group: str = ""
    variant: str = ""
    detail: str = ""


Counts = Counter[Cell]


def counted(p: int, counts: Counts) -> list[Command]:
    """The commands of a commit."""
    return [("HINCRBY", keys.funnel(p, cell.journey), "\t".join(cell[1:]), n) for cell, n in counts.items() if n]


class Funnels:
    """Reading the counts, from any process."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self._wire = wire
        self._partitions = partitions

    async def of(self, journey: str) -> Counts:
        """Those of one journey (``ruleset/journey``) over all partitions, as far as facts were decided."""
        found: Counts = Counter()
        all = (self._wire.call("HGETALL", keys.funnel(p, journey)) for p in range(self._partitions))
        for flat in await asyncio.gather(*all):
            for i in range(0, len(flat), 2):
                found[Cell(journey, *flat[i].decode().split("\t", 5))] += int(flat[i + 1])
        return found
