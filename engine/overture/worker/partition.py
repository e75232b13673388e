"""One partition as its worker holds it: where it stands in the log, and the contacts it has at hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from overture.decide import Plan
from overture.decide.erasure import ERASE
from overture.model import Contact, Fact
from overture.state.checkpoint import Checkpoint
from overture.state.lease import Lease
from overture.state.ledger import Chain

CACHED = 2_000  # contacts at hand per partition
CACHED_BYTES = 16 * 1024  # of a contact that stays at hand; a larger one is loaded for each batch
BATCH_BYTES = 1 << 20  # of facts in one commit
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
    sampled: int = 0  # when a fact was last looked at for near misses, ms
    limit: int = RECOVERED  # facts of the next batch, at most
    ticks: int = 0  # put into the log by this worker and not decided yet
    erased: int = 0  # contacts, since it was taken up
    programs: int = 0  # contacts being brought up to date: put into the log by this worker and not decided yet
    look_at: float = 0.0  # when to look next who is due, in the loop's time
    chain: Chain = field(default_factory=Chain)  # where its consent ledger ends
    pending: deque[tuple[str, list[Fact], int]] = field(default_factory=deque[tuple[str, list[Fact], int]])
    cache: dict[str, Contact] = field(default_factory=dict[str, Contact])

    def __post_init__(self) -> None:
        self.read = self.at.entry

    def ahead(self, limit: int) -> list[Fact]:
        """The next facts of what has been read: ``limit`` at most, and about `BATCH_BYTES`; one that erases alone."""
        facts: list[Fact] = []
        done = self.at.facts
        room = BATCH_BYTES
        for _, read, size in self.pending:
            mean = max(1, size // len(read))
            part = read[done : done + min(limit - len(facts), max(1, room // mean))]
            facts += part
            room -= mean * len(part)
            if done + len(part) < len(read) or len(facts) == limit or room <= 0:
                break
            done = 0
        erases = next((n for n, fact in enumerate(facts) if fact.type == ERASE), len(facts))
        return facts[: max(1, erases)] if erases < len(facts) else facts

    @property
    def place(self) -> tuple[str, int]:
        """Of the next fact: its log entry, and its number in that."""
        return self.pending[0][0], self.at.facts

    def advance(self, n: int, version: int) -> Checkpoint:
        """Leave ``n`` facts behind; answers the checkpoint after them, with the version of the active set there."""
        entry, done = self.at.entry, self.at.facts + n
        while self.pending and done >= len(self.pending[0][1]):
            entry, read, _ = self.pending.popleft()
            done -= len(read)
        return Checkpoint(entry, done, version)

    def trim(self, decided: Iterable[Contact]) -> None:
        """Forget the contacts just decided that hold a lot, and of the others those that were loaded longest ago."""
        for contact in decided:
            if contact.weight > CACHED_BYTES:
                self.cache.pop(contact.id, None)
        while len(self.cache) > CACHED:
            del self.cache[next(iter(self.cache))]
