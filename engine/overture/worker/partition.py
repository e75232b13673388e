"""One partition as its worker holds it: where it stands in the log, and the contacts it has at hand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from overture.decide import Plan
from overture.model import Contact, Fact
from overture.state.checkpoint import Checkpoint
from overture.state.lease import Lease

CACHED = 2_000  # contacts at hand per partition
BATCH_BYTES = 1 << 20  # of facts in one commit: what rules make of them is a multiple
RECOVERED = 512  # facts decided one by one after the previous owner vanished; also the largest batch


@dataclass(slots=True)
class Partition:
    """All of it can be lost: it is read again from the store when the lease is taken."""

    lease: Lease
    stored: str  # the checkpoint as it stands in the store
    at: Checkpoint
    plan: Plan
    recovering: int = 0  # facts still to be decided one by one, by the reference matcher
    read: str = ""  # last entry read
    unarchived: int = 0  # bytes read since the last archiving
    pending: deque[tuple[str, list[Fact], int]] = field(default_factory=deque[tuple[str, list[Fact], int]])
    cache: dict[str, Contact] = field(default_factory=dict[str, Contact])

    def __post_init__(self) -> None:
        self.read = self.at.entry

    def take(self, limit: int) -> tuple[list[Fact], Checkpoint]:
        """Up to ``limit`` facts and about `BATCH_BYTES` of what has been read, and the checkpoint after them."""
        facts: list[Fact] = []
        entry, done = self.at.entry, self.at.facts
        room = BATCH_BYTES
        while self.pending and len(facts) < limit and room > 0:
            id, all_facts, size = self.pending[0]
            mean = max(1, size // len(all_facts))
            part = all_facts[done : done + min(limit - len(facts), max(1, room // mean))]
            facts += part
            done += len(part)
            room -= mean * len(part)
            if done < len(all_facts):
                break
            self.pending.popleft()
            entry, done = id, 0
        return facts, Checkpoint(entry, done, self.at.version)

    def trim(self) -> None:
        """Forget the contacts that were loaded longest ago."""
        while len(self.cache) > CACHED:
            del self.cache[next(iter(self.cache))]
