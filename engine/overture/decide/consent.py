"""Consent: may this contact be addressed on a channel for a purpose?"""

from __future__ import annotations

from overture.model import Contact

NEEDS_NO_CONSENT = "transactional"  # what the contact asked for, such as a receipt


def consent_verdict(contact: Contact, channel: str, purpose: str) -> str:
    """Empty if allowed, else ``consent.missing`` (never asked) or ``consent.denied``."""
    if purpose == NEEDS_NO_CONSENT:
        return ""
    state = contact.consent.get(channel, {}).get(purpose)
    if state == "granted":
        return ""
    return "consent.denied" if state else "consent.missing"
