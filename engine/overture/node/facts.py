"""Accepting facts: what plugins do with them, identity, the log, and, where asked for, the decision."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from overture.model import Draft, Fact
from overture.model.errors import Overloaded
from overture.node.admission import Admission, Admitted
from overture.node.gauges import Gauges
from overture.state.identity import Identity
from overture.state.log import Entry, Log, Taken, body_digest, dedupe_key
from overture.web.services import Receipt
from overture.worker.replies import Replies

PATIENCE = 10.0  # seconds that a request waits for a decision

_STATUS: dict[Taken, Literal["accepted", "duplicate", "conflict"]] = {
    Taken.ACCEPTED: "accepted",
    Taken.DUPLICATE: "duplicate",
    Taken.CONFLICT: "conflict",
}


class FactService:
    """Implements `overture.web.services.Facts`."""

    def __init__(
        self, log: Log, identity: Identity, replies: Replies, gauges: Gauges, max_lag: int, admission: Admission
    ) -> None:
        self._log = log
        self._identity = identity
        self._replies = replies
        self._gauges = gauges
        self._max_lag = max_lag
        self._admission = admission

    async def accept(
        self, drafts: Sequence[Draft], *, source: str, backfill: bool, wait: bool, now: int
    ) -> list[Receipt]:
        """Durable on return, in the order of the drafts. Raises Overloaded, StoreUnavailable."""
        if self._gauges.lag > self._max_lag:
            raise Overloaded("facts.backlog", f"{self._gauges.lag} accepted facts wait to be decided.")
        admitted = await self._admission.admit(drafts, source)
        kept = [each for each in admitted if each is not None]
        receipts = iter(await self._append(kept, source, backfill, wait, now))
        return [
            Receipt("unredacted", draft.id, "") if each is None else next(receipts)
            for draft, each in zip(drafts, admitted, strict=True)
        ]

    async def _append(
        self, admitted: Sequence[Admitted], source: str, backfill: bool, wait: bool, now: int
    ) -> list[Receipt]:
        waiting = [self._replies.expect() for _ in admitted] if wait else []
        tokens = [reply.token for reply in waiting] or [""] * len(admitted)
        entries = [
            self._entry(each, source, backfill, token, now) for each, token in zip(admitted, tokens, strict=True)
        ]
        drafts = [each.draft for each in admitted]
        unresolved = [i for i, draft in enumerate(drafts) if len(draft.ids) > 1 or "user_id" not in draft.ids]
        try:
            if unresolved:
                found = await self._resolve([drafts[i] for i in unresolved], backfill, now)
                for i, (contact, elsewhere) in zip(unresolved, found, strict=True):
                    entries[i] = _addressed(entries[i], contact, elsewhere)
            taken = await self._log.append(entries)
            accepted = [
                reply.future for reply, status in zip(waiting, taken, strict=bool(waiting)) if status is Taken.ACCEPTED
            ]
            if accepted:
                await asyncio.wait(accepted, timeout=PATIENCE)
            decisions = [reply.decision for reply in waiting] or [None] * len(drafts)
            return [
                Receipt(_STATUS[status], entry.fact.id, entry.fact.contact, decision)
                for entry, status, decision in zip(entries, taken, decisions, strict=True)
            ]
        finally:
            for reply in waiting:
                reply.forget()

    async def _resolve(self, drafts: Sequence[Draft], backfill: bool, now: int) -> list[tuple[str, tuple[str, ...]]]:
        """As `Identity.resolve`. What links goes first: else facts before it in the same batch went to the contact that
        is taken in, to be handed on, behind those after it.
        """

        async def resolve(drafts: Iterable[Draft]) -> list[tuple[str, tuple[str, ...]]]:
            return await asyncio.gather(*(self._identity.resolve(d.ids, now, backfill=backfill) for d in drafts))

        if len(drafts) > 1:
            await resolve(draft for draft in drafts if len(draft.ids) > 1)
        return await resolve(drafts)

    def _entry(self, admitted: Admitted, source: str, backfill: bool, reply: str, now: int) -> Entry:
        draft, context = admitted
        ids = draft.ids
        said = (draft.type, ids, draft.occurred_at, draft.properties, context, *draft.choices)
        fact = Fact(
            draft.id,
            draft.type,
            ids.get("user_id", ""),
            now if draft.occurred_at is None else draft.occurred_at,
            now,
            draft.properties,
            draft.context,
            ids,
            backfill,
            reply,
            source,
            body=body_digest(*said) if draft.dedupe else b"",
            choices=draft.choices,
        )
        return Entry(fact, dedupe_key(fact.contact, draft.id) if draft.dedupe else b"", fact.body)


def _addressed(entry: Entry, contact: str, elsewhere: tuple[str, ...]) -> Entry:
    fact = msgspec.structs.replace(entry.fact, contact=contact)
    return Entry(fact, entry.key and dedupe_key(contact, fact.id), entry.body, elsewhere)
