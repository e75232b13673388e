"""Consent: may this contact be addressed on a channel for a purpose?"""

from __future__ import annotations

from overture.model import Contact

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


def joined(ours: str | None, theirs: str) -> str:
    """What holds where two contacts become one. Who of them spoke last is not known: a refusal is not to be overruled
    by that."""
    return next(state for state in ("denied", "granted", "pending") if state in (ours, theirs))
