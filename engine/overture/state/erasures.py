"""Erasures: those under way, which name whom they are about, and the chain of those that are done, which does not."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from overture.state import keys, scripts
from overture.state.lease import Command
from overture.state.ledger import START, subject, unpack_head
from overture.state.wire import Arg, Wire

Stage = Literal["finding", "leaving", "erasing", "record", "traces", "file"]
PAGE = 500


class Erasure(msgspec.Struct, frozen=True, array_like=True):
    """One that is under way. ``by``: name of the key that asked; times in ms; ``contact`` is the field it is kept by.

    ``names``: the contact and all that became part of it, those that lead on first. ``words``: what else may stand in
    texts about it, such as its address. Both are gone from the stage ``file`` on. ``counts``: as in `Proof`.
    """

    id: str
    subject: str
    by: str
    asked_at: int
    stage: Stage
    names: list[str] = []
    words: list[str] = []
    counts: dict[str, int] = {}
    at: int = 0  # when the record was clean
    again: int = 0  # how often others were found that lead to the contact, when it was to be erased itself


class Proof(msgspec.Struct, frozen=True, array_like=True):
    """That somebody was erased; ``subject`` is a keyed hash of the contact's id, `overture.state.ledger.subject`.

    ``file``: whether the store's file was written anew (``rewritten``), or that is its operator's (``operator``).
    ``hash`` is SHA-256 over the hash before and the msgpack array of all the other fields, in this order.
    """

    n: int
    id: str
    subject: str
    by: str
    asked_at: int
    done_at: int
    counts: dict[str, int]
    file: str
    hash: bytes = b""

    def hashed(self, before: bytes) -> bytes:
        own = (self.n, self.id, self.subject, self.by, self.asked_at, self.done_at, self.counts, self.file)
        return hashlib.sha256(before + _encode(own)).digest()


_encode = msgspec.msgpack.Encoder(order="sorted").encode
_erasure = msgspec.msgpack.Decoder(Erasure).decode
_proof = msgspec.msgpack.Decoder(Proof).decode


def _kept(erasure: Erasure) -> bytes:
    """As it stands in the store: earlier versions knew no ``again``, and a move is made from what is there alone."""
    fields = msgspec.structs.astuple(erasure)
    return _encode(fields if erasure.again else fields[:-1])


class Erasures:
    """Asked for, carried forward and looked at from any process."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._advance = wire.script(scripts.ADVANCE)

    async def ask(self, contact: str, erasure: Erasure) -> Erasure:
        """Begin one; answers the one that is under way already where there is one."""
        while not await self._wire.call("HSETNX", keys.ERASING, contact, _kept(erasure)):
            if blob := await self._wire.call("HGET", keys.ERASING, contact):
                return _erasure(blob)
        return erasure

    async def under_way(self) -> dict[str, Erasure]:
        """By contact, those asked for first first."""
        flat = await self._wire.call("HGETALL", keys.ERASING)
        found = [(flat[i].decode(), _erasure(flat[i + 1])) for i in range(0, len(flat), 2)]
        return dict(sorted(found, key=lambda each: (each[1].asked_at, each[1].id)))

    async def go_on(self, contact: str, before: Erasure, after: Erasure) -> bool:
        """Keep how far it is; from the stage ``file`` on under its own id. False where it is elsewhere by now."""
        field = contact if after.stage != "file" else after.id
        commands: list[Command] = [("HDEL", keys.ERASING, contact), ("HSET", keys.ERASING, field, _kept(after))]
        return await self._move(contact, before, "", commands)

    async def finish(self, field: str, erasure: Erasure, now: int, file: str) -> bool:
        """Put its proof in the place of it; False where that has to be tried again."""
        head = await self._wire.call("GET", keys.ERASURES_HEAD)
        n, hash = unpack_head(head)
        e = erasure
        proof = Proof(n + 1, e.id, e.subject, e.by, e.asked_at, now, e.counts, file)
        hash = proof.hashed(hash)
        commands: list[Command] = [
            ("RPUSH", keys.ERASURES, _encode(msgspec.structs.replace(proof, hash=hash))),
            ("SET", keys.ERASURES_HEAD, _encode((n + 1, hash))),
            ("HSET", keys.ERASURES_BY_ID, e.id, n + 1),
            ("HDEL", keys.ERASING, field),
        ]
        return await self._move(field, erasure, head or "-", commands)

    async def find(self, id: str) -> Erasure | Proof | None:
        """By its id, under way or done."""
        for erasure in (await self.under_way()).values():
            if erasure.id == id:
                return erasure
        n = await self._wire.call("HGET", keys.ERASURES_BY_ID, id)
        blob = await self._wire.call("LINDEX", keys.ERASURES, int(n) - 1) if n else None
        return _proof(blob) if blob else None

    async def walk(self) -> tuple[list[Proof], str]:
        """All that are done, oldest first, and why the chain is not whole: empty where it is."""
        n, end = unpack_head(await self._wire.call("GET", keys.ERASURES_HEAD))
        found: list[Proof] = []
        hash, why = START, ""
        while len(found) < n:
            first = len(found)
            blobs = await self._wire.call("LRANGE", keys.ERASURES, first, min(first + PAGE, n) - 1)
            if not blobs:
                return found, why or f"number {first + 1} is missing, and the chain once was longer"
            for blob in blobs:
                proof = _proof(blob)
                hash = proof.hashed(hash)
                if not why and (proof.n != len(found) + 1 or proof.hash != hash):
                    why = f"number {len(found) + 1} does not follow from those before it"
                found.append(proof)
        return found, why or ("" if hash == end else f"number {n} is not the one with which the chain ended")

    async def subject(self, contact: str) -> str:
        """The keyed hash by which proofs name a contact."""
        secret = await self._wire.call("HGET", keys.SECRETS, "ledger")
        return subject(secret or b"", contact).hex()

    async def _move(self, field: str, before: Erasure, head: Arg, commands: list[Command]) -> bool:
        args: list[Arg] = [field, _kept(before), head]
        for command in commands:
            args += (len(command), *command)
        return bool(await self._advance.call([keys.ERASING, keys.ERASURES_HEAD], args))
