"""The last look before a hand-off: erased, address, consent, suppression, time. Pure. (The send gate is
`overture.decide.gatekeeping`.)
"""

from __future__ import annotations

from dataclasses import dataclass

from overture.decide.consent import consent_verdict
from overture.model.clock import to_text
from overture.model.contact import Contact
from overture.model.message import Message
from overture.model.reasons import REASONS, sentence


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason`` is a key of `REASONS` and ``text`` its sentence about this message; both empty where it passed."""

    passed: bool
    reason: str = ""
    text: str = ""


def verdict(
    message: Message,
    contact: Contact | None,
    address: str | None,
    now: int,
    recorded: str = "",
    suppressed: str = "",
) -> Verdict:
    """``address`` is the contact's own on the message's channel, ``now`` in ms; ``recorded`` what the consent
    ledger says last about its purpose, empty for nothing: of that and the contact's state the stricter one counts.
    ``suppressed``: why the address gets nothing, whoever has it now; empty where it may.

    A message with an explicit ``to`` (a team's mailbox, a webhook) goes to nobody whose consent could be asked: only
    the contact's existence, the suppression list and its time count.
    """
    target = message.to or address or ""
    reason = _reason(message, contact, target, now, recorded, suppressed)
    if not reason:
        return Verdict(True)
    said = {"contact": message.contact, "channel": message.channel, "purpose": message.purpose, "address": target}
    return Verdict(False, reason, sentence(reason, before=to_text(message.expires), **said))


def _reason(message: Message, contact: Contact | None, target: str, now: int, recorded: str, suppressed: str) -> str:
    if contact is None:
        return "contact.unknown"
    if not target:
        return "address.missing"
    if not message.to and (refused := consent_verdict(contact, message.channel, message.purpose)):
        return refused
    if recorded and recorded != "granted":  # taken back since the contact was read
        return f"consent.{recorded}"
    if suppressed := contact.suppressed.get(f"{message.channel}:{target}", suppressed):
        return f"suppressed.{suppressed}" if f"suppressed.{suppressed}" in REASONS else "suppressed.other"
    return "late.expired" if message.expires and now > message.expires else ""
