"""The contact's own clock: what is decided goes by it, never by when a worker gets to it."""

from __future__ import annotations

from overture.model import Contact, Fact


def begin(before: Contact, fact: Fact) -> Contact:
    """A working copy for one more fact, its clock at the instant at which the fact is decided."""
    contact = before.copy()
    contact.seq += 1
    contact.clock = contact.updated_at = max(before.clock, fact.instant)
    if fact.backfill and before.clock <= before.backfilled:
        contact.backfilled = max(before.backfilled, fact.accepted_at)
    return contact
