"""How often a message was opened or followed just now, and which links: who follows several at once is no person."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from overture.model.ids import digest, partition_of
from overture.state import keys
from overture.state.wire import Arg, Wire

KEPT_MS = 3_600_000
_COUNT = b"n"


class Seen(NamedTuple):
    """``times``: openings and clicks, this one among them; ``others``: when (ms) other links were last followed."""

    times: int
    others: list[int]


class Clicks:
    """Short-lived: an hour after the last opening or click nothing of a message is left here."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self._wire = wire
        self._partitions = partitions

    async def note(self, contact: str, message: str, url: str, now: int) -> Seen:
        """That a link of the message was followed, or the message opened, where ``url`` is empty.

        Raises StoreUnavailable.
        """
        key = keys.clicked(partition_of(contact, self._partitions), message)
        own = digest("link", url).hex().encode() if url else b""
        commands: list[tuple[Arg, ...]] = [("HSET", key, own, now)] if url else []
        commands += [("HINCRBY", key, _COUNT, 1), ("PEXPIRE", key, KEPT_MS), ("HGETALL", key)]
        # All are on their way before the first is answered: no key stays for ever where this process is killed between.
        *_, flat = await asyncio.gather(*(self._wire.call(*command) for command in commands))
        found = {flat[i]: int(flat[i + 1]) for i in range(0, len(flat), 2)}
        return Seen(found.pop(_COUNT), [at for link, at in found.items() if link != own])
