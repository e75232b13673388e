"""Consent: may this contact be addressed on a channel for a purpose?"""

from __future__ import annotations

from overture.decide.work import Work
from overture.model import Contact, Effect
from overture.rules.ruleset import ListDecl

NEEDS_NO_CONSENT = "transactional"  # what the contact asked for, such as a receipt


def consent_verdict(contact: Contact, channel: str, purpose: str) -> str:
    """Empty if allowed, else ``consent.missing`` (never asked), ``consent.pending`` (asked, and not confirmed yet) or
    ``consent.denied``."""
    if purpose == NEEDS_NO_CONSENT:
        return ""
    state = contact.consent.get(channel, {}).get(purpose)
    if state == "granted":
        return ""
    if state == "pending":
        return "consent.pending"
    return "consent.denied" if state else "consent.missing"


def move_on_list(work: Work, decl: ListDecl, add: bool) -> list[Effect]:
    """Put the contact on a list, with the consent that it asks for, or take it off; what came of it."""
    if add and decl.purpose and (reason := consent_verdict(work.contact, decl.channel, decl.purpose)):
        return [Effect("list", decl.name, reason=reason)]
    effect = work.move_list(decl.name, add)
    return [effect] if effect else []


def joined(ours: str | None, theirs: str) -> str:
    """What holds where two contacts become one. Who of them spoke last is not known: a refusal is not to be overruled
    by that."""
    return next(state for state in ("denied", "granted", "pending") if state in (ours, theirs))
