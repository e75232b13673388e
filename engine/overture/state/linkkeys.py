"""The keys that sign the links in messages. Several may be known: the one with the highest number signs."""

from __future__ import annotations

import os

from overture.state import keys
from overture.state.wire import Wire


class LinkKeys:
    """At hand in this process as of the last `refresh`. A key removed from the store takes its links with it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._known: dict[int, bytes] = {}

    async def refresh(self) -> None:
        """Read the keys; the first process ever makes the first one."""
        flat = await self._wire.call("HGETALL", keys.LINK_KEYS)
        if not flat:
            await self._wire.call("HSETNX", keys.LINK_KEYS, 1, os.urandom(32))
            flat = await self._wire.call("HGETALL", keys.LINK_KEYS)
        self._known = {int(flat[i]): flat[i + 1] for i in range(0, len(flat), 2)}

    def newest(self) -> tuple[int, bytes]:
        """Number and key that sign."""
        return max(self._known.items())

    def get(self, number: int) -> bytes | None:
        return self._known.get(number)
