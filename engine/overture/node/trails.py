"""Messages that are opened and links that are followed, made facts: not lost while the store is away for a moment, and
never in the way of whoever follows a link."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Literal

from overture.delivery.links import Links, Trail
from overture.model import Delivery, Draft, Overloaded, Refused, StoreUnavailable, clock
from overture.model.ids import new_fact_id
from overture.plugin.agents import LONGEST, agent_of
from overture.state.clicks import Clicks, Seen
from overture.state.contacts import Contacts
from overture.state.identity import Identity, ids_of
from overture.state.outbox import Outbox
from overture.web.services import Facts

log = logging.getLogger("overture.node")

BOX = 0.5  # seconds that whoever follows a link waits until that is on disk
AGAIN, TRIES = 1.0, 60  # seconds between tries while the store is away, and how many there are
MOST = 10_000  # that wait to be written
OF_ONE = 50  # openings and clicks of one message that become facts, until it was left alone for an hour
AT_ONCE = 2_000  # ms: who follows several links of a message within, or one so soon after it was sent, is a scanner
CLOSING = 5.0  # seconds


class TrailService:
    """Implements `overture.web.trailed.Trails`."""

    def __init__(
        self, links: Links, facts: Facts, contacts: Contacts, identity: Identity, outbox: Outbox, clicks: Clicks
    ) -> None:
        self._links = links
        self._facts = facts
        self._contacts = contacts
        self._identity = identity
        self._outbox = outbox
        self._clicks = clicks
        self._waiting: set[asyncio.Task[None]] = set()

    def opened(self, token: str, user_agent: str) -> bool:
        try:
            trail = self._links.trail(token)
        except Refused:
            return False
        self._note(trail, "message.opened", user_agent)
        return True

    async def clicked(self, token: str, user_agent: str) -> str:
        url = self.target(token)
        if (task := self._note(self._links.trail(token), "message.clicked", user_agent)) is not None:
            await asyncio.wait({task}, timeout=BOX)
        return url

    def target(self, token: str) -> str:
        if url := self._links.trail(token).url:
            return url
        raise Refused("link.invalid", "This link leads nowhere.", "Use the one in your newest mail.", status=404)

    async def close(self) -> None:
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=CLOSING)
        for task in self._waiting:
            task.cancel()

    def _note(
        self, trail: Trail, type: Literal["message.opened", "message.clicked"], user_agent: str
    ) -> asyncio.Task[None] | None:
        if len(self._waiting) >= MOST:
            log.warning("%d opened messages and followed links wait to be written: one more is lost", MOST)
            return None
        task = asyncio.create_task(self._take(trail, type, user_agent[:LONGEST], clock.now()))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return task

    async def _take(self, trail: Trail, type: str, user_agent: str, now: int) -> None:
        id = new_fact_id(now)  # the same at each try
        seen: Seen | None = None
        for _ in range(TRIES):
            with contextlib.suppress(StoreUnavailable, Overloaded):
                contact = await self._contacts.get(await self._identity.find(trail.contact))
                if contact is None or not contact.seq:
                    return  # erased: nothing that was sent before brings the contact back
                seen = seen or await self._clicks.note(trail.contact, trail.message, trail.url, now)
                if seen.times <= OF_ONE:  # whoever has the address of an image may ask for it without end
                    await self._accept(id, ids_of(contact.id), trail, type, user_agent, now, seen.others)
                return
            await asyncio.sleep(AGAIN)
        log.warning("A %s was lost: the store was away for too long", type)

    async def _accept(
        self, id: str, ids: dict[str, Any], trail: Trail, type: str, user_agent: str, now: int, others: list[int]
    ) -> None:
        found = await self._outbox.find(trail.contact, trail.message)
        told: dict[str, Any] = found.told() if found else {"message": trail.message, "channel": trail.channel}
        agent = agent_of(user_agent)
        said = {**told, "url": trail.url, "user_agent": user_agent}
        properties: dict[str, Any] = {name: value for name, value in said.items() if value != ""}
        context: dict[str, Any] = {"source": "tracking", **agent.told()}
        if _scanned(trail, found, now, others):
            context["scanner"] = True
        if agent.machine or "scanner" in context:
            properties["machine"] = True
        drafts = [Draft(id, type, ids, now, properties, context)]
        await self._facts.accept(drafts, source="tracking", backfill=False, wait=False, now=now)


def _scanned(trail: Trail, delivery: Delivery | None, now: int, others: list[int]) -> bool:
    """By a program that looks at what a mail leads to, before or in place of a person. What is tried again, as the
    store was away, may be older than what it is held against.
    """
    sent = [delivery.updated_at] if delivery is not None and delivery.state == "sent" else []
    return any(abs(now - at) < AT_ONCE for at in (*sent, *(others if trail.url else ())))
