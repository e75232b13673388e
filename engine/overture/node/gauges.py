"""How far the workers are behind, read from the store's own counters: the same numbers in every process."""

from __future__ import annotations

import asyncio
import contextlib

from overture.model import OvertureError
from overture.state import keys
from overture.state.wire import Wire

PAUSE = 0.25  # seconds


class Gauges:
    """``accepted`` and ``decided`` facts since the store was made; ``lag`` is what is still to be decided."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self._wire = wire
        self._partitions = partitions
        self.accepted = 0
        self.decided = 0
        self._on_their_way = 0  # handed on by one contact, not yet in the log of the other

    @property
    def lag(self) -> int:
        return max(0, self.accepted + self._on_their_way - self.decided)

    async def refresh(self) -> None:
        """Read the counters now."""
        counters = [self._wire.call("HMGET", keys.counters(p), "accepted", "decided") for p in range(self._partitions)]
        forwards = [self._wire.call("LLEN", keys.forwards(p)) for p in range(self._partitions)]
        rows = await asyncio.gather(*counters)
        self._on_their_way = sum(await asyncio.gather(*forwards))
        self.accepted = sum(int(accepted or 0) for accepted, _ in rows)
        self.decided = sum(int(decided or 0) for _, decided in rows)

    async def run(self) -> None:
        while True:
            with contextlib.suppress(OvertureError):  # /readyz says so; the numbers stay as they were
                await self.refresh()
            await asyncio.sleep(PAUSE)
