"""A fact: something that happened to one contact."""

from __future__ import annotations

import re
from typing import Any

import msgspec

TYPE_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*")
# Made by Overture itself, never from outside; beginnings of names.
RESERVED_TYPES = ("$", "message.", "score.", "segment.", "session.ended", "trait.", "choice.made")
POSTED_TYPES = frozenset({"message.opened", "message.clicked"})  # reserved, but apps may post them: only they know
REPORTED_TYPES = POSTED_TYPES | {
    "message.delivered", "message.deferred", "message.bounced", "message.rejected", "message.complained",
    "message.unsubscribed",
}  # fmt: skip
"""Reserved, but sources may bring them that themselves check who calls: what became of a message after its hand-off."""


class Fact(msgspec.Struct, frozen=True, array_like=True):
    """Something that happened to one contact, validated and addressed; the unit of the log.

    Times are milliseconds since the Unix epoch, UTC. ``contact`` is the resolved contact id; contact and id together
    identify a fact. ``ids`` are the identifiers as presented (``user_id``, ``anonymous_id``, ``email``: text;
    ``external``: name → text). `RESERVED_TYPES` are refused from outside; those with ``$`` (``$activate``,
    ``$approval``, ``$erase``, ``$link``, ``$merge``, ``$program``, ``$tick``) are never shown to rules. New fields go
    to the end and carry a default: old logs must stay readable.
    """

    id: str
    type: str
    contact: str
    occurred_at: int
    accepted_at: int
    properties: dict[str, Any] = {}
    context: dict[str, Any] = {}
    ids: dict[str, Any] = {}
    backfill: bool = False  # recorded history: state changes, nothing is sent
    reply: str = ""  # who waits for the decision (`?wait=true`), as ``process/number``; empty for nobody
    source: str = ""  # name of the write key or source that brought it
    cause: str = ""  # id of the fact that it follows from (derived, a message's outcome); handed on: the contact before
    body: bytes = b""  # digest of what the sender said, by which a repeat is told from another fact of the same id
    choices: list[str] = []  # of which the sender asks for a variant

    @property
    def said(self) -> dict[str, Any]:
        """The context as rules may read it: without what a journey is shown of itself there."""
        return {name: value for name, value in self.context.items() if name[:1] != "$"}

    @property
    def instant(self) -> int:
        """When it takes effect: recorded history when it happened, anything else when it was accepted.

        Never later than that: a sender's clock may be ahead, the contact's is not to follow it.
        """
        return min(self.occurred_at, self.accepted_at) if self.backfill else self.accepted_at


class Draft(msgspec.Struct, frozen=True):
    """A valid fact whose contact is not resolved yet: what intake hands over.

    ``dedupe`` is false where the sender gave no id: then ``id`` was made here and the same fact sent twice is two.
    """

    id: str
    type: str
    ids: dict[str, Any]
    occurred_at: int | None  # None: not given; it becomes the time of acceptance
    properties: dict[str, Any] = {}
    context: dict[str, Any] = {}
    dedupe: bool = True
    choices: list[str] = []
