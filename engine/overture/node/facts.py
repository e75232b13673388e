"""Accepting facts: identity, the log, and, where asked for, the decision."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from overture.model import Draft, Fact
from overture.model.errors import Overloaded
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

    def __init__(self, log: Log, identity: Identity, replies: Replies, gauges: Gauges, max_lag: int) -> None:
        self._log = log
        self._identity = identity
        self._replies = replies
        self._gauges = gauges
        self._max_lag = max_lag

    async def accept(
        self, drafts: Sequence[Draft], *, source: str, backfill: bool, wait: bool, now: int
    ) -> list[Receipt]:
        """Durable on return, in the order of the drafts. Raises Overloaded, StoreUnavailable."""
        if self._gauges.lag > self._max_lag:
            raise Overloaded("facts.backlog", f"{self._gauges.lag} accepted facts wait to be decided.")
        process = self._replies.process if wait else ""
        entries = [self._entry(draft, source, backfill, process, now) for draft in drafts]
        unresolved = [i for i, draft in enumerate(drafts) if len(draft.ids) > 1 or "user_id" not in draft.ids]
        if unresolved:
            found = await asyncio.gather(*(self._identity.resolve(drafts[i].ids, now) for i in unresolved))
            for i, (contact, elsewhere) in zip(unresolved, found, strict=True):
                entries[i] = _addressed(entries[i], contact, elsewhere)
        waiting = {e.fact.id: self._replies.expect(e.fact.id) for e in entries} if wait else {}
        try:
            taken = await self._log.append(entries)
            accepted = [
                waiting[entry.fact.id]
                for entry, status in zip(entries, taken, strict=True)
                if status is Taken.ACCEPTED and entry.fact.id in waiting
            ]
            if accepted:
                await asyncio.wait(accepted, timeout=PATIENCE)
            return [
                Receipt(_STATUS[status], entry.fact.id, entry.fact.contact, _decision(waiting.get(entry.fact.id)))
                for entry, status in zip(entries, taken, strict=True)
            ]
        finally:
            for future in waiting.values():
                future.cancel()

    def _entry(self, draft: Draft, source: str, backfill: bool, process: str, now: int) -> Entry:
        ids = draft.ids
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
            process,
            source,
        )
        if not draft.dedupe:
            return Entry(fact)
        body = body_digest(draft.type, ids, draft.occurred_at, draft.properties, draft.context)
        return Entry(fact, dedupe_key(draft.id), body)


def _addressed(entry: Entry, contact: str, elsewhere: tuple[str, ...]) -> Entry:
    f = entry.fact
    fact = Fact(
        f.id,
        f.type,
        contact,
        f.occurred_at,
        f.accepted_at,
        f.properties,
        f.context,
        f.ids,
        f.backfill,
        f.reply,
        f.source,
    )
    return Entry(fact, entry.key, entry.body, elsewhere)


def _decision(future: asyncio.Future[dict[str, Any]] | None) -> dict[str, Any] | None:
    return future.result() if future is not None and future.done() and not future.cancelled() else None
