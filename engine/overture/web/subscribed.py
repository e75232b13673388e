"""What the routes of consent need of the rest, and what travels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec


@dataclass(frozen=True, slots=True)
class Choice:
    """A box of the preference page: a purpose on a channel, or (``list``) a list; ``name`` is its name in the form."""

    name: str
    channel: str
    purpose: str
    list: str = ""
    on: bool = False
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a link is about, as things stand. ``state`` is that of its own purpose: empty for never asked."""

    kind: Literal["confirm", "unsubscribe", "preferences"]
    channel: str
    purpose: str
    state: str
    fits: bool  # false: a link to confirm with that went to another address than the contact's
    preferences: str  # the token of the preference page
    choices: tuple[Choice, ...] = field(default=())


class ConsentEntry(msgspec.Struct, frozen=True):
    """One link of the ledger as its contact sees it; ``before`` is empty where the contact was never asked."""

    entry: str
    channel: str
    purpose: str
    before: str
    after: str
    given_at: str
    recorded_at: str
    fact: str
    source: str
    merged_from: str
    text: str
    version: str
    message: str
    hash: str


class ConsentHistory(msgspec.Struct, frozen=True):
    items: list[ConsentEntry]
    next: str | None


class ChainView(msgspec.Struct, frozen=True):
    """One chain: how many links it has, of how many the details were erased, and its last link."""

    partition: int
    links: int
    erased: int
    head: str


class BrokenLink(msgspec.Struct, frozen=True):
    partition: int
    link: int
    why: str


class LedgerCheck(msgspec.Struct, frozen=True):
    """Whether the consent ledger is whole; ``broken`` has the first bad link of each chain that is not."""

    ok: bool
    links: int
    erased: int
    chains: list[ChainView]
    broken: list[BrokenLink]


class Subscriptions(Protocol):
    """Raises Refused ``link.invalid`` (404) and ``link.expired`` (410) for a token, Overloaded, StoreUnavailable."""

    async def look(self, token: str) -> Subscription: ...

    async def act(self, token: str, chosen: frozenset[str]) -> Subscription:
        """Do what the link's page asks; ``chosen`` are the boxes that are on. How things stand after that."""
        ...

    async def history(self, contact: str) -> list[ConsentEntry]:
        """Oldest first; what contacts said before they were merged into this one is part of it."""
        ...

    async def verify(self) -> LedgerCheck: ...
