"""The outbox: messages that rules decided to send, and what became of each."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec

from overture.model import Delivery, Fact, Message
from overture.model.ids import partition_of
from overture.state import keys, scripts
from overture.state.lease import Command
from overture.state.log import appended
from overture.state.wire import Arg, Wire

STATES = ("queued", "held", "sending", "retrying", "sent", "dropped", "dead")
OPEN = ("queued", "sending", "retrying")
Place = tuple[bytes, int]  # in what is due: an instant as the store writes it, and how many of that instant are before
_FIRST: Place = (b"-inf", 0)
_AT_ONCE = 500
_MESSAGE = re.compile(rb"ov:\{(\d+)\}:m:.*", re.DOTALL)

encode = msgspec.msgpack.Encoder().encode
_delivery = msgspec.msgpack.Decoder(Delivery)


def enqueue(p: int, messages: list[Message], now: int) -> list[Command]:
    """The commands that put messages into the outbox, due at once, in their order."""
    commands: list[Command] = []
    for n, message in enumerate(messages):
        before = "held" if message.approval else ""
        # A thousandth of a millisecond apart: what was decided first is sent first.
        commands += _store(p, Delivery(message, "queued", now, updated_at=now, queued_at=now), before, now + n / 1000)
        commands.append(("SADD", keys.messages_of(p, message.contact), message.id))
    return commands


def show(p: int, records: list[Delivery], now: int) -> list[Command]:
    """The commands that show messages which the gate has not let go (`Step.records`), or show them no more."""
    commands: list[Command] = []
    for record in records:
        id, own = record.message.id, keys.messages_of(p, record.message.contact)
        if record.state:
            commands += _store(p, msgspec.structs.replace(record, updated_at=now), "held", None)
            commands.append(("SADD", own, id))
        else:
            commands += [("DEL", keys.message(p, id)), ("ZREM", keys.messages(p, "held"), id), ("SREM", own, id)]
    return commands


def move(p: int, delivery: Delivery, before: str, outcome: Fact | None = None) -> list[Command]:
    """The commands that record a new state; ``before`` is the state that it leaves; ``outcome`` re-enters as a fact."""
    due = delivery.due_at if delivery.state in OPEN else None
    commands = _store(p, delivery, before, due)
    if outcome is not None:
        commands += appended(p, [outcome])
    return commands


def withdraw(p: int, contact: str, ids: list[str]) -> list[Command]:
    """The commands that leave nothing of all messages of a contact, in whatever state they are by then."""
    if not ids:
        return []
    lists = [keys.outbox(p), *(keys.messages(p, state) for state in STATES)]
    commands: list[Command] = [("DEL", keys.messages_of(p, contact))]
    for i in range(0, len(ids), _AT_ONCE):
        some = ids[i : i + _AT_ONCE]
        commands += (("ZREM", key, *some) for key in lists)
        commands += (("DEL", *(key(p, id) for id in some)) for key in (keys.message, keys.clicked))
    return commands


async def list_by_contact(wire: Wire) -> None:
    """Once for a store: see that each message is in the list of its contact, which earlier versions did not keep.

    Raises StoreUnavailable.
    """
    if await wire.call("HEXISTS", keys.META, "messages_listed"):
        return
    cursor = b"0"
    while True:
        cursor, scanned = await wire.call("SCAN", cursor, "MATCH", "ov:{*}:m:*", "COUNT", _AT_ONCE)
        found = {key: int(match[1]) for key in scanned if (match := _MESSAGE.fullmatch(key))}
        for p, blob in zip(found.values(), await wire.call("MGET", *found) if found else (), strict=True):
            if blob:
                message = _delivery.decode(blob).message
                await wire.call("SADD", keys.messages_of(p, message.contact), message.id)
        if cursor == b"0":
            break
    await wire.call("HSET", keys.META, "messages_listed", 1)


def _store(p: int, delivery: Delivery, before: str, due: float | None) -> list[Command]:
    id = delivery.message.id
    commands: list[Command] = [("SET", keys.message(p, id), encode(delivery))]
    if due is None:
        commands.append(("ZREM", keys.outbox(p), id))
    else:
        commands.append(("ZADD", keys.outbox(p), due, id))
    if before and before != delivery.state:
        commands.append(("ZREM", keys.messages(p, before), id))
    commands.append(("ZADD", keys.messages(p, delivery.state), delivery.updated_at, id))
    return commands


class Outbox:
    """Reading messages, and trying one again, from any process."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self._wire = wire
        self._partitions = partitions
        self._swap = wire.script(scripts.SWAP)

    async def due(self, p: int, now: int, limit: int, place: Place = _FIRST) -> tuple[list[Delivery], Place | None]:
        """Messages of one partition that are due, earliest first, from a place on; and the place behind them, if there
        may be more. It stays where it is while messages before it come and go.
        """
        since, skip = place
        flat: list[bytes] = await self._wire.call(
            "ZRANGEBYSCORE", keys.outbox(p), since, now + 1, "WITHSCORES", "LIMIT", skip, limit
        )
        ids, instants = flat[::2], flat[1::2]
        found = await self.read(p, [id.decode() for id in ids])
        if len(ids) < limit:
            return found, None
        last = instants[-1]
        return found, (last, instants.count(last) + (skip if last == since else 0))

    async def locate(self, id: str) -> Delivery | None:
        """One message by its id alone."""
        found = await self.find_all([id])
        return found[0] if found else None

    async def find(self, contact: str, id: str) -> Delivery | None:
        """One message that was decided for a contact."""
        found = await self.read(partition_of(contact, self._partitions), [id])
        return found[0] if found else None

    async def find_all(self, ids: list[str]) -> list[Delivery]:
        """Messages by their ids alone: asks every partition, as an id does not tell the contact."""
        found = await asyncio.gather(*(self.read(p, ids) for p in range(self._partitions)))
        return [delivery for deliveries in found for delivery in deliveries]

    async def of(self, contact: str) -> list[Delivery]:
        """All messages decided for one contact, oldest first."""
        p = partition_of(contact, self._partitions)
        ids = [id.decode() for id in await self._wire.call("SMEMBERS", keys.messages_of(p, contact))]
        found: list[Delivery] = []
        for i in range(0, len(ids), _AT_ONCE):
            found += await self.read(p, ids[i : i + _AT_ONCE])
        found.sort(key=lambda each: (each.message.created_at, each.message.id))
        return found

    async def requeue(self, delivery: Delivery, now: int) -> bool:
        """Make a message due now that waits or was given up; False if it was sent, or moved meanwhile."""
        if delivery.state == "sent":
            return False
        if delivery.state in OPEN and delivery.due_at <= now + 1000:
            return True  # delivery has it at hand, or will in a moment: not to be moved under its feet
        again = msgspec.structs.replace(delivery, state="queued", due_at=now, reason="", attempts=0, updated_at=now)
        return await self.change(delivery, again)

    async def change(self, before: Delivery, after: Delivery, outcome: Fact | None = None) -> bool:
        """Record a new state from outside delivery, with the fact that tells of it; False if it has moved meanwhile."""
        p = partition_of(before.message.contact, self._partitions)
        args: list[Arg] = [encode(before)]
        for command in move(p, after, before.state, outcome):
            args += (len(command), *command)
        return bool(await self._swap.call([keys.message(p, before.message.id)], args))

    async def read(self, p: int, ids: list[str]) -> list[Delivery]:
        """The messages of one partition by id; those that are gone are left out."""
        if not ids:
            return []
        blobs: list[Any] = await self._wire.call("MGET", *(keys.message(p, id) for id in ids))
        return [_delivery.decode(blob) for blob in blobs if blob]
