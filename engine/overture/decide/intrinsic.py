"""What a fact says by itself, before any rule: who the contact is, its traits, its consent, an address that fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from msgspec.structs import replace

from overture.decide import room
from overture.decide.approvals import APPROVAL, answered
from overture.decide.choosing import unseen
from overture.decide.consent import NEEDS_NO_CONSENT, consent_verdict
from overture.decide.limits import shown
from overture.decide.merge import merge
from overture.decide.presence import attend
from overture.decide.work import Work
from overture.model import Contact, Effect, Fact
from overture.model.addresses import own_address

FIXED = "fixed"
"""In ``context.form`` of an ``identify``: the traits that it may tell where nothing is known, and not change."""


def admitted(contact: Contact, fact: Fact) -> tuple[Fact, list[Effect]]:
    """An ``identify`` without what it may not change, and the effects that say so. It is asked here and not before the
    log, because facts that are accepted and not yet decided count as well.
    """
    form: Any = fact.context.get("form")
    fixed: Any = cast("dict[str, Any]", form).get(FIXED) if type(form) is dict else None
    if type(fixed) is not list:
        return fact, []
    properties, left_out = fact.properties.copy(), list[Effect]()
    for name in cast("list[Any]", fixed):
        if type(name) is str and name in properties:
            known = contact.traits.get(name)
            if known is None and name == "email":
                known = own_address(contact, name)
            if known is not None and (known != properties[name] or type(known) is not type(properties[name])):
                del properties[name]
                left_out.append(Effect("set", name, reason="trait.known"))
    return replace(fact, properties=properties) if left_out else fact, left_out


def apply_fact(work: Work, fact: Fact) -> list[Effect]:
    """Apply ``identify``, ``consent``, ``$merge``, ``$approval`` and the outcomes of messages; remember the identifiers
    presented.
    """
    effects: list[Effect] = []
    for kind, value in fact.ids.items():
        for name in room.keep_ids(work.contact, kind, value):
            effects.append(Effect("identify", kind, name, reason=room.FULL))
    apply = _APPLY.get(fact.type)
    return effects + apply(work, fact) if apply else effects


def _identify(work: Work, fact: Fact) -> list[Effect]:
    return [e for name, value in fact.properties.items() if (e := work.set_trait(name, value))]


def _consent(work: Work, fact: Fact) -> list[Effect]:
    p = fact.properties
    channel, purpose, state = p["channel"], p["purpose"], p["state"]
    if state == "pending" and work.contact.consent.get(channel, {}).get(purpose) == "granted":
        return [Effect("consent", channel, purpose, reason="consent.granted")]
    return [work.set_consent(channel, purpose, state)]


def _list_changed(work: Work, fact: Fact) -> list[Effect]:
    """The contact itself joins or leaves a list; joining needs the same consent as where a rule does it."""
    name, state = fact.properties.get("list"), fact.properties.get("state")
    decl = work.program.lists.get(name) if type(name) is str else None
    if decl is None or state not in ("joined", "left"):
        return [Effect("list", shown(name) if type(name) is str else "", reason="list.unknown")]
    if state == "joined" and decl.purpose and (reason := consent_verdict(work.contact, decl.channel, decl.purpose)):
        return [Effect("list", decl.name, reason=reason)]
    effect = work.move_list(decl.name, state == "joined")
    return [effect] if effect else []


def _suppress(work: Work, fact: Fact) -> list[Effect]:
    """An address that can never be reached, or whose owner complained, is not written to again."""
    p = fact.properties
    if not p.get("address") or not (p.get("permanent") or fact.type == "message.complained"):
        return []
    reason = "complaint" if fact.type == "message.complained" else "bounce"
    channel, address = str(p.get("channel", "")), str(p["address"])
    own = own_address(work.contact, channel)
    if own is not None and own.lower() == address.lower():
        address = own  # as it is written here: that is what the gate looks for
    address = f"{channel}:{address}"
    room.suppress(work.contact, address, reason)
    return [Effect("suppress", address, "", None, reason)]


def _unsubscribed(work: Work, fact: Fact) -> list[Effect]:
    """From the purpose of the message; where that is not known or asks for no consent, from all on the channel."""
    p = fact.properties
    channel, purpose = p.get("channel"), p.get("purpose")
    if type(channel) is not str or not channel:
        return []
    if type(purpose) is str and purpose and purpose != NEEDS_NO_CONSENT:
        return [work.set_consent(channel, purpose, "denied")]
    return [work.set_consent(channel, each, "denied") for each in sorted(work.contact.consent.get(channel, {}))]


def _dropped(work: Work, fact: Fact) -> list[Effect]:
    """It showed the contact nothing. Not so where its template failed: that is the variant's own doing, and counts."""
    message, reason = fact.properties.get("message"), fact.properties.get("reason")
    if not work.contact.choices or type(message) is not str or str(reason).startswith("template."):
        return []
    return unseen(work, [message])


def _habit(work: Work, fact: Fact) -> list[Effect]:
    channel = fact.properties.get("channel")
    if type(channel) is not str or not channel or fact.properties.get("machine") is True:
        return []  # what a proxy or a scanner does is nobody's habit
    attend(work.contact, fact)
    before = work.contact.habits.get(channel, 0)
    if reason := room.keep_habit(work.contact, channel, 1):
        return [Effect("habit", shown(channel), reason=reason)]
    return [Effect("habit", channel, "", before, before + 1)]


_APPLY: dict[str, Callable[[Work, Fact], list[Effect]]] = {
    "identify": _identify,
    "consent": _consent,
    "list_changed": _list_changed,
    "$merge": merge,
    APPROVAL: answered,
    "message.dropped": _dropped,
    "message.bounced": _suppress,
    "message.failed": _suppress,
    "message.rejected": _suppress,
    "message.complained": _suppress,
    "message.unsubscribed": _unsubscribed,
    "message.opened": _habit,
    "message.clicked": _habit,
}
