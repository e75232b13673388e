"""The worker: wake who is due → read facts → load contacts → decide → commit, for the partitions that it leases.

Nothing here is worth keeping: whatever goes wrong, the partition is dropped and read again from its checkpoint.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from overture.model import Fact, OvertureError, Refused, StoreUnavailable
from overture.model.effects import Step
from overture.state import contacts, keys
from overture.state.ahead import Ahead
from overture.state.checkpoint import Checkpoint
from overture.state.lease import Lease, Leases
from overture.state.ledger import chain_of
from overture.state.log import Log, unpack
from overture.state.wire import Wire
from overture.worker.archivist import Archivist
from overture.worker.asking import RunScripts, run_none
from overture.worker.batch import Batch, decide_batch
from overture.worker.commit import Committer
from overture.worker.partition import RECOVERED, Partition
from overture.worker.plans import Plans
from overture.worker.recovery import Recovery
from overture.worker.replies import Replies
from overture.worker.sweeping import Sweeper
from overture.worker.waking import Waking

log = logging.getLogger("overture.worker")

ENTRIES = 32  # log entries read at once per partition
BLOCK = 0.25  # seconds that a read waits for facts


class Worker:
    """Decides the facts of the partitions leased by this process. ``wire``: commits; ``reader``: blocking reads;
    ``run``: has scripts called.
    """

    def __init__(
        self,
        wire: Wire,
        reader: Wire,
        leases: Leases,
        plans: Plans,
        facts: Log,
        replies: Replies,
        archive: Path,
        run: RunScripts = run_none,
    ) -> None:
        self._wire = wire
        self._reader = reader
        self._leases = leases
        self._plans = plans
        self._committer = Committer(wire, leases, facts, replies)
        self._waking = Waking(wire, leases)
        self._ahead = Ahead(wire)
        self._run = run
        self._recovery = Recovery(wire, plans, self._committer, run)
        self._parts: dict[int, Partition] = {}
        self._archivist = Archivist(wire, leases, archive)
        self._sweeper = Sweeper(wire, leases, plans, archive, facts.partitions)
        self._taking = asyncio.Lock()
        self._suspects: set[int] = set()  # partitions with a fact that could not be worked
        self._refusals: dict[int, str] = {}  # why partitions stand still: no plan can be made of their set of rulesets

    def tell_of_messages(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called when a commit has put messages into the outbox."""
        self._committer.on_messages = wake

    def tell_of_decisions(self, told: Callable[[Sequence[Step]], None]) -> None:
        """Have ``told`` called with what a commit has put on record."""
        self._committer.on_decided = told

    @property
    def healthy(self) -> bool:
        """Whether the leases could be renewed the last time."""
        return self._leases.healthy

    def holds(self, p: int) -> bool:
        """Whether the lease of a partition is this process's."""
        return p in self._leases.held

    @property
    def refusal(self) -> str:
        """Why a partition stands still, with the ruleset that this version refuses; empty if none does."""
        return next((why for p, why in self._refusals.items() if p in self._leases.held), "")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then finish the batch at hand and give the leases back."""
        keeper = asyncio.create_task(self._leases.keep(self._leased))
        beside = [
            asyncio.create_task(self._archivist.run(self._parts)),
            asyncio.create_task(self._sweeper.run(self._parts)),
        ]
        try:
            while not stop.is_set():
                await self._guarded_round()
        finally:
            for task in (keeper, *beside):
                task.cancel()
            await asyncio.wait([keeper, *beside])
            self._archivist.close()
            try:
                await self._leases.give_back()
            except StoreUnavailable:
                log.warning("The leases could not be given back; they expire by themselves.")

    async def _guarded_round(self) -> None:
        try:
            parts = [part for p, part in self._parts.items() if p in self._leases.held]
            if not parts:
                await asyncio.sleep(BLOCK if self._refusals else BLOCK / 10)
                await self._take_held()
                return
            await self._waking.look(parts)
            await self._read(parts)
            await self._work([part for part in parts if part.pending])
        except OvertureError as error:
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
                    try:
                        await self._take(lease)
                    except Refused as error:
                        self._stand_still(p, error)

    def _stand_still(self, p: int, error: Refused) -> None:
        """Decide nothing of a partition for now; its lease is kept, and it is taken up again and again."""
        self._parts.pop(p, None)
        if self._refusals.get(p) != str(error):
            log.error("Partition %d stands still: %s", p, error)
        self._refusals[p] = str(error)

    async def _take(self, lease: Lease) -> None:
        """Take up a partition where its checkpoint says."""
        p = lease.partition
        stored = (await self._wire.call("GET", keys.checkpoint(p)) or b"").decode()
        at = Checkpoint.parse(stored)
        # After the checkpoint: a commit under way that adds links moves that too, so it cannot be missed.
        chain = await chain_of(self._wire, p)
        plan = await self._plans.plan(at.version)
        await self._committer.hand_on(lease)
        if self._leases.held.get(p) == lease:
            suspect = lease.taken_over or p in self._suspects
            self._suspects.discard(p)
            self._parts[p] = Partition(lease, stored, at, plan, RECOVERED if suspect else 0, chain=chain)

    # --- read --------------------------------------------------------------------------------------------------

    async def _read(self, parts: list[Partition]) -> None:
        """Wait for facts in any partition, unless some are at hand already; and until the clock is put ahead."""
        idle = [part for part in parts if not part.pending]
        if not idle:
            return
        wait = () if len(idle) < len(parts) else ("BLOCK", int(BLOCK * 1000))
        streams = [keys.log(part.lease.partition) for part in idle]
        after = [part.read for part in idle]
        reply = await self._reader.call(
            "XREAD", *wait, "COUNT", ENTRIES, "STREAMS", *streams, keys.CLOCK, *after, self._ahead.seen, block=BLOCK
        )
        by_stream = dict(zip(streams, idle, strict=True))
        for stream, entries in reply or ():
            part = by_stream.get(stream.decode())
            if part is None:
                self._ahead.take(entries)
                for each in parts:
                    each.look_at = 0.0  # who is due by the new time
                continue
            for id, fields in entries:
                part.read = id.decode()
                part.unarchived += len(fields[1])
                part.pending.append((part.read, unpack(fields), len(fields[1])))

    # --- decide and commit -------------------------------------------------------------------------------------

    async def _work(self, parts: list[Partition]) -> None:
        """Load what is missing, decide, commit: each for all partitions at once."""
        loads: list[tuple[Partition, list[Fact], list[str], asyncio.Future[Any] | None]] = []
        for part in parts:
            if part.recovering:
                try:
                    await self._recovery.go_on(part)
                except Refused as error:
                    self._stand_still(part.lease.partition, error)
                continue
            facts = part.ahead(part.limit)
            missing = list(dict.fromkeys(f.contact for f in facts if f.contact not in part.cache))
            p = part.lease.partition
            load = self._wire.call("MGET", *(keys.contact(p, id) for id in missing)) if missing else None
            loads.append((part, facts, missing, load))
        commits: list[tuple[Batch, asyncio.Future[bytes]]] = []
        for part, facts, missing, load in loads:
            if load is not None:
                part.cache.update(contacts.unpack_states(missing, await load))
            try:
                batch = await decide_batch(part, facts, self._plans, self._run)
            except Refused as error:
                self._stand_still(part.lease.partition, error)
                continue
            commits.append((batch, self._committer.send(batch, await self._committer.complete(batch))))
        answers = await asyncio.gather(*(reply for _, reply in commits), return_exceptions=True)
        for (batch, _), answer in zip(commits, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            await self._committer.settle(batch, answer)
            self._refusals.pop(batch.part.lease.partition, None)
