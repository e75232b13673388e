"""The send gate: may this message go to this contact, and if not, why. Pure; asked right before each hand-off."""

from __future__ import annotations

from dataclasses import dataclass

from overture.decide.consent import consent_verdict
from overture.model import Message
from overture.model.contact import Contact

REASONS = {
    "contact.unknown": "The contact {contact} does not exist, or was erased.",
    "address.missing": "The contact has no address on the channel {channel}.",
    "consent.missing": "The contact was never asked for consent to {purpose} messages on the channel {channel}.",
    "consent.denied": "The contact has refused {purpose} messages on the channel {channel}.",
    "suppressed.bounce": "Mail to {address} came back as undeliverable, so nothing more is sent there.",
    "suppressed.complaint": "The owner of {address} reported a message as spam, so nothing more is sent there.",
    "suppressed.other": "The address {address} is on the suppression list.",
}
"""Every reason for which the gate keeps a message back, with its sentence."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason`` is a key of `REASONS` and ``text`` its sentence about this message; both empty where it passed."""

    passed: bool
    reason: str = ""
    text: str = ""


def verdict(message: Message, contact: Contact | None, address: str | None) -> Verdict:
    """``address`` is the contact's own on the message's channel.

    A message with an explicit ``to`` (a team's mailbox, a webhook) goes to nobody whose consent could be asked: only
    the contact's existence and the suppression list count.
    """
    target = message.to or address or ""
    reason = _reason(message, contact, target)
    if not reason:
        return Verdict(True)
    text = REASONS[reason].format(
        contact=message.contact, channel=message.channel, purpose=message.purpose, address=target
    )
    return Verdict(False, reason, text)


def _reason(message: Message, contact: Contact | None, target: str) -> str:
    if contact is None:
        return "contact.unknown"
    if not target:
        return "address.missing"
    if not message.to and (refused := consent_verdict(contact, message.channel, message.purpose)):
        return refused
    suppressed = contact.suppressed.get(f"{message.channel}:{target}")
    if suppressed is None:
        return ""
    return f"suppressed.{suppressed}" if f"suppressed.{suppressed}" in REASONS else "suppressed.other"
