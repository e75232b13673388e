"""Who a fact is about: from the identifiers it presents to one contact, linking what belongs together.

Every identifier but user_id has a derived id (``email:ada@example.com``) and by itself names a contact of that id.
When a fact presents several, the strongest contact takes the others in: a contact with a user_id, else external, else
email, else anonymous. Links only ever lead from weaker to stronger, so they cannot form a cycle. Two contacts with
different user_ids are never merged; the weaker identifier stays with the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from overture.model import Fact
from overture.model.ids import IDENTIFIERS, partition_of
from overture.state import keys, scripts
from overture.state.log import Entry, dedupe_key, pack_entry
from overture.state.wire import Wire

REMEMBERED = 100_000  # identifiers whose contact this process remembers
HOPS = 8
MERGE_PATIENCE = 1.0  # seconds


def derived_ids(ids: dict[str, Any]) -> list[str]:
    """The contact ids that the identifiers stand for by themselves, strongest first."""
    found: list[str] = []
    if user := ids.get("user_id"):
        found.append(user)
    found += (f"external:{name}:{value}" for name, value in sorted(ids.get("external", {}).items()))
    if email := ids.get("email"):
        found.append(f"email:{email}")
    if anonymous := ids.get("anonymous_id"):
        found.append(f"anonymous_id:{anonymous}")
    return found


def ids_of(contact: str) -> dict[str, Any]:
    """The identifiers that lead to a contact by its id: `derived_ids` turned round."""
    kind, _, value = contact.partition(":")
    if kind == "external" and ":" in value:
        name, _, value = value.partition(":")
        return {"external": {name: value}}
    return {kind: value} if value and kind in ("email", "anonymous_id") else {"user_id": contact}


def is_known(contact: str) -> bool:
    """Whether the contact has a user_id: its id is that, and carries no prefix of a weaker identifier."""
    return _strength(contact) == 0


def _strength(contact: str) -> int:
    prefix = contact.partition(":")[0]
    return IDENTIFIERS.index(prefix) if ":" in contact and prefix in IDENTIFIERS[1:] else 0


def _order(contact: str) -> tuple[int, str]:
    return _strength(contact), contact


class Awaited(Protocol):
    """A place to wait for the decision on a fact that carries ``token`` as its ``reply``."""

    token: str
    future: asyncio.Future[dict[str, Any]]

    def forget(self) -> None: ...


class Identity:
    """Resolves identifiers to contacts. What it remembers may be stale: a fact that goes to a contact which has become
    known meanwhile is forwarded from there, so nothing is lost by it."""

    def __init__(self, wire: Wire, partitions: int, expect: Callable[[], Awaited]) -> None:
        """``expect`` makes a place to wait for a decision: what makes a contact known is decided after the merge."""
        self._wire = wire
        self._expect = expect
        self._partitions = partitions
        self._link_once = wire.script(scripts.LINK)
        self._roots: dict[str, str] = {}

    async def resolve(self, ids: dict[str, Any], now: int, *, backfill: bool = False) -> tuple[str, tuple[str, ...]]:
        """(contact id, contacts that may have taken this fact before they were linked); links are durable on return.

        ``backfill``: recorded history presents them, so a link moves nobody's clock.
        """
        if len(ids) == 1 and (user := ids.get("user_id")):
            return user, ()
        names = derived_ids(ids)
        paths = await asyncio.gather(*(self._path(name) for name in names))
        roots = [path[-1] for path in paths]
        known = [root for root in roots if is_known(root)]
        contact = known[0] if known else min(roots, key=_order)
        weaker = [root for root in dict.fromkeys(roots) if root != contact and not is_known(root)]
        there = await asyncio.gather(*(self.link(root, contact, now, backfill=backfill) for root in weaker))
        if not is_known(contact) and any(root != contact for root in there):
            return await self.resolve(
                ids, now, backfill=backfill
            )  # another request linked one of them elsewhere, to a stronger contact
        return contact, tuple(name for name in paths[0] if name != contact)

    async def find(self, name: str) -> str:
        """The contact that an id or derived id leads to."""
        return (await self._path(name, fresh=True))[-1]

    async def _path(self, name: str, *, fresh: bool = False) -> list[str]:
        """From a contact id to the one that took it in, over those between."""
        path = [name]
        while not is_known(path[-1]) and len(path) <= HOPS:
            here = path[-1]
            root = None if fresh else self._roots.get(here)
            if root is None:
                reply = await self._wire.call("GET", keys.identity(partition_of(here, self._partitions), here))
                root = reply.decode() if reply else here
                self._remember(here, root)
            if root == here:
                break
            path.append(root)
        return path

    async def link(self, weaker: str, contact: str, now: int, *, backfill: bool = False) -> str:
        """Pointer and the order to merge, in one move; answers where the weaker contact leads: the first link stays.

        Returns when the merge has been decided, so that whatever is accepted from now on comes after it in the log; or
        after a while, if there is no worker at this moment.
        """
        merged = self._expect()
        try:
            into = {"into": contact}
            id, reply = f"$link:{weaker}:{contact}", merged.token
            order = Fact(id, "$link", weaker, now, now, into, backfill=backfill, reply=reply)
            p = partition_of(weaker, self._partitions)
            where = [keys.identity(p, weaker), keys.log(p), keys.counters(p)]
            leads_to, new = await self._link_once.call(where, [contact, pack_entry([order])])
            if new:
                await asyncio.wait([merged.future], timeout=MERGE_PATIENCE)
        finally:
            merged.forget()
        there: str = leads_to.decode()
        self._remember(weaker, there)
        return there

    def forget(self, contact: str) -> None:
        """Remember nothing of a contact that was erased; empty: of any, as all may have been."""
        kept = {name: root for name, root in self._roots.items() if contact and contact not in (name, root)}
        self._roots = kept

    def _remember(self, name: str, root: str) -> None:
        if len(self._roots) >= REMEMBERED:
            self._roots.clear()
        self._roots[name] = root


def forward_entries(facts: Iterable[Fact]) -> list[Entry]:
    """Log entries for facts handed on to the contact that took theirs in. Handing on twice takes effect once, and so
    does the same fact posted to both: here by a process that knew of the link, there by one that did not yet."""
    return [Entry(fact, dedupe_key(fact.contact, fact.id), fact.body) for fact in facts]


def namesake_entries(facts: Iterable[Fact]) -> list[Entry]:
    """The same for facts whose id another fact of the known contact has: both were accepted, so both take effect."""
    return [Entry(fact, dedupe_key(f"{fact.cause}>{fact.contact}", fact.id), fact.body) for fact in facts]
