"""The fact log: append with dedupe, durable before the answer; read in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import IntEnum
from hashlib import blake2b
from typing import Any

import msgspec

from overture.model import Fact
from overture.model.ids import partition_of
from overture.state import keys, scripts
from overture.state.lease import Command
from overture.state.wire import Wire

DEDUPE_MS = 7 * 86_400_000  # an id is remembered for at least this long, at most twice
ENTRY_FACTS = 256  # facts in one log entry at most
ENTRY_BYTES = 1 << 20

_pack = msgspec.msgpack.Encoder()
_canonical = msgspec.msgpack.Encoder(order="sorted")
_facts = msgspec.msgpack.Decoder(list[Fact])


class Taken(IntEnum):
    """What became of an appended fact."""

    ACCEPTED = 0
    DUPLICATE = 1  # the same fact has been accepted before
    CONFLICT = 2  # another fact has been accepted under this id


class Entry(msgspec.Struct, frozen=True):
    """A fact on its way into the log. ``key``: 12 bytes of dedupe key, empty for none; ``body``: 4 bytes."""

    fact: Fact
    key: bytes = b""
    body: bytes = b""
    elsewhere: tuple[str, ...] = ()  # contacts whose partitions may have taken the same fact before a merge


def dedupe_key(contact: str, id: str) -> bytes:
    """Of the contact that decides it: a fact posted to it and the same one handed on to it take effect once."""
    return blake2b(f"{len(contact)} {contact}{id}".encode(), digest_size=12).digest()


def body_digest(*body: Any) -> bytes:
    """4 bytes of what the sender said, independent of the order of keys."""
    return blake2b(_canonical.encode(body), digest_size=4).digest()


class Log:
    """Appends facts to their partitions' logs; callers in one turn of the loop share one entry per partition."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self.partitions = partitions
        self._wire = wire
        self._accept = wire.script(scripts.ACCEPT)
        self._seen = wire.script(scripts.SEEN)
        self._queues: list[list[tuple[Entry, asyncio.Future[Taken]]]] = [[] for _ in range(partitions)]
        self._dirty: list[int] = []
        self._loop = asyncio.get_running_loop()

    async def append(self, entries: Sequence[Entry]) -> list[Taken]:
        """Append; answers when all is on disk, in order. Raises StoreUnavailable: effect unknown, try again."""
        if len(entries) == 1 and not entries[0].elsewhere:
            return [await self._put(entries[0])]
        moved = [i for i, entry in enumerate(entries) if entry.elsewhere]
        earlier = await asyncio.gather(*(self._taken_elsewhere(entries[i]) for i in moved))
        known = dict(zip(moved, earlier, strict=True))
        answers = [known.get(i) or self._put(entry) for i, entry in enumerate(entries)]
        return [answer if isinstance(answer, Taken) else await answer for answer in answers]

    async def _taken_elsewhere(self, entry: Entry) -> Taken | None:
        """A fact sent again after its contact became known would go to another partition: look where it went first."""
        if not entry.key:
            return None
        for contact in entry.elsewhere:
            p = partition_of(contact, self.partitions)
            key = dedupe_key(contact, entry.fact.id)
            body = await self._seen.call([keys.seen(p)], [DEDUPE_MS, key])
            if body is not None:
                return Taken.DUPLICATE if body == entry.body else Taken.CONFLICT
        return None

    def _put(self, entry: Entry) -> asyncio.Future[Taken]:
        future: asyncio.Future[Taken] = self._loop.create_future()
        p = partition_of(entry.fact.contact, self.partitions)
        queue = self._queues[p]
        if not queue:
            if not self._dirty:
                self._loop.call_soon(self._flush)
            self._dirty.append(p)
        queue.append((entry, future))
        return future

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for p in dirty:
            queue, self._queues[p] = self._queues[p], []
            while queue:
                queue = self._send(p, queue)

    def _send(
        self, p: int, queue: list[tuple[Entry, asyncio.Future[Taken]]]
    ) -> list[tuple[Entry, asyncio.Future[Taken]]]:
        """Send as many as fit into one log entry; the rest is answered back."""
        args: list[bytes | int] = [DEDUPE_MS]
        size = n = 0
        for entry, _ in queue:
            blob = _pack.encode(entry.fact)
            size += len(blob)
            if n == ENTRY_FACTS or (n and size > ENTRY_BYTES):
                break
            args += (entry.key, entry.body, blob)
            n += 1
        sent, rest = queue[:n], queue[n:]
        call = self._accept.call([keys.log(p), keys.seen(p), keys.counters(p)], args)
        call.add_done_callback(lambda reply: _settle(sent, reply))
        return rest


def _settle(sent: list[tuple[Entry, asyncio.Future[Taken]]], reply: asyncio.Future[Any]) -> None:
    error = reply.exception() if not reply.cancelled() else asyncio.CancelledError()
    for i, (_, future) in enumerate(sent):
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(Taken(reply.result()[i]))


def unpack(entry: list[bytes]) -> list[Fact]:
    """The facts of one log entry as XRANGE or XREAD gives its fields: ``[b"f", array]``."""
    return _facts.decode(entry[1])


def pack_entry(facts: Sequence[Fact]) -> bytes:
    """A log entry's value."""
    return _pack.encode(list(facts))


def appended(p: int, facts: Sequence[Fact]) -> list[Command]:
    """The commands of a commit that put facts into a partition's log, in as many entries as they need."""
    commands: list[Command] = []
    entry: list[Fact] = []
    size = 0
    for fact in facts:
        length = len(_pack.encode(fact)) if len(facts) > 1 else 0
        if entry and size + length > ENTRY_BYTES:
            commands.append(("XADD", keys.log(p), "*", "f", pack_entry(entry)))
            entry, size = [], 0
        entry.append(fact)
        size += length
    if entry:
        commands.append(("XADD", keys.log(p), "*", "f", pack_entry(entry)))
        commands.append(("HINCRBY", keys.counters(p), "accepted", len(facts)))
    return commands
