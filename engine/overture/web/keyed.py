"""API keys as people manage them, and what web pages may say with theirs, which anybody can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from overture.model import Draft, Refused

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class KeyView(msgspec.Struct, frozen=True):
    """A key without itself: the store has its hash alone. ``types``, ``origins``: none for any; ``rate``: 0 for any."""

    name: str
    scopes: list[str]
    types: list[str]
    origins: list[str]
    rate: float


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``kind``: ``browser`` for web pages, ``write`` for apps, ``inbox`` to get tokens for inboxes. ``types`` of facts
    and ``origins`` of pages are for ``browser`` alone; ``rate``: facts a second in each process, 0 for as many as there
    are.
    """

    name: Name
    kind: Literal["browser", "write", "inbox"] = "browser"
    types: list[str] = []
    origins: list[str] = []
    rate: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None


class MadeKey(msgspec.Struct, frozen=True):
    """``key`` is told this once."""

    name: str
    key: str


class KeyRing(Protocol):
    def views(self) -> list[KeyView]: ...

    async def make(self, new: NewKey) -> str:
        """A new key. Raises Refused 409 where there is one of the name."""
        ...

    async def revoke(self, name: str) -> bool:
        """False where there is none of the name. Other processes notice within seconds. Raises Refused 409 for the last
        way in.
        """
        ...


class TrackingGrant(Protocol):
    """The part of a key's grant that says what facts it may bring."""

    @property
    def name(self) -> str: ...
    @property
    def types(self) -> frozenset[str]: ...


class Browsers(Protocol):
    async def admit(self, drafts: Sequence[Draft], grant: TrackingGrant, now: int) -> list[Draft | Refused]:
        """The facts of a key of web pages, in their order, as far as whoever reads the key there may say so."""
        ...
