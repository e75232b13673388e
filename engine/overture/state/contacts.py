"""Contacts and their timelines: read, and written as commands of a commit."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from overture.model import Contact, Fact, Step, Trace
from overture.model.ids import partition_of
from overture.state import keys
from overture.state.lease import Command
from overture.state.wire import Wire

TIMELINE = 200  # decided facts kept per contact for its timeline
TRIM_EVERY = 16  # trim a timeline once in so many facts rather than at each

encode = msgspec.msgpack.Encoder().encode
_contact = msgspec.msgpack.Decoder(Contact)
_trace = msgspec.msgpack.Decoder(Trace)
_fact = msgspec.msgpack.Decoder(Fact)


async def load(wire: Wire, p: int, ids: list[str]) -> dict[str, Contact]:
    """The states of contacts of one partition; one that is unknown is a new one."""
    return unpack_states(ids, await wire.call("MGET", *(keys.contact(p, id) for id in ids)))


def unpack_states(ids: list[str], blobs: list[bytes | None]) -> dict[str, Contact]:
    """States as MGET gives them; one that is unknown is a new one."""
    return {id: _contact.decode(blob) if blob else Contact(id) for id, blob in zip(ids, blobs, strict=True)}


def write(p: int, steps: Iterable[Step]) -> list[Command]:
    """The commands that store the outcome of steps, in their order: states, timelines, rankings, forwards."""
    states: dict[str, Contact] = {}
    traces: dict[str, list[Trace]] = {}
    ranks: dict[str, dict[str, float | None]] = {}
    memberships: dict[str, dict[str, None]] = {}
    wakes: dict[str, float | None] = {}
    made: list[str] = []
    forwards: list[bytes] = []
    for step in steps:
        if not step.kept:
            continue
        contact = step.contact
        states[contact.id] = contact
        if moments := step.moments:
            traces.setdefault(contact.id, []).extend(moments)
        if step.made:
            made.append(contact.id)
        if step.wakes:
            wakes[contact.id] = contact.wake or None
        for name, place in step.scores.items():
            ranks.setdefault(name, {})[contact.id] = place
        for name in step.segments:
            memberships.setdefault(name, {})[contact.id] = None
        forwards += map(encode, step.forwards)
    commands: list[Command] = []
    pairs = [word for id, contact in states.items() for word in (keys.contact(p, id), encode(contact))]
    commands += (("MSET", *pairs[i : i + 2000]) for i in range(0, len(pairs), 2000))
    for id, items in traces.items():
        key = keys.timeline(p, id)
        commands.append(("LPUSH", key, *map(encode, items[-TIMELINE:])))
        if any(trace.seq % TRIM_EVERY == 0 for trace in items):
            commands.append(("LTRIM", key, 0, TIMELINE - 1))
    for name, places in ranks.items():
        commands += _rank(keys.score(p, name), places)
    commands += _rank(keys.due(p), wakes)
    commands += _rank(keys.known(p), dict.fromkeys(made, 0))
    for name, ids in memberships.items():
        commands += _rank(keys.segment(p, name), {id: 0 if name in states[id].segments else None for id in ids})
    if forwards:
        commands.append(("RPUSH", keys.forwards(p), *forwards))
    return commands


def _rank(key: str, values: dict[str, float | None]) -> list[Command]:
    """Put contacts in their places in a zset; None: take them out."""
    add = [word for id, value in values.items() if value is not None for word in (value, id)]
    remove = [id for id, value in values.items() if value is None]
    commands: list[Command] = []
    if add:
        commands.append(("ZADD", key, *add))
    if remove:
        commands.append(("ZREM", key, *remove))
    return commands


def unpack_fact(blob: bytes) -> Fact:
    return _fact.decode(blob)


class Contacts:
    """Reading contacts by id, from any process."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self._wire = wire
        self._partitions = partitions

    async def get(self, id: str) -> Contact | None:
        """The contact's committed state, None if there is none."""
        blob = await self._wire.call("GET", keys.contact(partition_of(id, self._partitions), id))
        return _contact.decode(blob) if blob else None

    async def timeline(self, id: str, before: int | None, limit: int) -> list[Trace]:
        """Decided facts, newest first, those with a number below ``before`` (None: from the newest).

        What a contact did before it was merged into this one stands right before the merge, in numbers kept for it.
        """
        key = keys.timeline(partition_of(id, self._partitions), id)
        shown: list[Trace] = []
        for trace in map(_trace.decode, await self._wire.call("LRANGE", key, 0, TIMELINE + TRIM_EVERY)):
            if before is None or trace.seq < before:
                shown.append(trace)
            if len(shown) < limit and any(e.kind == "merge" for e in trace.effects):
                merged = msgspec.convert(trace.fact.properties["state"], Contact)
                shift = trace.seq - 1 - merged.seq
                below = merged.seq + 1 if before is None else min(merged.seq + 1, before - shift)
                for earlier in await self.timeline(merged.id, below, limit - len(shown)):
                    earlier.seq += shift
                    shown.append(earlier)
            if len(shown) >= limit:
                break
        return shown
