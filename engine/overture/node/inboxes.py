"""Inboxes: what channels keep for contacts, and what browsers and apps read of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator

from overture.delivery.links import Links, Pass
from overture.model import Contact, Draft, Overloaded, Refused, StoreUnavailable, clock
from overture.plugin import AmbiguousHandOff, Outgoing
from overture.plugin.steps import unwatched
from overture.state.contacts import Contacts
from overture.state.identity import Identity, ids_of
from overture.state.inbox import Entry, Inboxes, Kept
from overture.state.outbox import Outbox
from overture.web.inboxed import InboxItem, InboxPage, InboxToken
from overture.web.services import Facts

BEAT = 15.0  # seconds between looks for what nobody told of, and signs of life of a stream
STREAMS, OF_ONE = 10_000, 10  # of a process, and of one contact in it
AT_ONCE = 50  # messages
MOST = 1_000  # messages that an inbox may have
_DAY = 86_400_000


class InboxKeeper:
    """Implements `overture.plugin.Inbox` for the process that delivers."""

    def __init__(self, inboxes: Inboxes, contacts: Contacts, identity: Identity) -> None:
        self._inboxes = inboxes
        self._contacts = contacts
        self._identity = identity

    async def put(self, message: Outgoing, *, most: int, days: int) -> bool:
        # It is ours: to be interrupted as a plugin is would leave the process's connection to the store out of step.
        return await unwatched(self._put(message, most, days))

    async def _put(self, message: Outgoing, most: int, days: int) -> bool:
        try:
            contact = await self._contacts.get(await self._identity.find(message.contact))
            if contact is None or not contact.seq or contact.id != message.to:
                return False
            kept = Kept(
                message=message.id,
                contact=message.contact,
                title=message.subject,
                text=message.text,
                html=message.html,
                data=dict(message.data),
                purpose=message.purpose,
                kept_at=clock.now(),
            )
            return await self._inboxes.put(contact.id, kept, most, days * _DAY)
        except StoreUnavailable as error:
            raise AmbiguousHandOff(error.message, "inbox.unconfirmed") from None


class InboxService:
    """Implements `overture.web.inboxed.Inbox`."""

    def __init__(
        self, links: Links, inboxes: Inboxes, facts: Facts, contacts: Contacts, identity: Identity, outbox: Outbox
    ) -> None:
        self._links = links
        self._inboxes = inboxes
        self._facts = facts
        self._contacts = contacts
        self._identity = identity
        self._outbox = outbox
        self._streams: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._open = 0
        self._leaving = False

    def token(self, contact: Contact, seconds: int) -> InboxToken:
        until = clock.wall() + seconds * 1000
        return InboxToken(self._links.admission(Pass(contact.id, until)), contact.id, clock.to_text(until))

    async def page(self, token: str, before: int | None, limit: int) -> InboxPage:
        contact = await self._owner(token)
        found = await self._inboxes.before(contact, before, limit)
        following = str(found[-1].place) if len(found) == limit else None
        newest = await self._inboxes.before(contact, None, 1)
        cursor = str(newest[0].place if newest else 0)
        return InboxPage([_shown(entry) for entry in found], await self._inboxes.unread(contact), cursor, following)

    async def read(self, token: str, message: str) -> bool:
        """The fact comes first: who was not told that it is on disk says it again, and it is the same fact."""
        contact = await self._owner(token)
        entry = await self._inboxes.one(contact, message)
        if entry is None:
            return False
        if not entry.read_at:
            found = await self._outbox.find(entry.kept.contact, message)
            told = found.told() if found else {"message": message}
            properties = {name: value for name, value in told.items() if value != ""}
            draft = Draft(f"read:{message}", "message.opened", ids_of(contact), None, properties)
            now = clock.now()
            await self._facts.accept([draft], source="inbox", backfill=False, wait=False, now=now)
            await self._inboxes.mark(contact, message, now)
        return True

    async def follow(self, token: str, place: int) -> AsyncGenerator[list[InboxItem]]:
        until = self._links.admitted(token, clock.wall()).until
        try:
            contact = await self._owner(token)
        except StoreUnavailable:
            return _over()
        if self._leaving:
            return _over()
        if self._open >= STREAMS:
            raise Overloaded("inbox.streams", "As many inboxes are followed as one process can.", 30, status=503)
        if len(self._streams.get(contact, ())) >= OF_ONE:
            raise Overloaded("inbox.streams", f"This inbox is followed {OF_ONE} times already.", 30)
        return self._follow(contact, until, place)

    async def _follow(self, contact: str, until: int, place: int) -> AsyncGenerator[list[InboxItem]]:
        news = asyncio.Event()
        self._streams[contact].add(news)
        self._open += 1
        try:
            yield []
            while not self._leaving and clock.wall() < until:
                news.clear()
                try:
                    found = await self._inboxes.after(contact, place, AT_ONCE)
                except StoreUnavailable:
                    return
                if found:
                    place = found[-1].place
                    yield [_shown(entry) for entry in found]
                    continue
                try:
                    async with asyncio.timeout(min(BEAT, (until - clock.wall()) / 1000)):
                        await news.wait()
                except TimeoutError:
                    try:
                        if not await self._is_there(contact):
                            return
                    except StoreUnavailable:
                        return
                    yield []
        finally:
            self._open -= 1
            self._streams[contact].discard(news)
            if not self._streams[contact]:
                del self._streams[contact]

    def tell(self, contact: str) -> None:
        """Something came for a contact; empty: it may have, for any."""
        told = self._streams if not contact else [contact] if contact in self._streams else []
        for name in told:
            for news in self._streams[name]:
                news.set()

    async def leave(self) -> None:
        """End all streams."""
        self._leaving = True
        self.tell("")

    async def _owner(self, token: str) -> str:
        contact = self._links.admitted(token, clock.wall()).contact
        if not await self._is_there(contact):
            raise Refused("inbox.token", "This token is of nobody any more.", "Get another one.", status=401)
        return contact

    async def _is_there(self, contact: str) -> bool:
        """Not erased, and not part of another one: the page that holds the token may be of somebody else by now."""
        if await self._identity.find(contact) != contact:
            return False
        found = await self._contacts.get(contact)
        return found is not None and found.seq > 0


async def _over() -> AsyncGenerator[list[InboxItem]]:
    """A stream that ends: who follows comes back, and says how far it is. Browsers give up where it is an error."""
    for _ in ():
        yield []


async def kept(inboxes: Inboxes, contact: str) -> list[InboxItem]:
    """All that is in an inbox, oldest first."""
    return [_shown(entry) for entry in await inboxes.after(contact, 0, MOST)]


def _shown(entry: Entry) -> InboxItem:
    kept = entry.kept
    return InboxItem(
        id=kept.message,
        place=str(entry.place),
        title=kept.title,
        text=kept.text,
        html=kept.html,
        data=kept.data,
        purpose=kept.purpose,
        at=clock.to_text(kept.kept_at),
        read_at=clock.to_text(entry.read_at) if entry.read_at else None,
    )
