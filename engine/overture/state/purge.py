"""What one commit takes away of a contact that is erased: all that its partition holds of it but recorded facts."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from overture.model import Contact, Delivery, Fact, Step
from overture.state import keys, outbox, sweeps
from overture.state.lease import Command
from overture.state.outbox import OPEN, Outbox
from overture.state.wire import Wire

_PAGE = 500


class Purged(msgspec.Struct, frozen=True, array_like=True):
    """What was taken away, and where in the log: the fact that erased is number ``position`` of ``entry``.

    ``messages``: how many there were, ``withdrawn`` of them not handed over yet. ``consents``: details in the consent
    ledger. ``suppressed``: keyed hash of an address → why it gets nothing.
    """

    erasure: str
    entry: str
    position: int
    messages: int
    withdrawn: int
    consents: int
    suppressed: dict[str, str]


@dataclass(frozen=True, slots=True)
class Purge:
    """``commands`` of the commit; ``withdrawn``: messages that had passed the gate and were not handed over."""

    commands: list[Command]
    withdrawn: list[Delivery]


async def purge(wire: Wire, p: int, before: Contact, step: Step, place: tuple[str, int], secret: bytes) -> Purge:
    """Read what there is and answer what takes it away. Nothing else may be committed about the contact meanwhile.

    ``before``: the contact as it stood; ``place``: of the fact in the log; ``secret`` keys hashes of addresses.
    """
    id = step.contact.id
    ids = [each.decode() for each in await wire.call("SMEMBERS", keys.messages_of(p, id))]
    messages: list[Delivery] = []
    for i in range(0, len(ids), _PAGE):
        messages += await Outbox(wire, 0).read(p, ids[i : i + _PAGE])
    numbers: list[bytes] = await wire.call("LRANGE", keys.ledger_of(p, id), 0, -1)
    withdrawn = [each for each in messages if each.state in OPEN]
    hashes = {suppression(secret, address): reason for address, reason in before.suppressed.items()}
    erasure = str(step.trace.fact.properties["erasure"])
    sweep = await sweeps.load(wire, p)
    told = Purged(erasure, *place, len(messages), len(withdrawn), len(numbers), hashes)
    own = (keys.contact, keys.timeline, keys.ledger_of, keys.standing, keys.identity, *keys.INBOX)
    commands: list[Command] = [
        ("DEL", *(key(p, id) for key in own)),
        ("ZREM", keys.due(p), id),
        ("ZREM", keys.known(p), id),
        *outbox.withdraw(p, id, ids),
        *(("ZREM", keys.score(p, name), id) for name in step.scores),
        *(("ZREM", keys.segment(p, name), id) for name in step.segments),
        *(("HDEL", keys.ledger_details(p), *numbers[i : i + _PAGE]) for i in range(0, len(numbers), _PAGE)),
        *([sweeps.save(p, replace(sweep, after=await _before(wire, p, id)))] if sweep.after == id else []),
        ("SREM", keys.leaving(p), id),
        ("HSET", keys.purged(p), id, msgspec.msgpack.encode(told)),
        ("PUBLISH", keys.ERASED, id),
    ]
    return Purge(commands, withdrawn)


async def _before(wire: Wire, p: int, id: str) -> str:
    """The contact before one in the list of its partition; empty where it is the first."""
    found = await wire.call("ZRANGE", keys.known(p), f"({id}", "-", "BYLEX", "REV", "LIMIT", 0, 1)
    return found[0].decode() if found else ""


def suppression(secret: bytes, address: str) -> str:
    """The keyed hash of ``channel:address``; however an address is written, it is the same."""
    return hmac.new(secret, b"suppressed\n" + address.lower().encode("utf-8", "surrogatepass"), "sha256").hexdigest()


class Suppressed:
    """Addresses that get nothing although nothing else is known of their owners any more. Asked from any process."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._secret = b""

    async def reason(self, channel: str, address: str) -> str:
        """Why a message to the address does not go; empty where it may."""
        if not self._secret:
            self._secret = await self._wire.call("HGET", keys.SECRETS, "ledger") or b""
        blob = await self._wire.call("HGET", keys.SUPPRESSED, suppression(self._secret, f"{channel}:{address}"))
        return blob.decode() if blob else ""


def suppressing(hashes: Mapping[str, str]) -> list[Command]:
    """The commands that keep such addresses."""
    return [("HSET", keys.SUPPRESSED, *(word for pair in hashes.items() for word in pair))] if hashes else []


def ordered(contact: str, erasure: str, again: int, now: int) -> Fact:
    """The fact that erases a contact; taken once for each erasure and each time that it begins ``again``."""
    id = f"$erase:{erasure}:{again}" if again else f"$erase:{erasure}"
    return Fact(id, "$erase", contact, now, now, {"erasure": erasure})
