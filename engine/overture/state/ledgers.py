"""Reading the consent ledger, from any process: one contact's part of it, and whether the chains are whole."""

from __future__ import annotations

import msgspec

from overture.model.ids import partition_of
from overture.state import keys
from overture.state.ledger import (
    MERGE,
    START,
    Detail,
    Link,
    Standing,
    detail_digest,
    purpose_key,
    reference,
    unpack_head,
)
from overture.state.wire import Wire

PAGE = 500  # links read at once

_link = msgspec.msgpack.Decoder(Link)
_detail = msgspec.msgpack.Decoder(Detail)
_standing = msgspec.msgpack.Decoder(Standing)


class Walk(msgspec.Struct):
    """One chain, as far as it was walked: ``broken`` is the number of the first link that does not fit, and ``why``."""

    partition: int
    links: int = 0
    erased: int = 0  # of them, those whose details are gone
    head: str = ""
    broken: int | None = None
    why: str = ""


class Ledgers:
    """The chains of all partitions."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self._wire = wire
        self.partitions = partitions

    def partition(self, contact: str) -> int:
        return partition_of(contact, self.partitions)

    async def standing(self, contact: str, channel: str, purpose: str) -> Standing | None:
        """The newest link about this purpose; None where nothing was recorded."""
        key = keys.standing(self.partition(contact), contact)
        blob = await self._wire.call("HGET", key, purpose_key(channel, purpose))
        return _standing.decode(blob) if blob else None

    async def history(self, contact: str) -> list[tuple[str, Link, Detail]]:
        """Reference, link and detail of everything about a contact and those that were merged into it, oldest first."""
        found: list[tuple[str, Link, Detail]] = []
        waiting, seen = [contact], {contact}
        while waiting:
            own = await self._of(waiting.pop())
            found += own
            merged = dict.fromkeys(detail.cause for _, _, detail in own if detail.source == MERGE)
            waiting += (name for name in merged if name not in seen)
            seen.update(merged)
        found.sort(key=lambda each: each[1].recorded_at)
        return found

    async def _of(self, contact: str) -> list[tuple[str, Link, Detail]]:
        p = self.partition(contact)
        numbers = [int(n) for n in await self._wire.call("LRANGE", keys.ledger_of(p, contact), 0, -1)]
        if not numbers:
            return []
        links = [self._wire.call("LINDEX", keys.ledger(p), n - 1) for n in numbers]
        details = await self._wire.call("HMGET", keys.ledger_details(p), *numbers)
        blobs = [await link for link in links]
        pairs = [(_link.decode(a), _detail.decode(b)) for a, b in zip(blobs, details, strict=True) if a and b]
        return [(reference(p, link.n, link.hash), link, detail) for link, detail in pairs]

    async def walk(self, p: int) -> Walk:
        """Every link of one chain, up to where it ended when the walk began."""
        n, end = unpack_head(await self._wire.call("GET", keys.ledger_head(p)))
        walk = Walk(p, head=reference(p, n, end) if n else "")
        hash = START
        while walk.links < n and walk.broken is None:
            first = walk.links
            blobs = await self._wire.call("LRANGE", keys.ledger(p), first, min(first + PAGE, n) - 1)
            if not blobs:
                walk.broken, walk.why = first + 1, "it is missing, and the chain once was longer"
                break
            numbers = range(first + 1, first + 1 + len(blobs))
            details = await self._wire.call("HMGET", keys.ledger_details(p), *numbers)
            for number, blob, detail in zip(numbers, blobs, details, strict=True):
                try:
                    link = _link.decode(blob)
                except msgspec.DecodeError:
                    walk.broken, walk.why = number, "it cannot be read"
                    break
                hash = link.hashed(hash)
                if why := _wrong(link, number, hash, detail):
                    walk.broken, walk.why = number, why
                    break
                walk.links += 1
                walk.erased += detail is None
        if walk.broken is None and hash != end:
            walk.broken, walk.why = n, "it is not the link with which the chain ended"
        return walk


def _wrong(link: Link, number: int, hash: bytes, detail: bytes | None) -> str:
    if link.n != number:
        return f"the link numbered {link.n} stands in its place"
    if link.hash != hash:
        return "it does not follow from the links before it"
    if detail is not None and link.detail != detail_digest(detail):
        return "its details are not those that were recorded"
    return ""
