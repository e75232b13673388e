"""By how much the clock of a store has been put ahead: kept in the store, followed by each of its processes."""

from __future__ import annotations

from typing import Any

from overture.model import clock
from overture.state import keys
from overture.state.wire import Wire


class Ahead:
    """The store's clock as one reader follows it; ``seen`` is the last entry that it took in."""

    def __init__(self, wire: Wire) -> None:
        self.seen = "0"
        self._wire = wire

    async def load(self) -> int:
        """Put this process's clock where the store's is; answers by how many ms it is ahead."""
        self.take(await self._wire.call("XREVRANGE", keys.CLOCK, "+", "-", "COUNT", 1))
        return clock.ahead()

    async def put(self, ms: int) -> None:
        """Put the clock of all processes so far ahead. Raises StoreUnavailable: then it is where it was, or there."""
        await self._wire.call("XADD", keys.CLOCK, "MAXLEN", 1, "*", "ahead", ms)
        clock.put_ahead(ms)

    async def follow(self, seconds: float) -> bool:
        """Wait until the clock is put ahead, at most ``seconds``; whether it was. The connection is taken so long."""
        found = await self._wire.call(
            "XREAD", "BLOCK", int(seconds * 1000), "STREAMS", keys.CLOCK, self.seen, block=seconds
        )
        for _, entries in found or ():
            self.take(entries)
        return bool(found)

    def take(self, entries: list[Any]) -> None:
        """Take in what was read of the stream."""
        for id, fields in entries:
            self.seen = id.decode()
            clock.put_ahead(int(fields[1]))
