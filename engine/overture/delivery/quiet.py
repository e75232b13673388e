"""Quiet hours, asked once more right before a hand-off: since the send gate let the message go they may have begun.

They are those that the gate knew (`Message.quiet`), by the clock where the contact is now. Caps are not asked again:
the message has its slot.
"""

from __future__ import annotations

from typing import NamedTuple

from overture.decide.sendtimes import in_quiet, kept_until, on_the_wall, quiet_end, told
from overture.match.zone import zone_of
from overture.model import Contact, Message
from overture.model.reasons import sentence
from overture.rules.sending import Quiet


class Kept(NamedTuple):
    """``reason``: its code and sentence; ``until``: when (ms) to try again, None where it goes no more."""

    reason: str
    until: int | None


def asked_again(message: Message, contact: Contact, now: int) -> Kept | None:
    """What keeps a message now; None where nothing does."""
    if not message.quiet:
        return None
    zone = zone_of(contact)
    quiets = [Quiet(start, end, frozenset()) for start, end in message.quiet]
    quiet = next((each for each in quiets if in_quiet(each, now, zone)), None)
    if quiet is None:
        return None
    until = quiet_end(quiets, now, zone)
    reason = kept_until(until, "quiet", message.expires, at_once=message.at_once)
    before = on_the_wall(message.expires, zone) if reason == "late.expired" else told(quiet)
    after = None if until is None else on_the_wall(until, zone)
    return Kept(f"{reason}: {sentence(reason, before=before, after=after)}", until if reason == "quiet.held" else None)
