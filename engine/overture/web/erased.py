"""What travels about erasing and exporting contacts, and what those routes need of the rest."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

from overture.web.inboxed import InboxItem
from overture.web.shapes import ContactView, FactView
from overture.web.subscribed import ConsentEntry


class ErasureView(msgspec.Struct, frozen=True):
    """One erasure. It names the contact by ``subject`` alone, a keyed hash of its id.

    ``stage``: what is being done, or waited for; empty once it is done. ``counts``: contacts (those that became part of
    it count), facts taken out of the record, messages, how many of them were withdrawn, consents whose details are
    gone, suppressed addresses that are kept as hashes. ``file``: whether the store's file was written anew
    (``rewritten``), or is its operator's (``operator``). ``number`` and ``hash``: its place in the chain of proofs.
    """

    id: str
    state: Literal["under_way", "done"]
    stage: str
    subject: str
    by: str
    asked_at: str
    done_at: str | None
    counts: dict[str, int]
    file: str
    number: int | None
    hash: str


class ErasureList(msgspec.Struct, frozen=True):
    """Those under way, then those that are done, newest first. ``ok``: the chain of proofs is whole; ``broken`` says
    where it is not.
    """

    ok: bool
    broken: str
    under_way: list[ErasureView]
    items: list[ErasureView]
    next: str | None


class Export(msgspec.Struct, frozen=True):
    """All that is kept about a contact. ``merged``: what else it was known as. ``state``: every field of what is kept
    of it besides the record. ``facts`` are those of the record, oldest first, that are decided; ``set_aside`` those
    that nothing could decide.
    """

    exported_at: str
    contact: ContactView
    merged: list[str]
    state: dict[str, Any]
    consent: list[ConsentEntry]
    messages: list[dict[str, Any]]
    inbox: list[InboxItem]
    facts: list[FactView]
    set_aside: list[FactView]


class Privacy(Protocol):
    async def erase(self, id_or_alias: str, by: str) -> ErasureView | None:
        """Ask for it; ``by`` is the name of the caller's key. The one under way where it was asked for before; None
        where there is no such contact. Raises Refused 409 ``erasure.ending`` where that one is past the contact, and
        the contact is there again.
        """
        ...

    async def erasure(self, id: str) -> ErasureView | None: ...

    async def erasures(self, before: int | None, limit: int) -> ErasureList:
        """``before``: the number that all of `ErasureList.items` stay below."""
        ...

    async def export(self, id_or_alias: str) -> Export | None:
        """None where there is no such contact. Raises Overloaded ``export.busy``."""
        ...
