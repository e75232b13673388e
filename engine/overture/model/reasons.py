"""Why a message was held back or not sent: every reason of the send gate, with its sentence."""

from __future__ import annotations

from typing import Any

REASONS = {
    # Asked right before each hand-off.
    "contact.unknown": "The contact {contact} does not exist, or was erased.",
    "address.missing": "The contact has no address on the channel {channel}.",
    "consent.missing": "The contact was never asked for consent to {purpose} messages on the channel {channel}.",
    "consent.pending": "The contact has not yet confirmed that it wants {purpose} messages on the channel {channel}.",
    "consent.denied": "The contact has refused {purpose} messages on the channel {channel}.",
    "suppressed.bounce": "Mail to {address} came back as undeliverable, so nothing more is sent there.",
    "suppressed.complaint": "The owner of {address} reported a message as spam, so nothing more is sent there.",
    "suppressed.other": "The address {address} is on the suppression list.",
    "approval.pending": "It waits until somebody agrees to it.",
    "approval.rejected": "Somebody with the key {before} looked at it and said no.",
    # Asked there and in the step.
    "late.expired": "It could not be sent before {before}, and later its rule does not want it sent.",
    # Asked in the step that decides the message, and again whenever a message that waits is due.
    "holdout": "The contact is in the holdout ({before}): it gets no message of the ruleset, to compare with others.",
    "channel.needs": "No channel that it may take carries what it needs ({before}).",
    "channel.no_address": "The contact has no address on a channel that carries it ({before}).",
    "channel.no_consent": "On no channel that carries it ({before}) the contact agreed to messages of its purpose.",
    "best.held": "It waits for the hour that is best for the contact ({before}), until {after}.",
    "quiet.held": "It came in the contact's quiet hours ({before}) and waits until {after}.",
    "quiet.expired": "It came in the contact's quiet hours ({before}), and its rule wants it sent at once or never.",
    "cap.held": "The contact has had as many messages as it may get ({before}), so it waits until {after}.",
    "cap.expired": "The contact has had as many messages as it may get ({before}), and its rule wants it sent at once "
    "or never.",
    "journey.left": "While it waited, the contact left the step of the journey that sends it ({before}).",
    "gate.full": "No more than {before} messages wait for one contact, and this one had the lowest priority.",
    "contact.full": "So much is kept of this contact already that the message could not be kept to wait.",
}  # fmt: skip
"""``before`` and ``after`` are those of the effect (`Effect`) that records a verdict of the step: what stood in the
way, and until when the message waits, as the contact's clocks show it.
"""


def sentence(reason: str, **said: Any) -> str:
    """The sentence of a reason; empty for one that is none of the gate's. What is not said shows as its name."""
    text = REASONS.get(reason, "")
    names = ("contact", "channel", "purpose", "address", "before", "after")
    return text.format(**{name: said.get(name) or f"({name})" for name in names})
