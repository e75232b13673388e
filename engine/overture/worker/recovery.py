"""After a worker vanished: one of the facts it had at hand may have killed it.

They are decided one by one, by the reference matcher, with each attempt on record. What kills again is set aside; so is
what cannot be stored.
"""

from __future__ import annotations

import asyncio
import logging

from overture.model import Fact, OvertureError
from overture.model.errors import describe
from overture.state import contacts, keys
from overture.state.wire import Wire
from overture.worker.asking import RunScripts
from overture.worker.batch import SLICE, Batch, decide_batch
from overture.worker.commit import Committer
from overture.worker.partition import Partition
from overture.worker.plans import Plans

log = logging.getLogger("overture.worker")

KILLS = 2  # a fact at whose decision this many recovering workers vanished goes to the dead letters
NEEDED = ("$activate", "$erase", "$link", "$merge")  # facts of ours that must be decided, whatever happens


class Recovery:
    """Decides facts one by one where that is safer."""

    def __init__(self, wire: Wire, plans: Plans, committer: Committer, run: RunScripts) -> None:
        self._run = run
        self._wire = wire
        self._plans = plans
        self._committer = committer

    async def go_on(self, part: Partition) -> None:
        """Decide some of the facts that the partition has read; when it is through, the usual plan is back."""
        part.plan = await self._plans.plan(part.at.version, "reference")
        for _ in range(min(SLICE, part.recovering)):
            facts = part.ahead(1)
            if not facts:
                break
            await self._decide_one(part, facts[0])
            part.recovering -= 1
        if not part.pending:
            part.recovering = 0
        part.plan = await self._plans.plan(part.at.version)

    async def _decide_one(self, part: Partition, fact: Fact) -> None:
        tries = keys.tries(part.lease.partition)
        # An attempt counts once for each lease: a connection that breaks is no sign that this fact kills.
        _, begun = await asyncio.gather(
            self._wire.call("HSET", tries, part.lease.epoch, 1), self._wire.call("HLEN", tries)
        )
        if fact.contact and fact.contact not in part.cache:
            part.cache.update(await contacts.load(self._wire, part.lease.partition, [fact.contact]))
        try:
            if begun > KILLS and not fact.type.startswith(NEEDED):
                log.error("Fact %s is set aside: %d workers vanished while deciding it", fact.id, KILLS)
                batch = Batch(part, part.advance(1, part.at.version))
                batch.set_aside(fact, f"{KILLS} workers vanished while deciding it")
            else:
                batch = await decide_batch(part, [fact], self._plans, self._run)
            batch, answer = await self._send(batch, fact)
            await self._committer.settle(batch, answer)
        except OvertureError:  # still alive: whatever went wrong, this fact did not do it
            await self._wire.call("HDEL", tries, part.lease.epoch)
            raise

    async def _send(self, batch: Batch, fact: Fact) -> tuple[Batch, bytes]:
        """What was committed: the batch, or one that sets the fact aside."""
        try:
            return batch, await self._committer.send(batch, await self._committer.complete(batch))
        except OvertureError:
            raise
        except Exception as error:
            log.exception("What fact %s leads to cannot be stored", fact.id)
            batch.part.cache.pop(fact.contact, None)
            aside = Batch(batch.part, batch.after)
            aside.set_aside(fact, describe(error))
            return aside, await self._committer.send(aside)
