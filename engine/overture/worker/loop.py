"""The worker: read facts → load contacts → decide → commit, for the partitions that this process leases.

Nothing here is worth keeping: whatever goes wrong, the partition is dropped and read again from its checkpoint.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from overture.decide import step
from overture.model import Contact, Fact, OvertureError, Step, StoreUnavailable, clock
from overture.state import contacts, keys, outbox
from overture.state.identity import forward_entries
from overture.state.lease import Command, Lease, Leases
from overture.state.log import Log, unpack
from overture.state.wire import Wire
from overture.worker.archivist import Archivist
from overture.worker.decisions import decision
from overture.worker.partition import RECOVERED, Checkpoint, Partition
from overture.worker.plans import Plans
from overture.worker.replies import Replies, publish

log = logging.getLogger("overture.worker")

BATCH = RECOVERED  # facts of one partition in one commit, at most
ENTRIES = 32  # log entries read at once per partition
BLOCK = 0.25  # seconds that a read waits for facts
SLICE = 64  # facts decided before other tasks of this process get a turn
KILLS = 2  # a fact at whose decision this many workers vanished goes to the dead letters


class Worker:
    """Decides the facts of the partitions leased by this process. ``wire``: commits; ``reader``: blocking reads."""

    def __init__(
        self,
        wire: Wire,
        reader: Wire,
        leases: Leases,
        plans: Plans,
        facts: Log,
        replies: Replies,
        archive: Path,
    ) -> None:
        self._wire = wire
        self._reader = reader
        self._leases = leases
        self._plans = plans
        self._log = facts
        self._replies = replies
        self._parts: dict[int, Partition] = {}
        self._archivist = Archivist(wire, leases, archive)
        self.on_messages: Callable[[], None] = lambda: None  # called when a commit has put messages into the outbox
        self._taking = asyncio.Lock()
        self._suspects: set[int] = set()  # partitions with a fact that could not be worked

    @property
    def healthy(self) -> bool:
        """Whether the leases could be renewed the last time."""
        return self._leases.healthy

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then finish the batch at hand and give the leases back."""
        keeper = asyncio.create_task(self._leases.keep(self._leased))
        archivist = asyncio.create_task(self._archivist.run(self._parts))
        try:
            while not stop.is_set():
                await self._guarded_round()
        finally:
            for task in (keeper, archivist):
                task.cancel()
            await asyncio.wait([keeper, archivist])
            self._archivist.close()
            try:
                await self._leases.give_back()
            except StoreUnavailable:
                log.warning("The leases could not be given back; they expire by themselves.")

    async def _guarded_round(self) -> None:
        try:
            parts = [part for p, part in self._parts.items() if p in self._leases.held]
            if not parts:
                await asyncio.sleep(BLOCK / 10)
                await self._take_held()
                return
            await self._read(parts)
            await self._decide([part for part in parts if part.pending])
        except (OvertureError, LookupError) as error:
            log.warning("The worker reads again from its checkpoints: %s", error)
            self._parts.clear()
            await asyncio.sleep(BLOCK)
        except Exception:
            # One of these facts is more than the step's own guard can hold. Taken again one by one, it shows itself.
            log.exception("A batch cannot be worked; its facts are taken again one by one")
            self._suspects |= set(self._parts)
            self._parts.clear()
            await asyncio.sleep(BLOCK)

    # --- leases ------------------------------------------------------------------------------------------------

    async def _leased(self, lost: list[int]) -> None:
        for p in lost:
            self._parts.pop(p, None)
        await self._take_held()

    async def _take_held(self) -> None:
        async with self._taking:
            for p, lease in list(self._leases.held.items()):
                part = self._parts.get(p)
                if part is None or part.lease.epoch != lease.epoch:
                    await self._take(lease)

    async def _take(self, lease: Lease) -> None:
        """Take up a partition where its checkpoint says."""
        p = lease.partition
        stored = (await self._wire.call("GET", keys.checkpoint(p)) or b"").decode()
        at = Checkpoint.parse(stored)
        plan = await self._plans.plan(at.version)
        await self._hand_on(lease)
        if self._leases.held.get(p) == lease:
            suspect = lease.taken_over or p in self._suspects
            self._suspects.discard(p)
            self._parts[p] = Partition(lease, stored, at, plan, RECOVERED if suspect else 0)

    # --- read --------------------------------------------------------------------------------------------------

    async def _read(self, parts: list[Partition]) -> None:
        """Wait for facts in any partition, unless some are at hand already."""
        idle = [part for part in parts if not part.pending]
        if not idle:
            return
        wait = () if len(idle) < len(parts) else ("BLOCK", int(BLOCK * 1000))
        streams = [keys.log(part.lease.partition) for part in idle]
        reply = await self._reader.call(
            "XREAD", *wait, "COUNT", ENTRIES, "STREAMS", *streams, *(part.read for part in idle), block=BLOCK
        )
        by_stream = dict(zip(streams, idle, strict=True))
        for stream, entries in reply or ():
            part = by_stream[stream.decode()]
            for id, fields in entries:
                part.read = id.decode()
                part.unarchived += len(fields[1])
                part.pending.append((part.read, unpack(fields)))

    # --- decide and commit -------------------------------------------------------------------------------------

    async def _decide(self, parts: list[Partition]) -> None:
        batches: list[tuple[Partition, list[Fact], Checkpoint, list[str], asyncio.Future[Any] | None]] = []
        for part in parts:
            if part.recovering:
                await self._recover(part)
                continue
            facts, after = part.take(BATCH)
            missing = list(dict.fromkeys(f.contact for f in facts if f.contact not in part.cache))
            p = part.lease.partition
            load = self._wire.call("MGET", *(keys.contact(p, id) for id in missing)) if missing else None
            batches.append((part, facts, after, missing, load))
        commits: list[tuple[Partition, asyncio.Future[bytes], list[Step], str, Checkpoint]] = []
        for part, facts, after, missing, load in batches:
            if load is not None:
                part.cache.update(contacts.unpack_states(missing, await load))
            steps, dead, version = await self._decide_facts(part, facts, part.at.version)
            after = Checkpoint(after.entry, after.facts, version)
            commits.append(self._send(part, steps, dead, after))
        answers = await asyncio.gather(*(reply for _, reply, *_ in commits), return_exceptions=True)
        for (part, _, steps, stored, after), answer in zip(commits, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            self._leases.confirm(part.lease, answer)
            await self._committed(part, steps, stored, after)

    async def _decide_facts(
        self, part: Partition, facts: list[Fact], version: int
    ) -> tuple[list[Step], list[Command], int]:
        """Decide in order; answers the steps, the commands for facts that nothing can decide, and the version after."""
        steps: list[Step] = []
        dead: list[Command] = []
        now = clock.now()
        for n, fact in enumerate(facts):
            if fact.type == "$activate":
                version = int(fact.properties["version"])
                part.plan = await self._plans.plan(version)
                continue
            contact = part.cache.get(fact.contact) or Contact(fact.contact)
            try:
                outcome = step(contact, fact, part.plan, now)
            except Exception as error:
                log.exception("Fact %s cannot be decided", fact.id)
                dead.append(_dead_letter(part.lease.partition, fact, f"{type(error).__name__}: {error}"))
                continue
            part.cache[fact.contact] = outcome.contact
            steps.append(outcome)
            if n % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        return steps, dead, version

    def _send(
        self, part: Partition, steps: list[Step], dead: list[Command], after: Checkpoint
    ) -> tuple[Partition, asyncio.Future[bytes], list[Step], str, Checkpoint]:
        p = part.lease.partition
        commands = contacts.write(p, steps)
        messages = [message for s in steps for message in s.messages]
        if messages:
            commands += outbox.enqueue(p, messages, clock.now())
        commands += dead
        if part.recovering:
            commands.append(("DEL", keys.tries(p)))
        awaited = [(s.trace.fact.reply, s) for s in steps if s.trace.fact.reply and not s.forwards]
        commands += publish((token, decision(s)) for token, s in awaited if not self._replies.is_own(token))
        commands.append(("HINCRBY", keys.counters(p), "decided", len(steps) + len(dead)))
        text = str(after)
        return part, self._leases.send(part.lease, commands, part.stored, text), steps, text, after

    async def _committed(self, part: Partition, steps: list[Step], stored: str, after: Checkpoint) -> None:
        part.stored, part.at = stored, after
        part.trim()
        if any(s.messages for s in steps):
            self.on_messages()
        for s in steps:
            if s.trace.fact.reply and not s.forwards:
                self._replies.settle(s.trace.fact.reply, decision(s))
        if any(s.forwards for s in steps):
            await self._hand_on(part.lease)

    async def _hand_on(self, lease: Lease) -> None:
        """Append forwarded facts to their contacts' logs, then strike them out; doing it twice takes effect once."""
        key = keys.forwards(lease.partition)
        while blobs := await self._wire.call("LRANGE", key, 0, 255):
            await self._log.append(forward_entries(map(contacts.unpack_fact, blobs)))
            await self._leases.commit(lease, [("LREM", key, 1, blob) for blob in blobs])

    # --- recovery ----------------------------------------------------------------------------------------------

    async def _recover(self, part: Partition) -> None:
        """The previous owner vanished: one of these facts may have killed it. One by one, by the reference matcher,
        with each attempt on record; what kills again goes to the dead letters."""
        p = part.lease.partition
        normal = part.plan
        part.plan = await self._plans.plan(part.at.version, "reference")
        for _ in range(min(SLICE, part.recovering)):
            facts, after = part.take(1)
            if not facts:
                break
            fact = facts[0]
            # An attempt counts once for each lease: a connection that breaks is no sign that this fact kills.
            _, begun = await asyncio.gather(
                self._wire.call("HSET", keys.tries(p), part.lease.epoch, 1), self._wire.call("HLEN", keys.tries(p))
            )
            if fact.contact not in part.cache and fact.contact:
                part.cache.update(await contacts.load(self._wire, p, [fact.contact]))
            if begun > KILLS:
                steps: list[Step] = []
                dead = [_dead_letter(p, fact, f"{KILLS} workers vanished while deciding it")]
                version = part.at.version
            else:
                steps, dead, version = await self._decide_facts(part, facts, part.at.version)
            after = Checkpoint(after.entry, after.facts, version)
            try:
                part, reply, steps, stored, after = self._send(part, steps, dead, after)
            except Exception as error:
                log.exception("What fact %s leads to cannot be stored", fact.id)
                del part.cache[fact.contact]
                dead = [_dead_letter(p, fact, f"{type(error).__name__}: {error}")]
                part, reply, steps, stored, after = self._send(part, [], dead, after)
            try:
                self._leases.confirm(part.lease, await reply)
            except OvertureError:  # still alive: whatever went wrong, this fact did not do it
                await self._wire.call("HDEL", keys.tries(p), part.lease.epoch)
                raise
            part.recovering -= 1
            await self._committed(part, steps, stored, after)
            if version != normal.version:
                normal = await self._plans.plan(version)
                part.plan = await self._plans.plan(version, "reference")
        part.plan = normal
        if not part.pending:
            part.recovering = 0


def _dead_letter(p: int, fact: Fact, reason: str) -> Command:
    return ("XADD", keys.dead(p), "*", "fact", contacts.encode(fact), "reason", reason[:1000])
