"""Messages that are kept for their contacts, who read them from the server: each once, the oldest make room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from overture.model.ids import partition_of
from overture.state import keys, scripts
from overture.state.wire import Arg, Wire

_encode = msgspec.msgpack.Encoder().encode


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A message as it was rendered. ``contact``: for whom it was decided; ``kept_at`` in ms."""

    message: str
    contact: str
    title: str
    text: str
    html: str
    data: dict[str, Any]
    purpose: str
    kept_at: int


@dataclass(frozen=True, slots=True)
class Entry:
    """``place`` grows with each message of an inbox. ``read_at`` in ms, 0 while it is unread."""

    place: int
    kept: Kept
    read_at: int


_decode = msgspec.msgpack.Decoder(Kept).decode


class Inboxes:
    """Asked from any process."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self._wire = wire
        self._partitions = partitions
        self._put = wire.script(scripts.KEEP)
        self._mark = wire.script(scripts.MARK)

    async def put(self, contact: str, kept: Kept, most: int, for_ms: int) -> bool:
        """Keep a message, once for its id; at most ``most`` of a contact, each for so long. False for a contact that is
        about to be erased.
        """
        p = partition_of(contact, self._partitions)
        args: list[Arg] = [contact, kept.message, _encode(kept), kept.kept_at, most, for_ms, keys.KEPT]
        return bool(await self._put.call([*self._keys(contact), keys.leaving(p)], args))

    async def after(self, contact: str, place: int, limit: int) -> list[Entry]:
        """What came after a place, oldest first."""
        return await self._read(contact, ("ZRANGEBYSCORE", f"({place}", "+inf"), limit)

    async def before(self, contact: str, place: int | None, limit: int) -> list[Entry]:
        """Newest first, all of them below a place."""
        below = "+inf" if place is None else f"({place}"
        return await self._read(contact, ("ZREVRANGEBYSCORE", below, "-inf"), limit)

    async def one(self, contact: str, message: str) -> Entry | None:
        places, items, reads = self._keys(contact)
        place = await self._wire.call("ZSCORE", places, message)
        blob = await self._wire.call("HGET", items, message)
        if place is None or blob is None:
            return None
        return Entry(int(place), _decode(blob), int(await self._wire.call("HGET", reads, message) or 0))

    async def unread(self, contact: str) -> int:
        """How many there are that were not read."""
        places, _, reads = self._keys(contact)
        return max(0, await self._wire.call("ZCARD", places) - await self._wire.call("HLEN", reads))

    async def mark(self, contact: str, message: str, now: int) -> bool:
        """A message was read; what is noted already stays. False where there is none."""
        return bool(await self._mark.call(self._keys(contact), [message, now]))

    async def _read(self, contact: str, command: tuple[str, str, str], limit: int) -> list[Entry]:
        places, items, reads = self._keys(contact)
        name, first, last = command
        flat = await self._wire.call(name, places, first, last, "WITHSCORES", "LIMIT", 0, limit)
        if not flat:
            return []
        blobs = await self._wire.call("HMGET", items, *flat[::2])
        marks = await self._wire.call("HMGET", reads, *flat[::2])
        found = zip(flat[1::2], blobs, marks, strict=True)
        return [Entry(int(place), _decode(blob), int(mark or 0)) for place, blob, mark in found if blob]

    def _keys(self, contact: str) -> list[Arg]:
        p = partition_of(contact, self._partitions)
        return [key(p, contact) for key in keys.INBOX]
