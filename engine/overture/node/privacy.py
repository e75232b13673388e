"""What is asked about a person's data: erase it, hand it out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from overture.model import Contact, Fact, Overloaded, Refused, clock
from overture.model.ids import partition_of
from overture.node.erasing import begun
from overture.node.inboxes import kept
from overture.node.reading import ContactService, shown
from overture.records import Recording
from overture.state import keys
from overture.state.contacts import unpack_fact
from overture.state.erasures import Erasure, Erasures, Proof
from overture.state.identity import Identity
from overture.state.inbox import Inboxes
from overture.state.linked import linked
from overture.state.outbox import Outbox
from overture.state.purge import Purged
from overture.state.wire import Wire
from overture.web.erased import ErasureList, ErasureView, Export
from overture.web.shapes import ContactView, FactView
from overture.web.subscribed import Subscriptions

WAITING = 4  # exports that wait for their turn


class PrivacyService:
    """Implements `overture.web.erased.Privacy`."""

    def __init__(
        self,
        wire: Wire,
        archive: Path,
        partitions: int,
        contacts: ContactService,
        identity: Identity,
        subscriptions: Subscriptions,
        asked: Callable[[], None],
    ) -> None:
        """``asked`` is called when an erasure was asked for."""
        self._wire = wire
        self._archive = archive
        self._partitions = partitions
        self._contacts = contacts
        self._identity = identity
        self._subscriptions = subscriptions
        self._erasures = Erasures(wire)
        self._asked = asked
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def erase(self, id_or_alias: str, by: str) -> ErasureView | None:
        name = id_or_alias.lower() if id_or_alias.startswith("email:") else id_or_alias
        for contact, erasure in (await self._erasures.under_way()).items():
            if name == contact or name in erasure.names:
                return await self._joined(name, contact, erasure)
        contact = await self._contacts.find(name)
        if contact is None:
            return None
        new = begun(await self._erasures.subject(contact.id), by)
        erasure = await self._erasures.ask(contact.id, new)
        if erasure.id != new.id:
            return await self._joined(name, contact.id, erasure)
        self._asked()
        return _under_way(erasure)

    async def _joined(self, name: str, contact: str, erasure: Erasure) -> ErasureView:
        """The one under way, where it takes all that is there; Refused 409 where somebody has begun anew behind it."""
        past = erasure.stage in ("record", "traces")
        if erasure.stage == "erasing":
            blob = await self._wire.call("HGET", keys.purged(partition_of(contact, self._partitions)), contact)
            past = blob is not None and msgspec.msgpack.decode(blob, type=Purged).erasure == erasure.id
        if past and await self._contacts.find(name) is not None:
            text = "The contact was erased and has begun anew, while its erasure is not done."
            raise Refused(
                "erasure.ending", text, f"Ask again when GET /v1/erasures/{erasure.id} says done.", status=409
            )
        return _under_way(erasure)

    async def erasure(self, id: str) -> ErasureView | None:
        found = await self._erasures.find(id)
        return None if found is None else _done(found) if isinstance(found, Proof) else _under_way(found)

    async def erasures(self, before: int | None, limit: int) -> ErasureList:
        under_way = await self._erasures.under_way()
        proofs, broken = await self._erasures.walk()
        newest = [proof for proof in reversed(proofs) if before is None or proof.n < before]
        following = str(newest[limit - 1].n) if len(newest) > limit else None
        items = [_done(proof) for proof in newest[:limit]]
        return ErasureList(not broken, broken, [_under_way(e) for e in under_way.values()], items, following)

    async def export(self, id_or_alias: str) -> Export | None:
        contact = await self._contacts.find(id_or_alias)
        if contact is None:
            return None
        if self._waiting >= WAITING:
            raise Overloaded("export.busy", "Too many exports wait for their turn.", 5)
        self._waiting += 1
        try:
            async with self._turn:
                return await self._export(contact)
        finally:
            self._waiting -= 1

    async def _export(self, contact: Contact) -> Export:
        names = await linked(self._wire, contact.id)
        outbox, inboxes = Outbox(self._wire, self._partitions), Inboxes(self._wire, self._partitions)
        facts: list[Fact] = []
        aside: list[Fact] = []
        messages: list[dict[str, Any]] = []
        for name in names:
            recording = await Recording.open(self._wire, self._archive, partition_of(name, self._partitions))
            facts += await asyncio.to_thread(_own, recording, name, names)
            aside += (fact for fact in map(unpack_fact, recording.dead) if fact.contact == name)
            messages += ({**shown(each), "context": each.message.context} for each in await outbox.of(name))
        for found in (facts, aside):
            found.sort(key=lambda fact: (fact.accepted_at, fact.id))
        return Export(
            exported_at=clock.to_text(clock.now()),
            contact=ContactView.of(contact, []),
            merged=[name for name in names if name != contact.id],
            state={name: msgspec.to_builtins(getattr(contact, name)) for name in contact.__struct_fields__},
            consent=await self._subscriptions.history(contact.id),
            messages=messages,
            inbox=[each for name in names for each in await kept(inboxes, name)],
            facts=[FactView.of(fact) for fact in facts],
            set_aside=[FactView.of(fact) for fact in aside],
        )


def _own(recording: Recording, name: str, names: list[str]) -> list[Fact]:
    """What was posted or reported; of one that was handed on the copy where it was first."""
    facts = (recorded.fact for recorded in recording.facts(name))
    return [fact for fact in facts if not fact.type.startswith("$") and fact.cause not in names]


def _under_way(erasure: Erasure) -> ErasureView:
    e = erasure
    asked = clock.to_text(e.asked_at)
    return ErasureView(e.id, "under_way", e.stage, e.subject, e.by, asked, None, e.counts, "", None, "")


def _done(proof: Proof) -> ErasureView:
    p = proof
    asked, done = clock.to_text(p.asked_at), clock.to_text(p.done_at)
    return ErasureView(p.id, "done", "", p.subject, p.by, asked, done, p.counts, p.file, p.n, p.hash.hex())
