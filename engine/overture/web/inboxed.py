"""What the routes need to know of inboxes, and what travels."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta

from overture.model import Contact


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``contact``: an id, or ``email:…`` and the like, as in ``/v1/contacts/{id}``; ``seconds`` that it is good for."""

    contact: Annotated[str, Meta(min_length=1)]
    seconds: Annotated[int, Meta(ge=1, le=86_400)] = 3600


class InboxToken(msgspec.Struct, frozen=True):
    """Who holds ``token`` reads the inbox of that contact until ``expires_at`` (RFC 3339)."""

    token: str
    contact: str
    expires_at: str


class InboxQuery(msgspec.Struct, frozen=True):
    """``token`` may be in ``Authorization: Bearer`` as well; ``cursor``: `InboxPage.next`."""

    token: str = ""
    cursor: Annotated[int, Meta(ge=0)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class StreamQuery(msgspec.Struct, frozen=True):
    """``after``: the place from which on to follow, `InboxPage.cursor`; a header ``Last-Event-ID`` comes before it."""

    token: str = ""
    after: Annotated[int, Meta(ge=0)] = 0


class TokenQuery(msgspec.Struct, frozen=True):
    """``token`` may be in ``Authorization: Bearer`` as well."""

    token: str = ""


class InboxItem(msgspec.Struct, frozen=True):
    """A message in an inbox; ``at`` and ``read_at`` are RFC 3339, ``read_at`` null while it is unread."""

    id: str
    place: str
    title: str
    text: str
    html: str
    data: dict[str, Any]
    purpose: str
    at: str
    read_at: str | None


class InboxPage(msgspec.Struct, frozen=True):
    """Newest first. ``unread``: of all that are kept; ``cursor``: where to follow from what is new; ``next``: of the
    part that follows, null at the end.
    """

    items: list[InboxItem]
    unread: int
    cursor: str
    next: str | None


class Inbox(Protocol):
    """Each raises Refused 401 ``inbox.token`` for a token that is none, or no longer."""

    def token(self, contact: Contact, seconds: int) -> InboxToken: ...

    async def page(self, token: str, before: int | None, limit: int) -> InboxPage: ...

    async def read(self, token: str, message: str) -> bool:
        """A message was read: it becomes a `message.opened`, once. False where there is none."""
        ...

    async def follow(self, token: str, place: int) -> AsyncGenerator[list[InboxItem]]:
        """What comes after a place, in order; a list that is empty is a sign of life. Ends where the token does, and
        when the server leaves. Raises Overloaded ``inbox.streams``.
        """
        ...

    async def leave(self) -> None:
        """End all that follow."""
        ...
