"""The consent ledger: what each contact agreed to and took back, only ever added to, one chain of hashes a partition.

A link of the chain names nobody: it has a keyed hash of the contact, and a salted digest of the `Detail`, which names
it and stands elsewhere. Where a contact is erased its details go, salts and all, and the chain still holds.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from overture.model import Effect, Step, Trace
from overture.state import keys
from overture.state.lease import Command
from overture.state.wire import Wire

START = bytes(32)  # what stands in place of a hash before the first link
SALT = 16  # bytes
MERGE = "merge"  # the source of what came with a contact that was merged into this one
SAID = ("text", "version", "message")  # properties of a consent fact that are kept as evidence


class Link(msgspec.Struct, frozen=True, array_like=True):
    """One change of one consent; ``n`` counts from 1 within its partition, ``recorded_at`` is ms.

    ``hash`` is SHA-256 over the hash before and the msgpack array of all the other fields, in this order.
    """

    n: int
    subject: bytes
    channel: str
    purpose: str
    before: str  # granted, pending, denied; empty: never asked
    after: str
    recorded_at: int
    detail: bytes
    hash: bytes = b""

    def hashed(self, before: bytes) -> bytes:
        own = (self.n, self.subject, self.channel, self.purpose, self.before, self.after, self.recorded_at, self.detail)
        return hashlib.sha256(before + encode(own)).digest()


class Detail(msgspec.Struct, frozen=True, array_like=True):
    """Who said so, and how: what is erased with the contact. ``given_at`` is the fact's own time, ms."""

    salt: bytes
    contact: str
    fact: str
    given_at: int
    source: str  # name of the key, or of the part of Overture, that brought the fact
    cause: str  # the contact that was merged into this one and had agreed before
    said: dict[str, str]


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """The newest link about one purpose of one contact."""

    n: int
    state: str
    hash: bytes

    def reference(self, p: int) -> str:
        """How others name the link: partition, number, and the beginning of its hash."""
        return reference(p, self.n, self.hash)


@dataclass(frozen=True, slots=True)
class Chain:
    """Where a partition's chain ends; ``secret`` keys the subjects."""

    secret: bytes = field(default=b"", repr=False)
    n: int = 0
    hash: bytes = START


encode = msgspec.msgpack.Encoder().encode


def reference(p: int, n: int, hash: bytes) -> str:
    return f"{p}.{n}:{hash.hex()[:16]}"


def purpose_key(channel: str, purpose: str) -> str:
    return f"{channel}\n{purpose}"  # names hold no line breaks


def subject(secret: bytes, contact: str) -> bytes:
    return hmac.digest(secret, contact.encode("utf-8", "surrogatepass"), "sha256")[:16]


def detail_digest(blob: bytes) -> bytes:
    return hashlib.sha256(blob).digest()


async def chain_of(wire: Wire, p: int) -> Chain:
    """The chain of a partition as it ends now. Makes the secret where there is none yet."""
    secret = await wire.call("HGET", keys.SECRETS, "ledger")
    if secret is None:
        await wire.call("HSETNX", keys.SECRETS, "ledger", os.urandom(32))
        secret = await wire.call("HGET", keys.SECRETS, "ledger")
    n, hash = unpack_head(await wire.call("GET", keys.ledger_head(p)))
    return Chain(secret, n, hash)


def unpack_head(blob: bytes | None) -> tuple[int, bytes]:
    return msgspec.msgpack.decode(blob, type=tuple[int, bytes]) if blob else (0, START)


def write(p: int, chain: Chain, steps: Iterable[Step]) -> tuple[list[Command], Chain]:
    """The commands that add what steps changed about consent, in their order, and the chain after them."""
    links: list[bytes] = []
    details: list[int | bytes] = []
    of_contact: dict[str, list[int]] = {}
    standing: dict[str, dict[str, bytes]] = {}
    n, hash = chain.n, chain.hash
    for contact, trace, effect in _changes(steps):
        n += 1
        blob = encode(_detail(contact, trace))
        who, before = subject(chain.secret, contact), effect.before or ""
        link = Link(n, who, effect.name, effect.key, before, effect.after, trace.at, detail_digest(blob))
        hash = link.hashed(hash)
        links.append(encode(msgspec.structs.replace(link, hash=hash)))
        details += (n, blob)
        of_contact.setdefault(contact, []).append(n)
        now = encode(Standing(n, effect.after, hash))
        standing.setdefault(contact, {})[purpose_key(effect.name, effect.key)] = now
    if not links:
        return [], chain
    commands: list[Command] = [
        ("RPUSH", keys.ledger(p), *links),
        ("SET", keys.ledger_head(p), encode((n, hash))),
        ("HSET", keys.ledger_details(p), *details),
    ]
    commands += (("RPUSH", keys.ledger_of(p, contact), *numbers) for contact, numbers in of_contact.items())
    for contact, purposes in standing.items():
        pairs = [word for pair in purposes.items() for word in pair]
        commands.append(("HSET", keys.standing(p, contact), *pairs))
    return commands, Chain(chain.secret, n, hash)


def _changes(steps: Iterable[Step]) -> Iterator[tuple[str, Trace, Effect]]:
    """No rule changes a consent: only what a fact says by itself does. A refusal that is repeated is none."""
    for step in steps:
        if step.kept:
            for effect in step.trace.effects:
                if effect.kind == "consent" and not effect.reason and not effect.before == effect.after == "denied":
                    yield step.contact.id, step.trace, effect


def _detail(contact: str, trace: Trace) -> Detail:
    fact = trace.fact
    properties: dict[str, Any] = fact.properties
    said = {name: value for name in SAID if isinstance(value := properties.get(name), str)}
    source = MERGE if fact.type == "$merge" else fact.source
    return Detail(os.urandom(SALT), contact, fact.id, fact.occurred_at, source, fact.cause, said)
