"""From a decided batch to the store, and what follows once it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from overture.model import Fact, clock
from overture.model.effects import Step
from overture.state import choices, contacts, examples, funnel, keys, ledger, outbox, positions, samples
from overture.state.funnel import Cell
from overture.state.identity import forward_entries, namesake_entries
from overture.state.lease import Command, Lease, Leases
from overture.state.log import Log, Taken
from overture.state.purge import purge
from overture.state.wire import Wire
from overture.worker.batch import Batch
from overture.worker.replies import Replies, publish

HANDED = 64  # forwarded facts at once: each may be a whole contact


class Committer:
    """Commits batches of the partitions that ``leases`` holds."""

    def __init__(self, wire: Wire, leases: Leases, facts: Log, replies: Replies) -> None:
        self._wire = wire
        self._leases = leases
        self._log = facts
        self._replies = replies
        self.on_messages: Callable[[], None] = lambda: None  # called when a commit has put messages into the outbox
        self.on_decided: Callable[[Sequence[Step]], None] = lambda steps: None  # called with what is on record now

    async def complete(self, batch: Batch) -> list[Command]:
        """What `send` is to commit besides, where a contact is erased. Raises StoreUnavailable."""
        if (erased := batch.erased) is None:
            return []
        part = batch.part
        made = await purge(
            self._wire, part.lease.partition, erased.before, erased.step, erased.place, part.chain.secret
        )
        for message in (delivery.message for delivery in made.withdrawn):
            if message.journey:
                cell = Cell(message.journey, message.revision, "suppressed", message.step, detail="contact.unknown")
                batch.funnels[cell] += 1
        return made.commands

    def send(self, batch: Batch, besides: Sequence[Command] = ()) -> asyncio.Future[bytes]:
        """Ask for the commit; hand the answer to `settle`. Raises what encoding raises: then nothing was sent."""
        part = batch.part
        p = part.lease.partition
        commands = contacts.write(p, batch.steps) + list(besides)
        messages = [message for step in batch.steps for message in step.messages]
        records = [record for step in batch.steps for record in step.records]
        if messages or records:
            now = clock.now()
            # Nothing that has passed the gate comes back to it.
            commands += outbox.show(p, records, now) + outbox.enqueue(p, messages, now)
        consents, batch.chain = ledger.write(p, part.chain, batch.steps)
        commands += consents
        commands += samples.write(p, batch.steps, batch.near)
        commands += positions.counted(p, batch.positions)
        commands += funnel.counted(p, batch.funnels)
        commands += choices.counted(p, batch.choices)
        commands += examples.counted(p, batch.steps)
        commands += (_dead_letter(p, fact, reason) for fact, reason in batch.dead)
        if part.recovering:
            commands.append(("DEL", keys.tries(p)))
        commands += publish((token, told) for token, told in batch.answers if not self._replies.is_own(token))
        commands.append(("HINCRBY", keys.counters(p), "decided", len(batch.steps) + len(batch.dead)))
        return self._leases.send(part.lease, commands, part.stored, str(batch.after))

    async def settle(self, batch: Batch, answer: bytes) -> None:
        """Take note of a commit. Raises Fenced if it did not take place."""
        part = batch.part
        self._leases.confirm(part.lease, answer)
        part.stored, part.at, part.chain = str(batch.after), batch.after, batch.chain
        part.erased += batch.erased is not None
        if part.ticks:
            part.ticks = max(0, part.ticks - sum(fact.type == "$tick" for fact in batch.facts))
        if part.programs:
            part.programs = max(0, part.programs - sum(fact.type == "$program" for fact in batch.facts))
        part.trim(step.contact for step in batch.steps)
        self.on_decided(batch.steps)
        if any(step.messages for step in batch.steps):
            self.on_messages()
        for token, told in batch.answers:
            self._replies.settle(token, told)
        if any(step.forwards for step in batch.steps):
            await self.hand_on(part.lease)

    async def hand_on(self, lease: Lease) -> None:
        """Append forwarded facts to their contacts' logs, then strike them out; doing it twice takes effect once."""
        key = keys.forwards(lease.partition)
        while blobs := await self._wire.call("LRANGE", key, 0, HANDED - 1):
            facts = [contacts.unpack_fact(blob) for blob in blobs]
            taken = await self._log.append(forward_entries(facts))
            namesakes = [fact for fact, status in zip(facts, taken, strict=True) if status is Taken.CONFLICT]
            if namesakes:
                await self._log.append(namesake_entries(namesakes))
            await self._leases.commit(lease, [("LREM", key, 1, blob) for blob in blobs])


def _dead_letter(p: int, fact: Fact, reason: str) -> Command:
    return ("XADD", keys.dead(p), "*", "fact", contacts.encode(fact), "reason", reason[:1000])
