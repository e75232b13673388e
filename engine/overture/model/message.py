"""Messages: what a rule wants sent, and what became of it."""

from __future__ import annotations

from typing import Any

import msgspec


class Message(msgspec.Struct, frozen=True, array_like=True):
    """A message that a rule wants sent: everything that rendering and sending it needs.

    ``id`` is deterministic (`ids.message_id`) and is the channel's idempotency key. ``context`` is
    what the template may read, captured at the decision: ``fact``, ``contact``, ``issued``.
    """

    id: str
    contact: str
    channel: str
    template: str
    purpose: str
    to: str  # an explicit address, or empty for the contact's own
    ruleset: str
    revision: str
    rule: str
    fact: str
    created_at: int
    context: dict[str, Any] = {}
    expires: int = 0  # not handed over after this instant; 0: at any time
    priority: int = 0  # among messages that compete for one slot, highest first
    approval: bool = False  # somebody has to agree first
    journey: str = ""  # "ruleset/journey" where a step of it sends this
    step: str = ""
    needs: list[str] = []  # what the channel must be able to carry
    at_once: bool = False  # not sent at all where it would have to wait
    position: str = ""  # of the contact in that journey, by its id: who leaves takes along what waits
    quiet: list[tuple[int, int]] = []  # when its purpose has quiet hours: from, to, in minutes of the contact's day
    order: int = 0  # grows with each message that is decided for the contact
    best_ms: int = 0  # how long it waits at most for the hour at which the contact is most likely there
    otherwise: int | None = None  # minute of the contact's day for which it waits where that hour is not known
    blocks: dict[str, str] = {}  # ruleset → revision of what of others is in its template, as of the decision


class Delivery(msgspec.Struct, array_like=True):
    """A message and what became of it: the record behind ``GET /v1/messages``.

    ``state``: queued → sending → sent | retrying → … | dropped (the gate said no) | dead (gave up). One that needs
    somebody's approval is held until the send gate lets it go; before that it was never queued (``queued_at`` is 0).
    ``ambiguous`` counts hand-offs whose outcome is unknown because the reply or the process was lost.
    """

    message: Message
    state: str = "queued"
    due_at: int = 0
    attempts: int = 0
    reason: str = ""
    provider_id: str = ""
    ambiguous: int = 0
    updated_at: int = 0
    address: str = ""
    queued_at: int = 0  # when the gate let it go, by the wall clock: its message is as of when that was due
    consent: str = ""  # the link of the consent ledger that allowed the last hand-off, as `Standing.reference`

    def told(self) -> dict[str, Any]:
        """What a fact about this message says of it, whatever became of it."""
        message = self.message
        told: dict[str, Any] = {
            "message": message.id,
            "channel": message.channel,
            "template": message.template,
            "address": self.address,
            "attempts": self.attempts,
        }
        if message.journey:
            told |= {"journey": message.journey, "step": message.step, "revision": message.revision}
        return told
