"""Wakes contacts: when something of theirs is due, a ``$tick`` goes into the log. That only wakes: the step makes a
``$tick`` of its own for each instant that is due, and decides it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from overture.model import Fact, clock
from overture.state import keys
from overture.state.lease import Leases
from overture.state.log import appended
from overture.state.wire import Wire
from overture.worker.partition import Partition

PAUSE = 0.25  # seconds between two looks, where there was not more than enough
WOKEN = 256  # contacts of one partition at once; more when these are decided, so that facts are not kept waiting


class Waking:
    """Looks who is due in the partitions of one worker."""

    def __init__(self, wire: Wire, leases: Leases) -> None:
        self._wire = wire
        self._leases = leases

    async def look(self, parts: Iterable[Partition]) -> None:
        """Call it while no commit of these partitions is under way. Raises Fenced, StoreUnavailable."""
        time = asyncio.get_running_loop().time()
        ready = [part for part in parts if not part.ticks and part.look_at <= time]
        if ready:
            now = clock.now()
            await asyncio.gather(*(self._wake(part, now, time) for part in ready))

    async def _wake(self, part: Partition, now: int, time: float) -> None:
        """In one move out of the list and into the log: nobody is woken twice, and nobody is forgotten."""
        p = part.lease.partition
        flat = await self._wire.call("ZRANGE", keys.due(p), "-inf", now, "BYSCORE", "LIMIT", 0, WOKEN, "WITHSCORES")
        ids = [id.decode() for id in flat[::2]]
        if len(ids) < WOKEN:
            part.look_at = time + PAUSE
        if not ids:
            return
        dues = (int(float(due)) for due in flat[1::2])
        ticks = [Fact(f"tick:{due}", "$tick", id, due, now) for id, due in zip(ids, dues, strict=True)]
        await self._leases.commit(part.lease, [("ZREM", keys.due(p), *ids), *appended(p, ticks)])
        part.ticks = len(ticks)
