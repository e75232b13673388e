"""Which links of a message were followed just now: who follows several at once is no person."""

from __future__ import annotations

from overture.model.ids import digest, partition_of
from overture.state import keys
from overture.state.wire import Wire

KEPT_MS = 3_600_000


class Clicks:
    """Short-lived: an hour after the last click nothing of a message is left here."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self._wire = wire
        self._partitions = partitions

    async def others(self, contact: str, message: str, url: str, now: int) -> list[int]:
        """When (ms) other links of the message were last followed; this click is noted."""
        key, own = keys.clicked(partition_of(contact, self._partitions), message), digest("link", url).hex().encode()
        await self._wire.call("HSET", key, own, now)
        await self._wire.call("PEXPIRE", key, KEPT_MS)
        flat = await self._wire.call("HGETALL", key)
        return [int(flat[i + 1]) for i in range(0, len(flat), 2) if flat[i] != own]
