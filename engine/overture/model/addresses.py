"""Where a contact is reached on a channel: one rule for all, so that it can be asked without any plugin."""

from __future__ import annotations

from typing import Any

from overture.model.contact import Contact

_TRAITS = {"email": "email", "sms": "phone", "whatsapp": "phone", "push": "push_token"}


def own_address(contact: Contact, channel: str) -> str | None:
    """The contact's own address; None where there is none.

    It is a trait: ``email`` for e-mail, ``phone`` for SMS and WhatsApp, ``push_token`` for push, else the one that is
    called like the channel. Without the trait ``email`` it is the first e-mail address among the identifiers. An inbox
    is that of the contact, by its id.
    """
    if channel == "inbox":
        return contact.id
    trait = contact.traits.get(_TRAITS.get(channel, channel))
    if isinstance(trait, str) and trait:
        return trait
    if channel != "email":
        return None
    known: Any = contact.ids.get("email")
    if isinstance(known, str):
        return known or None
    return next((each for each in known or () if isinstance(each, str) and each), None)
