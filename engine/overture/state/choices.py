"""What was shown by choices and what came of it: counted by the commits that decide it, so nothing counts twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple

from overture.state import keys
from overture.state.lease import Command
from overture.state.wire import Wire

UNIT = 1_000  # of sums of weights: they are kept as whole numbers


class Cell(NamedTuple):
    """What is counted of a variant of a choice (``ruleset/name``) and edition of it.

    ``what``: ``shown``; of those whose time is over ``counted`` and ``reached``, and sums in thousandths of 1 divided
    by the propensity: ``w`` and of successes ``wr``, of its square ``w2`` and ``w2r``.
    """

    choice: str
    edition: str
    variant: str
    what: str


Counts = Counter[Cell]


def counted(p: int, counts: Counts) -> list[Command]:
    """The commands of a commit."""
    return [("HINCRBY", keys.choice(p, cell.choice), "\t".join(cell[1:]), n) for cell, n in counts.items() if n]


class ChoiceCounts:
    """Reading the counts, from any process."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self._wire = wire
        self._partitions = partitions

    async def of(self, choice: str) -> Counts:
        """Those of one choice over all partitions, as far as facts were decided."""
        found: Counts = Counter()
        all = (self._wire.call("HGETALL", keys.choice(p, choice)) for p in range(self._partitions))
        for flat in await asyncio.gather(*all):
            for i in range(0, len(flat), 2):
                found[Cell(choice, *flat[i].decode().split("\t", 2))] += int(flat[i + 1])
        return found
