"""One attempt at one message: may it go, what does it say, what did the channel answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from overture.decide.consent import NEEDS_NO_CONSENT
from overture.delivery.asked import asked
from overture.delivery.backoff import Backoff
from overture.delivery.gate import verdict
from overture.delivery.links import Links, one_click
from overture.delivery.quiet import asked_again
from overture.delivery.templates import Templates
from overture.delivery.trails import trailed
from overture.model import Contact, Delivery, Fact, Message, OvertureError
from overture.model.errors import describe
from overture.model.pages import RenderRefused
from overture.plugin.descriptors import Outgoing
from overture.plugin.gating import HostedGate
from overture.plugin.host import Handed, HostedChannel
from overture.sandbox.rendering.renderer import Renderer
from overture.settings import Tracking
from overture.state.contacts import Contacts
from overture.state.ledger import Standing
from overture.state.ledgers import Ledgers
from overture.state.purge import Suppressed

AFTER_MERGE = 8  # contacts followed from one to the next


@dataclass(frozen=True, slots=True)
class Prepared:
    """``outgoing`` None: it ends or waits here, as ``after`` says. Else ``after`` is the record of the attempt."""

    after: Delivery
    outgoing: Outgoing | None = None
    outcome: Fact | None = None
    channel: HostedChannel | None = None


@dataclass(slots=True)
class Attempt:
    """Takes a message through gate, template and channel; knows nothing of the outbox's keys."""

    contacts: Contacts
    templates: Templates
    channels: Mapping[str, HostedChannel]
    ledgers: Ledgers
    links: Links
    suppressed: Suppressed
    renderer: Renderer
    tracking: Mapping[str, Tracking] = field(default_factory=dict[str, Tracking])
    gates: Sequence[HostedGate] = ()
    backoff: Backoff = field(default_factory=Backoff)

    async def prepare(self, delivery: Delivery, now: int) -> Prepared:
        """Gates and template. Asked at every attempt: consent may have been withdrawn while the message waited."""
        prepared = await self._prepared(delivery, now)
        if prepared.outgoing is None or not self.gates:
            return prepared
        judged = await asked(self.gates, prepared.outgoing, delivery, now)
        if judged is None:
            again = await self._prepared(delivery, now)  # they may have taken their time
            return again if again.outgoing is None else prepared
        kept = _changed(prepared.after, now, state=delivery.state, attempts=delivery.attempts, address=delivery.address)
        reason = f"{judged.code}: {judged.text}"
        if judged.due is None:
            return _stopped(ended(kept, "dropped", reason, now))
        return Prepared(_changed(kept, now, state="retrying", reason=reason, due_at=judged.due))

    async def _prepared(self, delivery: Delivery, now: int) -> Prepared:
        """As our own gate has it."""
        message = delivery.message
        if delivery.state == "sending":
            delivery = msgspec.structs.replace(delivery, ambiguous=delivery.ambiguous + 1)
        channel = self.channels.get(message.channel)
        if channel is None:
            text = f"channel.not_configured: No active plugin offers the channel {message.channel}."
            return _stopped(self._later(delivery, text, None, now, delivery.attempts + 1))
        # Known before anything is read and rendered; what is too late ends nevertheless.
        late = message.expires and now > message.expires
        if not late and (alone := channel.left_alone()) is not None:
            return _stopped(self._waits(delivery, alone, now))
        contact = await self._contact(message.contact)
        try:
            own = channel.address_of(contact) if contact else None
        except OvertureError as error:
            return _stopped(self._later(delivery, f"{error.code}: {error.message}", None, now, delivery.attempts + 1))
        standing = await self._standing(message, contact)
        suppressed = await self.suppressed.reason(message.channel, message.to or own or "")
        allowed = verdict(message, contact, own, now, standing.state if standing else "", suppressed)
        if not allowed.passed:
            return _stopped(ended(delivery, "dropped", f"{allowed.reason}: {allowed.text}", now))
        if contact is not None and (kept := asked_again(message, contact, now)) is not None:
            if kept.until is None:
                return _stopped(ended(delivery, "dropped", kept.reason, now))
            return Prepared(_changed(delivery, now, state="retrying", reason=kept.reason, due_at=kept.until))
        address = message.to or own or ""
        links = self.links.of(message, contact.id, address) if contact else {}
        try:
            template = await self.templates.get(message)
            rendered = await self.renderer.render(template.page(), {**message.context, "links": links})
        except RenderRefused as error:
            return _stopped(ended(delivery, "dropped", f"{error.code}: {error.message}", now))
        outgoing = Outgoing(
            id=message.id,
            channel=message.channel,
            to=address,
            subject=rendered.subject,
            text=rendered.text,
            html=trailed(rendered.html, message, self.links, self.tracking) if contact else rendered.html,
            purpose=message.purpose,
            contact=message.contact,
            created_at=message.created_at,
            properties=message.context,
            unsubscribe=one_click(message, links),
            data=rendered.data if template.builder is None else message.context.get("data", {}),
            order=message.order,
        )
        after = _changed(delivery, now, state="sending", attempts=delivery.attempts + 1, address=address, reason="")
        if contact is not None and standing is not None:
            after.consent = standing.reference(self.ledgers.partition(contact.id))
        return Prepared(after, outgoing, None, channel)

    async def hand_over(self, prepared: Prepared, now: Callable[[], int]) -> tuple[Delivery, Fact | None]:
        """Give the message to its channel; answers the new record and the fact that reports the outcome."""
        assert prepared.outgoing is not None
        assert prepared.channel is not None
        handed = await prepared.channel.send(prepared.outgoing)
        return self._judge(prepared.after, handed, now())

    def failed(self, delivery: Delivery, error: Exception, now: int) -> tuple[Delivery, Fact | None]:
        """The new record of a message whose attempt failed by a defect, from the one that is stored."""
        reason = f"delivery.failed: {describe(error)}"
        if delivery.state == "sending":  # it may have been handed over
            delivery = _changed(delivery, now, ambiguous=delivery.ambiguous + 1)
            return self._later(delivery, reason, None, now, delivery.attempts)
        return self._later(delivery, reason, None, now, delivery.attempts + 1)

    def _judge(self, delivery: Delivery, handed: Handed, now: int) -> tuple[Delivery, Fact | None]:
        reason = f"{handed.reason}: {handed.message}" if handed.reason else ""
        delivery = _changed(delivery, now, ambiguous=delivery.ambiguous + handed.ambiguous)
        if handed.state == "sent":
            after = _changed(delivery, now, state="sent", reason="", provider_id=handed.provider_id)
            return after, _outcome(after, "message.sent", now, {"provider_id": handed.provider_id})
        if handed.state == "rejected":
            return ended(delivery, "dead", reason, now, permanent=handed.permanent)
        if not handed.attempted:
            return self._waits(_changed(delivery, now, attempts=delivery.attempts - 1), handed, now)
        return self._later(delivery, reason, handed.retry_after, now, delivery.attempts)

    def _waits(self, delivery: Delivery, handed: Handed, now: int) -> tuple[Delivery, Fact | None]:
        """The channel was not called."""
        reason = f"{handed.reason}: {handed.message}"
        pause = handed.retry_after or 0
        due = self.backoff.waits(delivery.message.contact, now, _decided(delivery), pause, handed.lasted)
        return self._put_off(delivery, reason, due, now, delivery.attempts)

    def _later(
        self, delivery: Delivery, reason: str, retry_after: float | None, now: int, attempts: int
    ) -> tuple[Delivery, Fact | None]:
        unsure = min(delivery.ambiguous, attempts)  # attempts begin anew for one that somebody wants tried again
        contact, tried = delivery.message.contact, max(attempts, 1)
        due = self.backoff.due_at(contact, tried, now, _decided(delivery), retry_after, unsure)
        return self._put_off(delivery, reason, due, now, attempts)

    def _put_off(
        self, delivery: Delivery, reason: str, due: int | None, now: int, attempts: int
    ) -> tuple[Delivery, Fact | None]:
        if due is None:
            delivery = _changed(delivery, now, attempts=attempts)
            return ended(delivery, "dead", f"delivery.gave_up: After {attempts} attempts: {reason}", now)
        return _changed(delivery, now, state="retrying", reason=reason, due_at=due, attempts=attempts), None

    async def _standing(self, message: Message, contact: Contact | None) -> Standing | None:
        """What the ledger says last about the message's purpose; None where no consent is needed, and for consent from
        before there was a ledger. Read after the contact: whatever is taken back until now is seen.
        """
        if contact is None or message.to or message.purpose == NEEDS_NO_CONSENT:
            return None
        return await self.ledgers.standing(contact.id, message.channel, message.purpose)

    async def _contact(self, id: str) -> Contact | None:
        """The contact as it stands now; one that became known is found where it went."""
        contact = await self.contacts.get(id)
        for _ in range(AFTER_MERGE):
            if contact is None or not contact.merged_into:
                break
            contact = await self.contacts.get(contact.merged_into)
        return contact


def _decided(delivery: Delivery) -> int:
    return delivery.queued_at or delivery.message.created_at


def _stopped(end: tuple[Delivery, Fact | None]) -> Prepared:
    return Prepared(end[0], None, end[1])


def ended(delivery: Delivery, state: str, reason: str, now: int, *, permanent: bool = False) -> tuple[Delivery, Fact]:
    """A message that ends ``dropped`` or ``dead``, and the fact that tells why. ``reason``: ``code: sentence``."""
    after = _changed(delivery, now, state=state, reason=reason)
    code, _, text = reason.partition(": ")
    more: dict[str, Any] = {"reason": code, "detail": text}
    if permanent:
        more["permanent"] = True
    return after, _outcome(after, "message.dropped" if state == "dropped" else "message.failed", now, more)


def put_off(delivery: Delivery, until: int) -> Delivery:
    """The record of an attempt that is not made, because its channel is at its rate."""
    text = f"channel.rate: The channel {delivery.message.channel} takes no more messages a second."
    return msgspec.structs.replace(
        delivery, state="retrying", due_at=until, reason=text, attempts=delivery.attempts - 1
    )


def _changed(delivery: Delivery, now: int, **changes: Any) -> Delivery:
    return msgspec.structs.replace(delivery, updated_at=now, **changes)


def _outcome(delivery: Delivery, type: str, now: int, more: dict[str, Any]) -> Fact:
    message: Message = delivery.message
    id = f"{type}:{message.id}:{delivery.attempts}"
    properties = {**delivery.told(), **more}
    return Fact(id, type, message.contact, now, now, properties, source="delivery", cause=message.fact)
